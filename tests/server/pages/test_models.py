"""The list of models: found, sorted and cut among thousands; and a single one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from lorry.errors import NoCapacity, RateLimited
from lorry.journal import step_done, step_failed, step_started
from lorry.model.billing import BilledKind, Lease, Run
from lorry.model.kept import Came, LedgerRow
from lorry.model.placement import PlacementState
from lorry.model.serving import Policy
from lorry.settings import Settings
from lorry.store import open_store
from lorry.store.tables import MODELS, PLACEMENTS
from tests.server.ground import gate, place, placed, settings_of, trained
from tests.server.pages.browsing import visiting, words

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)  # what the gate's clock says


def asked(
    name: str, number: int, came: Came = Came.OK, cents: float = 0.0, ago: timedelta | None = None
) -> LedgerRow:
    """Give a row of the ledger."""
    at = NOON - (ago or timedelta(minutes=number + 1))
    id_ = f"{name}{number}"
    return LedgerRow(
        f"{id_}-1", id_, at, None, None, name, name, "together-url", False, "images", came, cents=cents
    )


async def many(settings: Settings, count: int) -> None:
    """Write so many models at once."""
    models = [trained(f"model-{number:05}", trigger=f"T{number}") for number in range(count)]
    states = (PlacementState.READY, PlacementState.READY, PlacementState.FAILED, PlacementState.HELD)
    placements = [
        placed(each.name, "local" if number % 3 else "together-url", state=states[number % 4])
        for number, each in enumerate(models)
    ]
    async with open_store(settings.home) as store, store.database.writing() as connection:
        await connection.execute(insert(MODELS), [each.as_dict() for each in models])
        await connection.execute(insert(PLACEMENTS), [each.as_dict() for each in placements])


async def test_ten_thousand_models_are_a_small_page(home: Path) -> None:
    """Fifty at a time, all of them counted, each of them found; the page is a few kilobytes on the line."""
    settings = settings_of(home)
    await many(settings, 10_000)
    async with gate(settings) as here, visiting(here) as visit:
        got = await visit.see("/")
        assert int(got.headers["content-length"]) < 10_000
        seen: list[str] = []
        for number in (1, 2, 200):
            view = await visit.data(f"/models.json?page={number}")
            seen += [row["name"] for row in view["models"]]
        assert (view["pages"], view["found"], view["known"]) == (200, 10_000, 10_000)
        assert seen == [f"model-{n:05}" for n in (*range(100), *range(9950, 10_000))]
        assert view["states"] == {"ready": 5000, "failed": 2500, "held": 2500}
        one = await visit.data("/models.json?q=MODEL-07777")
        assert [row["name"] for row in one["models"]] == ["model-07777"]
        both = await visit.data("/models.json?state=failed&route=together-url&q=model-00")
        wanted = [n for n in range(1000) if n % 4 == 2 and n % 3 == 0]
        assert both["found"] == len(wanted)
        assert (await visit.data("/models.json?page=99999"))["query"]["page"] == 200
        for wrong in ("page=0", "sort=size", "q=" + "x" * 201):
            assert (await visit.client.get(f"/models.json?{wrong}")).status_code == 400


async def test_a_row_says_how_a_model_stands_and_what_it_did_today(home: Path) -> None:
    """Requests, success and cost since midnight; asleep, sick and starting are told from ready."""
    settings = settings_of(home)
    for name in ("busy", "idle", "sleeps", "sick"):
        await place(settings, name, "together-url" if name == "busy" else "local")
    async with open_store(settings.home) as store:
        rows = [asked("busy", n, cents=2.5) for n in range(8)]
        rows += [asked("busy", 20, Came.FAILED), asked("busy", 21, Came.UNKNOWN)]
        rows += [asked("busy", 30, Came.REFUSED), asked("busy", 31, ago=timedelta(hours=13))]
        await store.ledger.write(rows)
        placement = await store.placement("sleeps")
        assert placement is not None
        run = Run("dep_1", "x", "sleeps", "local", False, "gpu", 100.0, 1, NOON - timedelta(hours=3), NOON)
        await store.books.save_runs([run])
        for name in ("idle", "sick", "busy"):
            other = placed(name, "together-url" if name == "busy" else "local")
            await store.save_placement(_with_object(other, f"dep_{name}"))
        await store.outages.hold("sick", "access_denied", "The key is refused.")
    async with gate(settings) as here, visiting(here) as visit:
        view = await visit.data("/models.json?sort=cost")
        row = {each["name"]: each for each in view["models"]}
        assert (row["busy"]["requests"], row["busy"]["success"]) == (10, 0.8)
        assert row["busy"]["cents_today"] == 20.0
        assert [row[name]["standing"] for name in ("busy", "idle", "sleeps", "sick")] == [
            "ready", "ready", "asleep", "sick",
        ]  # fmt: skip
        assert view["models"][0]["name"] == "sleeps"  # three hours of a replica
        page = words(await visit.see("/"))
        assert all(word in page for word in ("☾ asleep", "▲ does not answer", "80.0%", "$0.200"))


def _with_object(placement: Any, name: str) -> Any:
    from dataclasses import replace

    return replace(placement, ids=replace(placement.ids, deployment=name))


async def test_a_model_tells_its_way_its_error_and_what_runs(home: Path) -> None:
    """The timeline is the journal's; an error has its next step; a lease has its end and its price."""
    settings = settings_of(home)
    await place(settings, "tok", state=PlacementState.FAILED, policy=Policy(owner="ann"))
    error = NoCapacity("No room for a GPU.", evidence={"hardware": "h100"})
    async with open_store(settings.home) as store:
        placement = await store.placement("tok")
        assert placement is not None
        from dataclasses import replace

        await store.save_placement(replace(placement, error=error.as_dict()))
        began = NOON - timedelta(minutes=9)
        await store.write(step_started("tok", "delivery", "check", "It begins.", began))
        await store.write(step_done("tok", "delivery", "check", "54 modules.", began, began))
        await store.write(step_started("tok", "delivery", "deploy", "One replica.", began))
        await store.write(step_failed("tok", "delivery", "deploy", error, NOON, began))
        run = Run("dep_1", "x", "tok", "local", False, "1xh100", 549.0, 2, began)
        await store.books.save_runs([run])
        until = NOON + timedelta(minutes=30)
        lease = Lease("dep_1", BilledKind.DEPLOYMENT, "x", "ep", False, "tok", until, "used a minute ago")
        await store.books.save_leases([lease])
    async with gate(settings) as here, visiting(here) as visit:
        view = await visit.data("/models/tok.json")
        assert [(line["step"], line["state"], line["seconds"]) for line in view["lines"]] == [
            ("check", "done", 0.0), ("deploy", "failed", 540.0),
        ]  # fmt: skip
        assert view["status"]["status"] == "failed"
        assert view["actions"] == ["resume", "undo"]
        assert view["leases"][0]["cents_per_hour"] == 1098.0
        page = words(await visit.see("/models/tok"))
        for word in (
            "No room for a GPU.",
            "h100",
            "2 replicas of 1xh100, $10.98 an hour",
            "in 30 min",
            "owner ann",
        ):
            assert word.lower() in page.lower(), word
        assert "Next:" in page


async def test_a_proof_is_shown_as_it_was_kept(home: Path) -> None:
    """Its pictures are those of the disk; one that is gone is said to be, and no other file is given."""
    from dataclasses import replace

    from lorry.model.placement import Proof
    from tests.server.ground import PNG

    settings = settings_of(home)
    await place(settings, "tok")
    file = home / "with.png"
    file.write_bytes(PNG)
    proof = Proof("a TOK", 1, 1.0, 40.0, 0.0, 1.0, True, str(home / "gone.png"), str(file))
    async with open_store(settings.home) as store:
        await store.save_placement(replace(placed("tok"), proof=proof))
    async with gate(settings) as here, visiting(here) as visit:
        assert (await visit.client.get("/models/tok/proof/with")).content == PNG
        gone = await visit.client.get("/models/tok/proof/without")
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "generation_not_found")
        for other in ("..%2f..%2fetc%2fpasswd", "file_with", "x"):
            assert (await visit.client.get(f"/models/tok/proof/{other}")).status_code == 404
        assert "40 of 255 levels" in words(await visit.see("/models/tok"))


async def test_a_model_that_was_retired_has_its_journal_still(home: Path) -> None:
    """Its page says that nothing of it runs; a name that was never known is not found."""
    settings = settings_of(home)
    async with open_store(settings.home) as store:
        await store.write(step_started("old", "retire", "delete", "It is removed.", NOON))
        await store.write(step_done("old", "retire", "delete", "Nothing is left.", NOON, NOON))
    async with gate(settings) as here, visiting(here) as visit:
        page = words(await visit.see("/models/old"))
        assert "Nothing of it runs or bills any more." in page
        assert "Nothing is left." in page
        assert (await visit.data("/models/old.json"))["standing"] == "retired"
        never = await visit.see("/models/never")
        assert never.status_code == 404
        assert "model_not_found" in words(never)


async def test_what_is_held_back_says_for_how_long(home: Path) -> None:
    """A place that is limited is told from one that a person has to mend."""
    settings = settings_of(home)
    await place(settings, "tok", "together-url")
    async with gate(settings) as here, visiting(here) as visit:
        found = here.rooms.directory.now.place("tok")
        assert found is not None
        account = here.rooms.gateway.tries.line_of(found).account
        here.rooms.healths.bad(found, account, RateLimited("Slow down.", evidence={"retry_after": 40}))
        page = words(await visit.see("/models/tok"))
        assert "Requests are kept from it: Slow down." in page
        assert "tried again in 40 s" in page
        assert "Slow down." in words(await visit.see("/health"))
