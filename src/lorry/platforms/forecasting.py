"""What shipping would do on each route: the verdict on the file, then what the platform says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from lorry.delivery.doubles import MemoryStore
from lorry.delivery.place import Places
from lorry.delivery.policy import Policy
from lorry.delivery.routes import plan_of
from lorry.delivery.run import Run, World
from lorry.delivery.seen import model_of
from lorry.errors import LorryError
from lorry.model.forecast import Forecast, Obstacle
from lorry.model.options import Wish
from lorry.model.report import WeightsReport
from lorry.model.verdict import Runs, Verdict
from lorry.platforms.profiles import Profile, route_profile
from lorry.platforms.shipping import rehearsed
from lorry.platforms.verdicts import judge


async def forecast_all(
    report: WeightsReport, name: str, wishes: Sequence[Wish], places: Places, now: datetime
) -> tuple[Forecast, ...]:
    """Forecast a model on several routes, each by itself.

    Args:
        report: What the check said of its files.
        name: What it would be called.
        wishes: The routes, with what is asked for.
        places: Opens routes.
        now: The time, UTC.

    Raises:
        OptionInvalid: A route does not exist.
    """
    profiles = [_profile(wish) for wish in wishes]
    return tuple(
        [
            await _forecast(report, name, wish, profile, places, now)
            for wish, profile in zip(wishes, profiles, strict=True)
        ]
    )


def _profile(wish: Wish) -> Profile:
    profile = route_profile(wish.route)
    return rehearsed(profile) if wish.rehearsal else profile


async def _forecast(
    report: WeightsReport, name: str, wish: Wish, profile: Profile, places: Places, now: datetime
) -> Forecast:
    verdict = judge(report, profile)
    refused = _obstacles(verdict)
    if verdict.runs is Runs.NO and not _closed_only(verdict):
        return Forecast(wish.route, False, obstacles=refused, rehearsal=wish.rehearsal)
    try:
        place = await places.place(wish.route, rehearsal=wish.rehearsal)
        run = Run(_world(places, now), place, model_of(report.summary, name, now), "forecast", wish.options)
        told = await plan_of(place.route, run.model.kind).forecast(run)
    except LorryError as error:
        obstacle = Obstacle(error.code, error.message, error.fix)
        return Forecast(wish.route, False, obstacles=(*refused, obstacle), rehearsal=wish.rehearsal)
    obstacles = (*told.obstacles, *(each for each in refused if each.code not in _codes(told)))
    creates = told.creates
    if verdict.runs is Runs.CONVERTED:
        creates = ("a converted copy of the file, on this machine", *creates)
    return replace(told, runs=not obstacles, obstacles=obstacles, creates=creates)


def _closed_only(verdict: Verdict) -> bool:
    """Tell whether nothing but the end of a route speaks against it: an account may still have it."""
    return {reason.code for reason in verdict.reasons if reason.blocks} == {"ROUTE_CLOSED"}


def _obstacles(verdict: Verdict) -> tuple[Obstacle, ...]:
    if verdict.runs is not Runs.NO:
        return ()
    return tuple(Obstacle(_code(reason.code), reason.sentence) for reason in verdict.reasons if reason.blocks)


def _code(code: str) -> str:
    return "v1_closed" if code == "ROUTE_CLOSED" else code


def _codes(forecast: Forecast) -> set[str]:
    return {obstacle.code for obstacle in forecast.obstacles}


def _world(places: Places, now: datetime) -> World:
    """Give a world in which nothing is kept: a forecast reads the platform and writes nowhere."""
    store = MemoryStore()
    return World(Path(), store, store, store, places, lambda: now, Policy(), lambda _: None)
