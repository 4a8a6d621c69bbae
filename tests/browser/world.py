"""A home in which everything that the dashboard can show has happened."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image, ImageDraw

from lorry.errors import NoCapacity
from lorry.journal import step_done, step_failed, step_note, step_started
from lorry.model.billing import BilledKind, Lease, Run
from lorry.model.budget import Budget
from lorry.model.events import Event
from lorry.model.kept import Came, LedgerRow
from lorry.model.placement import Placement, PlacementState, Proof, ProviderIds, TrainedModel
from lorry.model.serving import Policy
from lorry.settings import Settings
from lorry.store import Store, open_store

FLUX2, LLAMA, ICONS = (
    "black-forest-labs/FLUX.2-dev",
    "meta-llama/Llama-3.1-8B-Instruct",
    "lorry/flux-icons-64",
)

#: A name that nothing here would give a model, but that a database may hold.
EVIL = "<script>alert(1)"

#: A sentence with all that could break out of where it is put.
NASTY = "</td></script><img src=x onerror=alert(2)> \"quoted\" 'single' & {{ 7 * 7 }} `code`"


async def settled(settings: Settings) -> None:
    """Make a home in which models are in every state.

    Args:
        settings: Where it is.
    """
    now = datetime.now(UTC)
    async with open_store(settings.home) as store:
        for model, placement in _models(settings.home, now):
            await store.save_model(model, placement)
        await store.set_policy("anna-portrait", Policy(owner="anna"))
        for event in _events(now):
            await store.write(event)
        await store.ledger.write(list(_requests(now)))
        await _money(store, now)
        await store.outages.hold("ink-style", "access_denied", "Together refuses the key for this model.")


def _models(home: Path, now: datetime) -> Iterator[tuple[TrainedModel, Placement | None]]:
    proofs = home / "proofs"
    proofs.mkdir(parents=True)
    without, with_ = _picture(proofs / "without.png", "#b5651d"), _picture(proofs / "with.png", "#1f9d8f")
    proof = Proof("a picture of TOK", 1, 1.0, 39.9, 0.0, 1.0, True, without, with_)
    said = proofs / "said.txt"
    said.write_text(f"DISPATCH 12: two parcels, one signature. {NASTY}")
    words = Proof("Where is it?", 1, 1.0, 61.0, 2.0, 10.0, True, None, str(said), "text", "% of the words")
    ready, by = (
        PlacementState.READY,
        ProviderIds(base_name=FLUX2, address="https://hub.example/a.safetensors"),
    )
    runs = ProviderIds(
        endpoint="ep_1", endpoint_name="slug/ink", deployment="dep_ink", adapter_name="slug/ink"
    )
    error = NoCapacity("The platform has no room for 1xnvidia-h100-80gb in us-east.").as_dict()

    def row(
        name: str,
        route: str | None,
        state: PlacementState,
        ids: ProviderIds,
        *,
        base: str = FLUX2,
        kind: str = "image-lora",
        trigger: str | None = "TOK",
        proof: Proof | None = None,
        error: dict[str, object] | None = None,
        hours: float = 5.0,
    ) -> tuple[TrainedModel, Placement | None]:
        at = now - timedelta(hours=hours)
        model = TrainedModel(name, f"/files/{name}.safetensors", f"{hash(name) % 16**8:08x}" * 8, "flux2-dev",
                             base, trigger, 112, at, kind)  # fmt: skip
        return model, route and Placement(name, route, state, "prove", ids, proof, error, at)  # type: ignore[return-value]

    yield row("anna-portrait", "together-url", ready, by, proof=proof)
    yield row("ink-style", "local", ready, runs, base=ICONS, proof=proof, hours=30)
    yield row("sleeper", "local", ready, ProviderIds(deployment="dep_sleeper"), base=ICONS, proof=proof)
    yield row("parcel-helper", "together-attached", ready, ProviderIds(adapter_name="slug/shared:parcel"),
              base=LLAMA, kind="text-lora", trigger=None, proof=words)  # fmt: skip
    yield row("moving", "local", PlacementState.DELIVERING, ProviderIds(model="ml_1"), hours=0.02)
    yield row("brand-kit", "together-container", PlacementState.FAILED, ProviderIds(), error=error)
    yield row("on-hold", "together-merged", PlacementState.HELD, ProviderIds(model="ml_2"), base=LLAMA,
              kind="text-lora", trigger=None)  # fmt: skip
    yield row("nowhere-yet", None, ready, ProviderIds())
    yield row(EVIL, "local", ready, ProviderIds(), base=NASTY[:60], trigger=NASTY[:30], proof=None)


def _picture(path: Path, colour: str) -> str:
    picture = Image.new("RGB", (256, 256), "white")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((40, 50, 216, 226), fill=colour)
    draw.rectangle((110, 14, 146, 70), fill=colour)
    picture.save(path)
    return str(path)


def _events(now: datetime) -> Iterator[Event]:
    at = now - timedelta(minutes=3)
    for step, said in (
        ("check", "lora for FLUX.2-dev: 112 modules, rank 16."),
        ("publish", "Published as local/moving at a58b1175."),
        ("register", "It is local/moving there."),
    ):
        yield step_started("moving", "delivery", step, "It begins.", at)
        yield step_done("moving", "delivery", step, said, at + timedelta(seconds=2), at)
        at += timedelta(seconds=3)
    yield step_started("moving", "delivery", "upload", "1 file, 89,478,144 bytes.", at)
    sent = {"sent": 34_000_000, "total": 89_478_144, "per_second": 11_300_000}
    yield step_note("moving", "delivery", "upload", "progress", "38 % of 89.5 MB are there.", at, sent)
    began = now - timedelta(hours=5)
    yield step_started("brand-kit", "delivery", "check", "It begins.", began)
    yield step_done("brand-kit", "delivery", "check", "112 modules, rank 32.", began, began)
    yield step_started("brand-kit", "delivery", "container", "It is asked for.", began)
    error = NoCapacity("The platform has no room for 1xnvidia-h100-80gb in us-east.")
    yield step_failed("brand-kit", "delivery", "container", error, began + timedelta(minutes=4), began)
    yield step_started(EVIL, "delivery", "check", NASTY, began)
    yield step_done(EVIL, "delivery", "check", NASTY, began, began, {"note": NASTY})
    yield step_started("old-one", "retire", "delete", "It is removed.", began)
    yield step_done("old-one", "retire", "delete", "Nothing of it is there any more.", began, began)


def _requests(now: datetime) -> Iterator[LedgerRow]:
    dice = random.Random(3)  # noqa: S311 - test data
    places = (
        ("anna-portrait", "together-url", 2.8),
        ("ink-style", "local", 0.0),
        ("parcel-helper", "together-attached", 0.01),
    )
    for number in range(1200):
        name, route, cents = places[int(dice.paretovariate(1.4)) % len(places)]
        at = now - timedelta(seconds=dice.random() ** 1.3 * 86_000)
        bad = dice.random() < 0.04
        code = dice.choice(("platform_fault", "rate_limited", "no_capacity", "unreachable")) if bad else None
        yield LedgerRow(
            f"r{number}-1", f"r{number}", at, None, "anna" if name == "anna-portrait" else None, name, name,
            route, False, "images", Came.FAILED if bad else Came.OK, code, 502 if bad else 200,
            dice.lognormvariate(8, 0.4), 1, 0, 0, 0.0 if bad else cents,
        )  # fmt: skip


async def _money(store: Store, now: datetime) -> None:
    day = timedelta(days=1)
    gpu = "1xnvidia-h100-80gb"
    runs = [
        Run(f"dep_ink{ago}", "ink", "ink-style", "together-merged", False, gpu, 549.0, 1,
            now - ago * day - timedelta(hours=3 + ago % 4), now - ago * day)
        for ago in range(1, 26)
    ]  # fmt: skip
    open_ = Run("dep_ink", "ink", "ink-style", "local", False, gpu, 549.0, 1, now - timedelta(hours=2))
    slept = Run("dep_sleeper", "sleeper", "sleeper", "local", False, gpu, 549.0, 1, now - day, now - day / 2)
    await store.books.save_runs([*runs, open_, slept])
    until = now + timedelta(minutes=43)
    lease = Lease(
        "dep_ink", BilledKind.DEPLOYMENT, "lorry-ink-style-0a1b2c3d", "ep_1", False, "ink-style", until,
        "used 17 minutes ago; its lease is 60 minutes",
    )  # fmt: skip
    await store.books.save_leases([lease])
    await store.books.set_budget(Budget("all", 20_000, 300_000))
    await store.books.set_budget(Budget("model:ink-style", None, 30_000, "soften"))
