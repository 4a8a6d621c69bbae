"""A bounded run of the fault machine, the same each time; `make machine` makes a long one."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.delivery.engine_machine import EngineFaults
from tests.delivery.machine import Faults

#: Runs of the machine; each takes up to 30 steps. Long runs are over the doubles first of all: a step over
#: the engine costs ten times as much.
RUNS = int(os.environ.get("LORRY_MACHINE_RUNS", "8"))


def _run(machine: type[RuleBasedStateMachine], runs: int, steps: int) -> None:
    # Making a failure shorter takes minutes: not in CI, where the same steps find it again.
    bounded: dict[str, Any] = {"derandomize": True, "phases": [Phase.explicit, Phase.generate]}
    chosen = bounded if RUNS <= 8 else {"print_blob": True}
    checked = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        **chosen,
    )
    run_state_machine_as_test(machine, settings=checked)


def test_whatever_happens_some_things_hold() -> None:
    """One object of each kind, no bill without an owner, no request without an end: after every step."""
    _run(Faults, RUNS, 30)
    print(f"{Faults.steps} steps over the doubles")
    assert Faults.steps > 50


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_whatever_happens_the_engine_bills_what_was_planned() -> None:
    """The same through the official clients, with the engine's faults, clock and invoice."""
    _run(EngineFaults, RUNS if RUNS <= 8 else RUNS // 10, 20)
    print(f"{EngineFaults.steps} steps over the engine")
    assert EngineFaults.steps > 50
