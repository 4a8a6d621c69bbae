"""Adapters on deployments: states over several clusters, order, and removal beside other changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from together.types.endpoints import DeploymentAdapterStatus

from lorry.delivery.ports import AttachmentState, Platform
from lorry.errors import Conflict, PlatformFault
from lorry.platforms.together.attachments import state_of
from tests.platforms.stand_in import StandIn

LIST = "/v2/projects/proj_1/endpoints/ep_1/deployments/dep_1/adapters"
ONE = f"{LIST}/dad_1"
JSON = "application/json"


def _cluster(state: str, **fields: Any) -> dict[str, Any]:
    return {"state": f"ADAPTER_LOAD_STATE_{state}", "clusterId": "c", **fields}


def _row(name: str, *clusters: dict[str, Any], **fields: Any) -> dict[str, Any]:
    row = {"id": name, "adapterModelId": "ml_1", "desiredRevisionId": "rv_1", "etag": "1"}
    return {**row, "perCluster": list(clusters), **fields}


def _next(server: StandIn, path: str, body: object, status: int = 200) -> None:
    server.instead.append((path, status, json.dumps(body).encode(), JSON))


@pytest.mark.parametrize(
    ("said", "fields", "state"),
    [
        ("PENDING", {}, AttachmentState.LOADING),
        ("LOADING", {}, AttachmentState.LOADING),
        ("READY", {}, AttachmentState.READY),
        ("READY", {"realizedRevisionId": "rv_1", "adapterValid": True}, AttachmentState.READY),
        ("READY", {"realizedRevisionId": "rv_0"}, AttachmentState.LOADING),
        ("READY", {"adapterValid": False}, AttachmentState.FAILED),
        ("LOADING", {"adapterValid": False}, AttachmentState.FAILED),
        ("REMOVING", {}, AttachmentState.REMOVING),
        ("REMOVING", {"adapterValid": False}, AttachmentState.REMOVING),
        ("FAILED", {}, AttachmentState.FAILED),
        ("HIBERNATING", {}, AttachmentState.LOADING),
    ],
)
def test_every_state_of_a_cluster_is_read(said: str, fields: dict[str, Any], state: AttachmentState) -> None:
    """The five of the dossier (2.8), a probe's verdict, another revision, and one that nobody knows yet."""
    assert state_of(DeploymentAdapterStatus.construct(**_cluster(said, **fields)), "rv_1") is state


@pytest.mark.parametrize(
    ("clusters", "state", "said", "message"),
    [
        ([], AttachmentState.LOADING, "", ""),
        ([_cluster("READY"), _cluster("READY")], AttachmentState.READY, "READY", ""),
        (
            [_cluster("READY"), _cluster("LOADING", message="half")],
            AttachmentState.LOADING,
            "LOADING",
            "half",
        ),
        (
            [_cluster("LOADING"), _cluster("FAILED", reason="oom"), _cluster("READY")],
            AttachmentState.FAILED,
            "FAILED",
            "oom",
        ),
        (
            [_cluster("READY"), _cluster("READY", adapterValid=False, adapterValidReason="it says nonsense")],
            AttachmentState.FAILED,
            "READY",
            "it says nonsense",
        ),
        ([_cluster("FAILED"), _cluster("REMOVING")], AttachmentState.REMOVING, "REMOVING", ""),
    ],
)
async def test_the_state_is_that_of_the_cluster_that_is_furthest_from_ready(
    platform: Platform,
    server: StandIn,
    clusters: list[dict[str, Any]],
    state: AttachmentState,
    said: str,
    message: str,
) -> None:
    """One cluster that lacks it is enough for requests to fail, so it decides, and its words are told."""
    _next(server, LIST, {"object": "list", "data": [_row("dad_1", *clusters)]})
    (found,) = await platform.attachments.list("ep_1", "dep_1")
    assert (found.state, found.said.removeprefix("ADAPTER_LOAD_STATE_"), found.message) == (
        state,
        said,
        message,
    )
    assert (found.id, found.model, found.revision) == ("dad_1", "ml_1", "rv_1")


async def test_the_oldest_comes_first(platform: Platform, server: StandIn) -> None:
    """By the time at which they were loaded, on all pages; what is not loaded yet comes last."""
    rows = [
        _row("dad_new", _cluster("READY", loadedAt="2026-11-03T00:00:00Z")),
        _row("dad_none", _cluster("LOADING")),
        _row("dad_old", _cluster("READY"), _cluster("READY", loadedAt="2026-11-01T00:00:00Z")),
    ]
    _next(server, LIST, {"object": "list", "data": rows[:2], "next_cursor": "dad_none"})
    _next(server, LIST, {"object": "list", "data": rows[2:]})
    found = await platform.attachments.list("ep_1", "dep_1")
    assert [each.id for each in found] == ["dad_old", "dad_new", "dad_none"]


async def test_an_adapter_that_changed_in_between_is_read_again_and_removed(
    platform: Platform, server: StandIn
) -> None:
    """The removal carries the etag of the second read."""
    _next(server, ONE, _row("dad_1", _cluster("LOADING")))
    _next(server, ONE, {"code": 10, "message": "ABORTED"}, 409)
    _next(server, ONE, _row("dad_1", _cluster("READY"), etag="2"))
    _next(server, ONE, {})
    await platform.attachments.detach("ep_1", "dep_1", "dad_1")
    deleted = [one.query["etag"] for one in server.seen if one.method == "DELETE"]
    assert deleted == ["1", "2"]


async def test_an_adapter_that_changes_all_the_time_is_a_conflict_in_the_end(
    platform: Platform, server: StandIn
) -> None:
    """After four attempts the caller hears of it."""
    for _ in range(4):
        _next(server, ONE, _row("dad_1", _cluster("LOADING")))
        _next(server, ONE, {"code": 10, "message": "ABORTED"}, 409)
    with pytest.raises(Conflict, match="ABORTED"):
        await platform.attachments.detach("ep_1", "dep_1", "dad_1")
    assert len([one for one in server.seen if one.method == "DELETE"]) == 4


async def test_what_is_being_removed_is_not_removed_again(platform: Platform, server: StandIn) -> None:
    """Nothing is asked of the platform but how it stands."""
    _next(server, ONE, _row("dad_1", _cluster("REMOVING")))
    await platform.attachments.detach("ep_1", "dep_1", "dad_1")
    assert [one.method for one in server.seen if one.path == ONE] == ["GET"]


async def test_an_attachment_is_asked_for_once_with_its_revision(platform: Platform, server: StandIn) -> None:
    """Revision and `force` go along; a 500 is not repeated, for it may have acted."""
    _next(server, LIST, {"message": "it broke"}, 500)
    with pytest.raises(PlatformFault) as caught:
        await platform.attachments.attach("ep_1", "dep_1", "ml_1", "rv_1", evict=True)
    assert caught.value.may_have_acted
    (sent,) = [one.json for one in server.seen if one.method == "POST"]
    assert sent == {"adapterModelId": "ml_1", "adapterRevisionId": "rv_1", "force": True}


async def test_an_attachment_without_an_id_can_not_be_read(platform: Platform, server: StandIn) -> None:
    """An answer that forgets what it speaks of is a fault of the platform."""
    _next(server, LIST, {"object": "list", "data": [{"perCluster": []}]})
    with pytest.raises(PlatformFault, match="can't be read"):
        await platform.attachments.list("ep_1", "dep_1")
