"""Policies by values and properties: hours, replicas, leases, decisions."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.errors import OptionInvalid
from lorry.model.billing import Billed, BilledKind, Lease
from lorry.model.hours import open_until, parse_hours
from lorry.model.names import stamped, unstamped
from lorry.model.serving import Policy, policy_from, require_sound_policy
from lorry.spend.deciding import Act, Known, Rules, decide
from lorry.spend.scaling import STABLE_SECONDS, Load, Range, replicas_for

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
RULES = Rules(idle=HOUR, grace=timedelta(minutes=10))


def thing(**changes: object) -> Billed:
    """Give something of ours that runs."""
    values: dict[str, object] = {
        "id": "dep_1", "kind": BilledKind.DEPLOYMENT, "name": "lorry-tok-12345678", "running": 1, "wanted": 1,
        "hardware": "1xnvidia-h100-80gb", "cents_per_hour": 549.0, "created_at": NOW - HOUR,
    }  # fmt: skip
    return Billed(**{**values, **changes})  # type: ignore[arg-type]


def lease(until: datetime, **changes: object) -> Lease:
    """Give a lease of it."""
    values: dict[str, object] = {"granted": until, "ready_at": NOW - 5 * HOUR, **changes}
    return Lease(
        "dep_1",
        BilledKind.DEPLOYMENT,
        "lorry-tok-12345678",
        "ep_1",
        False,
        "tok",
        until,
        "why",
        **values,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("text", "when", "until"),
    [
        ("mon-fri 08:00-18:00", "2026-11-02T12:00+00:00", "2026-11-02T18:00+00:00"),
        ("mon-fri 08:00-18:00", "2026-11-02T18:00+00:00", None),
        ("mon-fri 08:00-18:00", "2026-11-01T12:00+00:00", None),
        ("sat,sun 08:00-18:00", "2026-11-01T12:00+00:00", "2026-11-01T18:00+00:00"),
        ("fri-mon 22:00-06:00", "2026-11-03T05:59+00:00", "2026-11-03T06:00+00:00"),
        ("fri-mon 22:00-06:00", "2026-11-03T22:30+00:00", None),
        ("mon-fri 08:00-18:00 America/New_York", "2026-11-02T12:59+00:00", None),
        ("mon-fri 08:00-18:00 America/New_York", "2026-11-02T13:00+00:00", "2026-11-02T23:00+00:00"),
        # In the night of 25 October 2026 Berlin has the hour from two to three twice.
        ("daily 01:00-04:00 Europe/Berlin", "2026-10-25T02:30+00:00", "2026-10-25T03:00+00:00"),
        ("daily 01:00-04:00 Europe/Berlin", "2026-10-24T23:00+00:00", "2026-10-25T03:00+00:00"),
    ],
)
def test_hours_are_those_of_the_place(text: str, when: str, until: str | None) -> None:
    """Hours are open from their beginning to before their end, by the clocks of their time zone."""
    found = open_until([parse_hours(text)], datetime.fromisoformat(when))
    assert found == (datetime.fromisoformat(until) if until else None)


def test_always_is_always() -> None:
    """Hours of whole days never close: at every minute of a week there is more than an hour to go."""
    hours = [parse_hours("daily 00:00-24:00")]
    for minute in range(0, 7 * 24 * 60, 7):
        now = NOW + timedelta(minutes=minute)
        end = open_until(hours, now)
        assert end is not None
        assert end - now > HOUR


@pytest.mark.parametrize(
    "text", ["", "mon", "mon-fri", "mon-fri 8-18", "mo 08:00-18:00", "mon 08:00-25:00", "mon 08:00-18:61",
             "mon 08:00-18:00 Mars/Olympus", "mon 08:00-18:00 ../etc/passwd"],
)  # fmt: skip
def test_what_is_no_schedule_is_refused_with_its_policy(text: str) -> None:
    """A schedule that can't be read is named among the problems of its policy."""
    with pytest.raises(OptionInvalid):
        require_sound_policy("tok", Policy(hours=(text,)))


def test_all_problems_of_a_policy_are_told_at_once() -> None:
    """Each value that can't be used is named, and a sound policy comes back from its JSON as it was."""
    wrong = Policy(idle_minutes=1, in_flight=0, most_replicas=0, spare=-1, hours=("x",))
    with pytest.raises(OptionInvalid) as caught:
        require_sound_policy("tok", wrong)
    assert len(caught.value.evidence["problems"]) == 5
    sound = Policy(idle_minutes=15, hours=("daily 08:00-20:00",), in_flight=4, most_replicas=3, spare=1)
    require_sound_policy("tok", sound)
    assert policy_from(sound.as_dict()) == sound


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1)),
    st.sampled_from(["a", "lorry-tok-1", "x-until-1"]),
)
def test_a_name_says_until_when_and_gives_it_back(when: datetime, name: str) -> None:
    """What is written into a name is read from it, rounded up to the minute; other names say nothing."""
    until = when.replace(tzinfo=UTC)
    plain, found = unstamped(stamped(name, until))
    assert plain == name
    assert found is not None
    assert timedelta(0) <= found - until < timedelta(minutes=1)
    assert unstamped(name) == (name, None)
    assert unstamped(f"{name}-until-209913999999") == (f"{name}-until-209913999999", None)


@pytest.mark.parametrize(
    ("known", "rules", "act"),
    [
        (Known(thing(name="production-llm")), RULES, Act.REPORT),
        (Known(thing(cents_per_hour=0.0)), RULES, Act.KEEP),
        (Known(thing(running=0, wanted=0)), RULES, Act.KEEP),
        (Known(thing(wanted=0)), RULES, Act.KEEP),
        (Known(thing(running=0), lease(NOW - HOUR, ready_at=None)), RULES, Act.STOP),
        (Known(thing(running=0), lease(NOW - HOUR), awaited=True), RULES, Act.KEEP),
        (Known(thing(), lease(NOW - HOUR), awaited=True), RULES, Act.STOP),
        (Known(thing(kind=BilledKind.LEGACY), lease(NOW - HOUR)), RULES, Act.KEEP),
        (Known(thing(kind=BilledKind.LEGACY), lease(NOW - HOUR)), Rules(HOUR, HOUR, final=True), Act.STOP),
        (Known(thing(), lease(NOW)), RULES, Act.STOP),
        (Known(thing(), lease(NOW + HOUR)), RULES, Act.RENEW),
        (Known(thing(until=NOW + HOUR), lease(NOW + HOUR)), RULES, Act.KEEP),
        (Known(thing(until=NOW + HOUR)), RULES, Act.KEEP),
        (Known(thing(until=NOW - HOUR), lease(NOW - HOUR), used_at=NOW - HOUR), RULES, Act.STOP),
        (Known(thing(), lease(NOW - HOUR), used_at=NOW - 0.5 * HOUR), RULES, Act.RENEW),
        (Known(thing(), lease(NOW - HOUR, ready_at=NOW - 0.1 * HOUR)), RULES, Act.RENEW),
        (Known(thing(), lease(NOW + HOUR, granted=None), used_at=NOW - 0.2 * HOUR),
         Rules(timedelta(minutes=10), timedelta(minutes=10)), Act.STOP),
        (Known(thing(), lease(NOW + HOUR)), Rules(HOUR, HOUR, over="spent"), Act.STOP),
        (Known(thing(), lease(NOW + HOUR), used_at=NOW - 0.5 * HOUR),
         Rules(HOUR, timedelta(minutes=10), at_once=True), Act.STOP),
        (Known(thing(running=0, wanted=0)), Rules(HOUR, HOUR, (parse_hours("mon 08:00-18:00"),)), Act.START),
        (Known(thing(), lease(NOW - HOUR)), Rules(HOUR, HOUR, (parse_hours("mon 08:00-18:00"),)), Act.RENEW),
        (Known(thing(), lease(NOW + HOUR), Load(9, 9)), Rules(HOUR, HOUR, range=Range(4, 1, 5)), Act.SCALE),
    ],
)  # fmt: skip
def test_what_is_decided(known: Known, rules: Rules, act: Act) -> None:
    """Each case of the policy has its decision, and a reason."""
    decision = decide(known, rules, NOW)
    assert decision.act is act
    assert decision.reason


@given(
    st.lists(st.floats(0, 60), min_size=1, max_size=200),
    st.floats(0.5, 8),
    st.integers(1, 3),
    st.integers(3, 20),
    st.integers(0, 2),
)
def test_replicas_do_not_flap(loads: list[float], target: float, least: int, most: int, spare: int) -> None:
    """However the load swings, there is at most one change in a window, and always a number within bounds."""
    wanted = Range(target, least, most, spare)
    present, changed, changes = least, None, []
    for minute, load in enumerate(loads):
        now = NOW + timedelta(minutes=minute)
        window = loads[max(0, minute - int(STABLE_SECONDS // 60)) : minute + 1]
        goal, why = replicas_for(present, Load(load, max(window)), wanted, changed, now)
        assert why
        assert least <= goal <= most
        if goal != present:
            changes.append(now)
            present, changed = goal, now
    assert all(
        later - earlier >= timedelta(seconds=STABLE_SECONDS) for earlier, later in itertools.pairwise(changes)
    )


def test_a_steady_load_gets_what_it_calls_for() -> None:
    """Under a load that stays, the number of replicas settles at what it calls for, up and down."""
    wanted = Range(4, 1, 10)
    assert replicas_for(1, Load(17, 17), wanted, None, NOW)[0] == 5
    assert replicas_for(5, Load(17, 17), wanted, NOW - HOUR, NOW)[0] == 5
    assert replicas_for(5, Load(2, 17), wanted, NOW - HOUR, NOW)[0] == 5  # it was busy a moment ago
    assert replicas_for(5, Load(2, 3), wanted, NOW - HOUR, NOW)[0] == 1
