"""What the platform says happened: which events, in which order, in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lorry.delivery.ports import HostedEvent, Platform
from lorry.errors import PlatformFault
from tests.platforms.stand_in import StandIn

EVENTS = "/v2/projects/proj_1/endpoints/ep_1/events"


def _event(number: int, **fields: Any) -> dict[str, Any]:
    at = f"2026-11-01T00:{number // 60:02}:{number % 60:02}Z"
    return {"id": f"evt_{number}", "type": "pod.log", "level": "LEVEL_WARN", "createdAt": at, **fields}


def _page(server: StandIn, rows: list[dict[str, Any]], cursor: str = "") -> None:
    body = json.dumps({"object": "list", "data": rows, "next_cursor": cursor}).encode()
    server.instead.append((EVENTS, 200, body, "application/json"))


async def test_the_newest_hundred_come_oldest_first_over_all_pages(
    platform: Platform, server: StandIn
) -> None:
    """Pages of sixty, the newest first, as the platform gives them: two are read, and none beyond."""
    newest_first = [_event(number) for number in range(180, 0, -1)]
    for begin in (0, 60, 120):
        _page(server, newest_first[begin : begin + 60], cursor=f"after-{begin}")
    events = await platform.endpoints.events("ep_1")
    assert [event.id for event in events] == [f"evt_{number}" for number in range(81, 181)]
    assert len([one for one in server.seen if one.path == EVENTS]) == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"message": "It runs."}, "It runs."),
        ({"message": "Image pull failed.", "logExcerpt": "401"}, "Image pull failed.: 401"),
        (
            {"status": "False", "reason": "ReplicasProgressing", "message": "0 of 1"},
            "False: ReplicasProgressing: 0 of 1",
        ),
        ({"oldReplicas": 1, "newReplicas": 3}, "replicas 1 → 3"),
        ({"newReplicas": 3}, "replicas 0 → 3"),
        ({"message": "same", "reason": "same"}, "same"),
        ({}, "pod.log"),
    ],
)
async def test_an_event_is_told_in_one_sentence(
    platform: Platform, server: StandIn, fields: dict[str, Any], words: str
) -> None:
    """Whatever fields its type has (dossier 2.6); one that says nothing is told by its type."""
    _page(server, [_event(1, deploymentId="dep_1", **fields)])
    assert await platform.endpoints.events("ep_1") == (
        HostedEvent("evt_1", "2026-11-01T00:00:01+00:00", "warn", "pod.log", words, "dep_1"),
    )


async def test_an_event_without_an_id_can_not_be_read(platform: Platform, server: StandIn) -> None:
    """It could not be told once only."""
    _page(server, [{"type": "pod.log"}])
    with pytest.raises(PlatformFault, match="no id"):
        await platform.endpoints.events("ep_1")
