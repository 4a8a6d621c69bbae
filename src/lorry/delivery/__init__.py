"""Durable deliveries: named steps from a checked file to a ready placement, and back to nothing.

`service.py` is the door, `workflow.py` walks through steps, `routes/` says which steps a route has and what
each does, `proofs/` shows that a model acts, `run.py` carries a step out, `intents.py` creates a thing once,
`durable.py` is the only place that knows DBOS, `doubles/` is a platform and a Hub in memory.
"""

from __future__ import annotations

from lorry.delivery.policy import Policy
from lorry.delivery.service import Deliveries

__all__ = ["Deliveries", "Policy"]
