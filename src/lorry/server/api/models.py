"""Models over HTTP: the list that clients of the compatible API read, and policies."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path

from lorry.errors import ModelNotFound
from lorry.generation.gateway.directory import Snapshot
from lorry.model.serving import Policy, policy_from, require_sound_policy
from lorry.server.api.asking import Admin, Anybody, Shipping, TheRooms

_Name = Annotated[str, Path(description="Lorry's name of the model.", max_length=100)]


def models_router() -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["models"])
    router.add_api_route("/v1/models", compatible, methods=["GET"])
    router.add_api_route("/api/models", models, methods=["GET"])
    router.add_api_route("/api/models/{name}", model, methods=["GET"])
    router.add_api_route("/api/models/{name}/policy", set_policy, methods=["PUT"])
    router.add_api_route("/api/models/{name}/start", start, methods=["POST"], status_code=202)
    return router


async def compatible(rooms: TheRooms, caller: Anybody) -> dict[str, Any]:
    """List the models that the token may ask for, as OpenAI's API does."""
    snapshot = rooms.directory.now
    rows = [_compatible(snapshot, name) for name in sorted(snapshot.seen_by(caller))]
    return {"object": "list", "data": rows}


async def models(rooms: TheRooms, caller: Anybody) -> dict[str, Any]:
    """List the models that the token may ask for, with where they are."""
    snapshot = rooms.directory.now
    return {"models": [_told(snapshot, name) for name in sorted(snapshot.seen_by(caller))]}


async def model(rooms: TheRooms, caller: Anybody, name: _Name) -> dict[str, Any]:
    """Show a model, where it is, and its policy."""
    snapshot = rooms.directory.now
    snapshot.require(name, caller)
    return {**_told(snapshot, name), "policy": snapshot.policy(name).as_dict()}


async def set_policy(
    rooms: TheRooms, caller: Admin, name: _Name, changes: Annotated[dict[str, Any], Body()]
) -> dict[str, Any]:
    """Change a model's policy: the fields that are given."""
    snapshot = rooms.directory.now
    snapshot.require(name, caller)
    policy = changed_policy(snapshot.policy(name), changes)
    require_sound_policy(name, policy)
    missing = [other for other in policy.also if other not in snapshot.models]
    if missing:
        raise ModelNotFound(f"No model {missing[0]!r} is known here.", evidence={"missing": missing})
    await rooms.access.set_policy(name, policy)
    await rooms.refresh()
    return {"model": name, "policy": policy.as_dict()}


async def start(rooms: TheRooms, caller: Shipping, name: _Name) -> dict[str, Any]:
    """Start a model that is asleep; one that is starting already goes on."""
    snapshot = rooms.directory.now
    snapshot.require(name, caller)
    place = snapshot.place(name)
    if place is None:
        raise ModelNotFound(f"{name!r} is nowhere yet.", fix=f"Run `lorry resume {name}`.")
    begun = rooms.waker.wake(place)
    await begun.learned.wait()
    expected = begun.expected()
    return {
        "model": name,
        "stage": begun.stage,
        "seconds": round(begun.running_for(), 1),
        "expected": expected.as_dict() if expected else None,
    }


def changed_policy(policy: Policy, changes: dict[str, Any]) -> Policy:
    """Give a policy with some of its fields changed.

    Args:
        policy: As it was.
        changes: By the names of its fields.

    Raises:
        BodyInvalid: A field does not exist, or has another type.
    """
    from pydantic import TypeAdapter, ValidationError

    from lorry.errors import BodyInvalid

    unknown = sorted(set(changes) - set(policy.as_dict()))
    problems = [f"there is no field {name[:60]!r}" for name in unknown]
    try:
        checked = TypeAdapter(Policy).validate_python({**policy.as_dict(), **changes} if not unknown else {})
    except ValidationError as error:
        problems += [f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors()]
    if problems:
        raise BodyInvalid(f"{'; '.join(problems)}.", evidence={"problems": problems})
    return policy_from(checked.as_dict())


def _compatible(snapshot: Snapshot, name: str) -> dict[str, Any]:
    model = snapshot.models[name]
    kind = "image" if model.kind == "image-lora" else "chat"
    return {
        "id": name,
        "object": "model",
        "created": int(model.created_at.timestamp()),
        "owned_by": snapshot.policy(name).owner or "lorry",
        "type": kind,
        "display_name": name,
        "organization": snapshot.policy(name).owner or "lorry",
        "link": model.base,
    }


def _told(snapshot: Snapshot, name: str) -> dict[str, Any]:
    model, placement = snapshot.models[name], snapshot.placements.get(name)
    return {
        "name": name,
        "kind": model.kind,
        "base": model.base,
        "trigger": model.trigger,
        "owner": snapshot.policy(name).owner,
        "route": placement.route if placement else None,
        "state": str(placement.state) if placement else None,
        "rehearsal": placement.rehearsal if placement else False,
    }
