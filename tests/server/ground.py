"""A gateway without a network: real rooms over a real store, places that answer as a test says."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from lorry.generation.ports import AnswerCut, NotSent
from lorry.model.batch import Order
from lorry.model.placement import Placement, PlacementState, ProviderIds, TrainedModel
from lorry.model.serving import Policy, Scope
from lorry.server.front import build_front
from lorry.server.rooms import Rooms
from lorry.settings import Settings, read_settings
from lorry.store import open_store
from lorry.wiring.gateway import open_rooms

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
FLUX2 = "black-forest-labs/FLUX.2-dev"


@dataclass
class Sent:
    """A request that reached a place."""

    url: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass
class Says:
    """What a place answers: a status, a body in pieces, and how it ends."""

    status: int = 200
    body: bytes | list[bytes] = b""
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    cut: bool = False
    before: Callable[[], Awaitable[object]] | None = None


Answering = Callable[[Sent], Says | Exception]


def picture(sent: Sent, content: bytes = PNG) -> Says:
    """Answer with one picture for each that was asked for."""
    count = int(sent.body.get("n") or 1)
    data = [
        {"index": index, "type": "b64_json", "b64_json": base64.b64encode(content).decode()}
        for index in range(count)
    ]
    body = {"id": "img_1", "model": sent.body["model"], "object": "list", "data": data}
    return says_json(body)


def says_json(body: Any, status: int = 200, **headers: str) -> Says:
    """Answer with JSON."""
    content = json.dumps(body).encode()
    return Says(
        status,
        content,
        {"content-type": "application/json", "content-length": str(len(content)), **headers},
    )


def refusal(status: int, code: str, message: str = "no", **headers: str) -> Says:
    """Answer as the platform refuses."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return says_json({"error": error}, status, **headers)


class Places:
    """An upstream double: every place answers by one function, and everything sent is kept."""

    def __init__(self) -> None:
        self.answer: Answering = picture
        self.sent: list[Sent] = []
        self.arrived = asyncio.Event()

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> _Call:
        """Send a request once."""
        return _Call(self, Sent(url, headers, json.loads(body)))

    async def close(self) -> None:
        """Close nothing."""


class _Call:
    def __init__(self, places: Places, sent: Sent) -> None:
        self._places, self._sent = places, sent

    async def __aenter__(self) -> _Reply:
        self._places.sent.append(self._sent)
        self._places.arrived.set()
        said = self._places.answer(self._sent)
        if isinstance(said, Exception):
            raise said
        if said.before is not None:
            await said.before()
        return _Reply(said)

    async def __aexit__(self, *_: object) -> None:
        pass


class _Reply:
    def __init__(self, said: Says) -> None:
        self._said = said
        self._pieces = list(said.body) if isinstance(said.body, list) else [said.body]
        self.status = said.status

    def header(self, name: str) -> str | None:
        return self._said.headers.get(name)

    def headers(self) -> Mapping[str, str]:
        return self._said.headers

    async def read(self) -> bytes | None:
        if self._pieces:
            return self._pieces.pop(0)
        if self._said.cut:
            raise AnswerCut("connection reset")
        return None


class Deliveries:
    """A double of what writes deliveries down: keeps the orders, and answers by one function."""

    def __init__(self) -> None:
        self.orders: list[tuple[Order, bool]] = []
        self.fails: Exception | None = None

    async def __call__(self, order: Order, *, agree: bool) -> Mapping[str, Any]:
        """Keep an order."""
        self.orders.append((order, agree))
        if self.fails is not None:
            raise self.fails
        return {"state": "delivering", "route": order.route}


class Errands:
    """A double of what runs commands of `lorry`: keeps their words, and answers by one function."""

    def __init__(self) -> None:
        self.ran: list[list[str]] = []
        self.answer: Callable[[list[str]], Mapping[str, Any] | Exception] = lambda _: {}

    async def __call__(self, words: Sequence[str], seconds: float) -> Mapping[str, Any]:  # noqa: ARG002
        """Keep a command."""
        self.ran.append(list(words))
        told = self.answer(list(words))
        if isinstance(told, Exception):
            raise told
        return told

    async def begin(self, words: Sequence[str], patience: float) -> Mapping[str, Any] | None:
        """Keep a command that goes on."""
        await self(words, patience)
        return None


@dataclass
class Gate:
    """A gateway under test."""

    rooms: Rooms
    client: httpx.AsyncClient
    places: Places
    time: list[float]
    day: list[datetime]
    delivered: Deliveries
    errands: Errands

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Send JSON."""
        return await self.client.post(
            path, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    async def images(self, model: str = "tok", **more: Any) -> httpx.Response:
        """Ask for a picture inside the answer, in the compatible form."""
        return await self.post(
            "/v1/images/generations",
            {"model": model, "prompt": "an apple", "response_format": "base64", **more},
        )

    async def generate(
        self, model: str = "tok", headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """Ask in Lorry's own form."""
        return await self.client.post(
            "/api/generate", json={"model": model, "prompt": "an apple", "seed": 7, **more}, headers=headers
        )

    async def ledger(self) -> list[dict[str, Any]]:
        """Read the ledger, newest last, once everything is written."""
        store: Any = self.rooms.access
        await self.rooms.gateway.tries.ledger._flush()
        return list(reversed(await store.ledger.newest(100)))

    def pass_time(self, seconds: float) -> None:
        """Let time pass on the gateway's clock."""
        self.time[0] += seconds


def trained(
    name: str,
    *,
    base: str = "lorry/flux-icons-64",
    kind: str = "image-lora",
    digest: str = "a" * 64,
    trigger: str | None = "TOK",
) -> TrainedModel:
    """Give a model."""
    return TrainedModel(
        name, f"/files/{name}", digest, "flux1", base, trigger, 10, datetime(2026, 11, 1, tzinfo=UTC), kind
    )


def placed(
    name: str, route: str = "local", *, state: PlacementState = PlacementState.READY, rehearsal: bool = False
) -> Placement:
    """Give a placement as the delivery of its route would have left it."""
    ids = ProviderIds(
        endpoint_name=f"slug/{name}", adapter_name=f"slug/{name}-adapter", endpoint="ep_1", deployment="dep_1"
    )
    if route == "together-url":
        ids = ProviderIds(base_name=FLUX2, address=f"https://hub.example/{name}.safetensors")
    if route == "together-attached":
        ids = ProviderIds(
            endpoint_name="slug/shared",
            adapter_name=f"slug/shared:{name}",
            attachment="dad_1",
            endpoint="ep_2",
            deployment="dep_2",
        )
    return Placement(
        name, route, state, "prove", ids, None, None, datetime(2026, 11, 1, tzinfo=UTC), rehearsal
    )


async def place(
    settings: Settings,
    name: str,
    route: str = "local",
    policy: Policy | None = None,
    *,
    model: TrainedModel | None = None,
    **more: Any,
) -> None:
    """Write a model and its placement into a store."""
    async with open_store(settings.home, settings.database_url) as store:
        await store.save_model(model or trained(name), placed(name, route, **more))
        if policy is not None:
            await store.set_policy(name, policy)


async def token(settings: Settings, owner: str | None = None, *scopes: Scope, **more: Any) -> str:
    """Make a token and give its secret."""
    from lorry.generation.gateway.minting import mint

    secret, made = mint(owner, frozenset(scopes or (Scope.GENERATE,)), datetime.now(UTC), **more)
    async with open_store(settings.home, settings.database_url) as store:
        await store.add_token(made)
    return secret


def settings_of(home: Path, **more: str) -> Settings:
    """Give settings with keys, so that every route has a way."""
    environ = {
        "LORRY_HOME": str(home),
        "LORRY_TOGETHER_KEY": "key",
        "LORRY_TOGETHER_URL": "https://api.example",
        "LORRY_ENGINE_URL": "http://127.0.0.1:1",
        **{f"LORRY_{k.upper()}": v for k, v in more.items()},
    }
    return read_settings(environ=environ, folder=home)


@asynccontextmanager
async def gate(
    settings: Settings, *, secret: str | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Gate]:
    """Open a gateway over what a store holds."""
    places, time, day = Places(), [1000.0], [datetime(2026, 11, 29, 12, tzinfo=UTC)]

    def present() -> datetime:
        return day[0] + timedelta(seconds=time[0] - 1000.0)

    async with AsyncExitStack() as stack:
        rooms = await stack.enter_async_context(
            open_rooms(settings, upstream=places, clock=lambda: time[0], present=present)
        )
        errands = Errands()
        rooms = replace(rooms, deliver=(delivered := Deliveries()), desk=replace(rooms.desk, errand=errands))
        transport = httpx.ASGITransport(build_front(rooms), raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url=f"http://{host}:8700", headers=headers)
        )
        yield Gate(rooms, client, places, time, day, delivered, errands)


__all__ = ["AnswerCut", "NotSent"]
