"""What is done with a model from its page: the command, the question with its price, the journal's line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorry.errors import DeliveryBusy, OptionInvalid, PriceNotAccepted
from lorry.model.event_kinds import undeclared
from lorry.model.serving import Scope
from tests.server.ground import gate, place, settings_of, token
from tests.server.pages.browsing import visiting, words


@pytest.mark.parametrize(
    ("act", "fields", "command"),
    [
        ("start", {}, ["start", "tok"]),
        ("start", {"minutes": "30"}, ["start", "tok", "--minutes", "30"]),
        ("stop", {}, ["stop", "tok"]),
        ("scale", {"replicas": "3"}, ["scale", "tok", "3"]),
        ("resume", {}, ["resume", "tok"]),
        ("cancel", {}, ["cancel", "tok"]),
        ("undo", {}, ["cancel", "tok", "--undo"]),
        ("retire", {}, ["retire", "tok"]),
    ],
)
async def test_each_button_is_a_command(
    home: Path, act: str, fields: dict[str, str], command: list[str]
) -> None:
    """It is asked for first, done once, said, and in the journal with who did it."""
    settings = settings_of(home)
    await place(settings, "tok")
    secret = await token(settings, None, Scope.SHIP)
    async with gate(settings) as here, visiting(here, secret) as visit:
        question = await visit.part(f"/models/tok/ask/{act}")
        assert "tok?" in words(question)
        assert here.errands.ran == []
        done = await visit.send(f"/models/tok/do/{act}", fields)
        assert done.status_code == 200
        assert "lorry:done" in done.headers["hx-trigger"]
        assert "tok" in words(done)
        assert here.errands.ran == [command]
        (event,) = await here.rooms.desk.journal.read("tok")
        assert (event.source, event.data["did"]) == ("dashboard", act)
        assert event.data["who"].startswith("tok_")
        assert event.data["who"] in event.message
        assert undeclared(event) is None


async def test_what_bills_is_asked_for_with_its_price(home: Path) -> None:
    """Nothing is agreed to unseen: the price comes back as a question, and its answer goes along."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here, visiting(here) as visit:
        price = {"cents": 1098.0, "per": "hour", "source": "the platform, asked now"}

        def priced(words_: list[str]) -> dict[str, object] | Exception:
            return {} if "--yes" in words_ else PriceNotAccepted("It bills.", evidence=price)

        here.errands.answer = priced
        question = await visit.send("/models/tok/do/scale", {"replicas": "2"})
        assert question.headers["hx-retarget"] == "#ask"
        assert "It bills $10.98 per hour" in words(question)
        assert "Scale for $10.98 per hour" in words(question)
        assert 'name="replicas" value="2"' in question.text
        done = await visit.send("/models/tok/do/scale", {"replicas": "2", "agreed": "1"})
        assert "is scaled" in words(done)
        assert here.errands.ran == [["scale", "tok", "2"], ["scale", "tok", "2", "--yes"]]


async def test_what_others_share_is_asked_for_by_name(home: Path) -> None:
    """To stop what serves other models too needs a second yes that names them."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here, visiting(here) as visit:
        shared = OptionInvalid("What tok runs on serves blue too.", evidence={"others": ["blue"]})
        here.errands.answer = lambda said: {} if "--yes" in said else shared
        question = await visit.send("/models/tok/do/stop")
        assert "serves blue too" in words(question)
        assert "is stopped" in words(await visit.send("/models/tok/do/stop", {"agreed": "1"}))


async def test_what_fails_is_told_with_its_next_step(home: Path) -> None:
    """The command's own error, its status, and a part that the page shows."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here, visiting(here) as visit:
        here.errands.answer = lambda _: DeliveryBusy("Process 12 works on tok.")
        got = await visit.send("/models/tok/do/resume")
        assert got.status_code >= 400
        assert "Process 12 works on tok." in words(got)
        assert "delivery_busy" in words(got)
        for fields in ({"replicas": "0"}, {"replicas": "2.5"}, {"replicas": "many"}, {}):
            assert (await visit.send("/models/tok/do/scale", fields)).status_code == 400
        for minutes in ("0", "-1", "nan", "1e9"):
            assert (await visit.send("/models/tok/do/start", {"minutes": minutes})).status_code == 400
        assert (await visit.send("/models/tok/do/explode")).status_code == 404
        assert (await visit.send("/models/none/do/stop")).status_code == 404
        assert here.errands.ran == [["resume", "tok"]]
