"""Durable deliveries: named steps from a checked file to a ready placement, and back to nothing.

`service.py` is the door, `workflow.py` the order of steps, `steps.py` and `retiring.py` what each does,
`run.py` how one is carried out, `intents.py` how a thing is created once, `durable.py` the only place that
knows DBOS, `doubles/` a platform and a Hub in memory.
"""

from __future__ import annotations

from lorry.delivery.policy import Policy
from lorry.delivery.service import Deliveries

__all__ = ["Deliveries", "Policy"]
