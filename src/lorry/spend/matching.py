"""Which model something at a platform belongs to, and what holds for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lorry.model.billing import Billed, BilledKind
from lorry.model.budget import SOFTEN, STOP, Standing, holding, severest
from lorry.model.hours import open_until, parse_hours
from lorry.model.names import provider_name
from lorry.model.placement import Placement, PlacementState, TrainedModel
from lorry.model.serving import DEFAULT_POLICY, LEAST_IDLE_MINUTES, Policy
from lorry.spend.deciding import Rules
from lorry.spend.metering import Whose
from lorry.spend.ports import Activity
from lorry.spend.scaling import Load, Range


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where a model's policy says nothing.

    Attributes:
        idle: How long something runs on after its last use.
        grace: How long it is left alone after it first answers.
    """

    idle: timedelta = timedelta(minutes=60)
    grace: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Shipped:
    """Models with their placements and policies, found by what runs at a platform.

    Attributes:
        placements: Those that are not removed.
        policies: Those that were set, by model.
        names: Models by the name of their things at a platform.
    """

    placements: tuple[Placement, ...] = ()
    policies: Mapping[str, Policy] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    by_object: Mapping[tuple[bool, str], tuple[Placement, ...]] = field(default_factory=dict)
    by_model: Mapping[str, Placement] = field(default_factory=dict)

    def on(self, thing: Billed) -> tuple[Placement, ...]:
        """Give the placements that something serves: by its id, else by the name that Lorry gave it."""
        found = self.by_object.get((thing.rehearsal, thing.id), ())
        if found or thing.name not in self.names:
            return found
        lost = self.by_model.get(self.names[thing.name])
        return (lost,) if lost is not None and _embedded(lost) == thing.rehearsal else ()

    def whose(self, thing: Billed) -> Whose:
        """Say whom its cost is counted to."""
        found = self.on(thing)
        if len(found) == 1:
            return Whose(found[0].model, found[0].route)
        return Whose(None, found[0].route if found else None)

    def policy(self, model: str) -> Policy:
        """Give a model's policy."""
        return self.policies.get(model, DEFAULT_POLICY)


def shipped(
    models: Iterable[TrainedModel], placements: Iterable[Placement], policies: Mapping[str, Policy]
) -> Shipped:
    """Put together what is found by what runs."""
    kept = tuple(each for each in placements if each.state is not PlacementState.RETIRED)
    by_object: dict[tuple[bool, str], tuple[Placement, ...]] = {}
    for each in kept:
        if (key := object_of(each)) is not None:
            place = (_embedded(each), key[1])
            by_object[place] = (*by_object.get(place, ()), each)
    names = {provider_name(model.name, model.digest): model.name for model in models}
    return Shipped(kept, policies, names, by_object, {each.model: each for each in kept})


def object_of(placement: Placement) -> tuple[BilledKind, str] | None:
    """Give what of a placement bills by the hour, and its id; `None` where nothing does."""
    ids = placement.ids
    if ids.container is not None:
        return BilledKind.CONTAINER, ids.container
    if ids.deployment is not None:
        return BilledKind.DEPLOYMENT, ids.deployment
    if placement.route == "together-v1" and ids.endpoint is not None:
        return BilledKind.LEGACY, ids.endpoint
    return None


def activity_of(placements: Sequence[Placement], seen: Mapping[str, Activity]) -> Activity:
    """Put together what was asked of all models that something serves."""
    found = [seen[each.model] for each in placements if each.model in seen]
    used = [each.used_at for each in found if each.used_at is not None]
    load = Load(sum(each.load.now for each in found), sum(each.load.peak for each in found))
    return Activity(max(used, default=None), load)


def rules_for(
    known: Shipped,
    placements: Sequence[Placement],
    standings: Sequence[Standing],
    defaults: Defaults,
    now: datetime,
) -> Rules:
    """Say what holds for something that serves models: the most that any of their policies asks for.

    A budget of one model stops what serves it alone, and not what others share.
    """
    policies = [(each, known.policy(each.model)) for each in placements]
    idles = [_idle(policy, defaults, now) for _, policy in policies]
    alone = placements[0] if len(placements) == 1 else None
    owner = known.policy(alone.model).owner if alone else None
    gone = severest(holding(standings, alone.model if alone else None, owner))
    return Rules(
        idle=max(idles, default=defaults.idle),
        grace=defaults.grace,
        hours=tuple(parse_hours(text) for _, policy in policies for text in policy.hours),
        range=_range(alone, known.policy(alone.model)) if alone else None,
        at_once=gone is not None and gone.budget.at_limit == SOFTEN,
        final=any(policy.idle_minutes is not None for _, policy in policies),
        over=gone.sentence if gone is not None and gone.budget.at_limit == STOP else "",
    )


def _idle(policy: Policy, defaults: Defaults, now: datetime) -> timedelta:
    """Say how long something may idle by a policy, at a time."""
    usual = defaults.idle if policy.idle_minutes is None else timedelta(minutes=policy.idle_minutes)
    if policy.quiet and open_until(map(parse_hours, policy.quiet), now) is not None:
        return min(usual, timedelta(minutes=LEAST_IDLE_MINUTES))
    return usual


def _range(placement: Placement, policy: Policy) -> Range | None:
    if policy.in_flight is None:
        return None
    least = placement.options.min_replicas
    most = max(least, policy.most_replicas or placement.options.max_replicas)
    return Range(policy.in_flight, least, most, policy.spare)


def _embedded(placement: Placement) -> bool:
    return placement.rehearsal or placement.route == "local"
