"""Durable deliveries: named steps from a checked file to a ready placement, and back to nothing.

`service.py` is the door, `beginning.py` says what a call comes to, `custody.py` who has which delivery,
`working.py` takes up what nobody has; `workflow.py` walks through steps, `routes/` says which there are and
what each does, `proofs/` shows that a model acts, `run.py` carries a step out, `intents.py` creates a thing
once, `durable.py` and its opening know DBOS, `doubles/` is a platform and a Hub in memory.
"""

from __future__ import annotations

from lorry.delivery.policy import Policy
from lorry.delivery.service import Deliveries
from lorry.delivery.working import Working

__all__ = ["Deliveries", "Policy", "Working"]
