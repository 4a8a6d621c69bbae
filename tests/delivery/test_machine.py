"""A bounded run of the fault machine, the same each time; `make machine` makes a long one."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.delivery.machine import Faults

#: Runs of the machine; each takes up to 30 steps.
RUNS = int(os.environ.get("LORRY_MACHINE_RUNS", "12"))


def test_whatever_happens_some_things_hold() -> None:
    """One object of each kind, no bill without an owner, no request without an end: after every step."""
    # Making a failure shorter takes minutes: not in CI, where the seed finds it again.
    bounded: dict[str, Any] = {"derandomize": True, "phases": [Phase.explicit, Phase.generate]}
    chosen = bounded if RUNS <= 12 else {"print_blob": True}
    checked = settings(
        max_examples=RUNS,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        **chosen,
    )
    run_state_machine_as_test(Faults, settings=checked)
    print(f"{Faults.steps} steps")
    assert Faults.steps > 50
