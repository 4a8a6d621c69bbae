"""Deliver: what is dropped or named, checked, mended, priced and shipped."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.errors import BodyInvalid, DiskFull, SourceNotFound, WeightsRejected
from lorry.model.batch import Order
from lorry.model.options import ShipOptions
from lorry.model.report import Finding, Severity, WeightsReport, WeightsSummary
from lorry.model.serving import Scope
from lorry.server.drops import Drops
from lorry.server.pages.checking import fixes_of, options_from
from tests.server.ground import gate, place, settings_of, token
from tests.server.pages.browsing import visiting, words

DROP = "0123456789abcdef01234567"


def checked(words_: list[str], *, command: str | None = None) -> Mapping[str, Any]:
    """Answer as `lorry check --for all --json` and `lorry ship --dry-run --json` do."""
    if words_[0] == "ship":
        price = {"cents": 549.0, "per": "replica-hour", "source": "asked", "note": "one H100"}
        other: dict[str, Any] = {"price": None, "target": None, "obstacles": [], "asked": []}
        other |= {"creates": [], "finds": []}
        hurdle = {"code": "BASE_LIMIT", "sentence": "Not its base.", "fix": None}
        refused = {**other, "route": "together-url", "runs": False, "obstacles": [hurdle], "rehearsal": False}
        taken = {**other, "route": "together-merged", "runs": True, "price": price, "target": "1xh100"}
        rows = [refused, {**taken, "creates": ["an endpoint"], "rehearsal": "--rehearse" in words_}]
        return {"routes": rows}
    summary = WeightsSummary(words_[1], f"{words_[1]}/w.safetensors", 1000, trigger="TOK", layout="kohya")
    report = WeightsReport(summary, (Finding("KEYS", Severity.WARNING, "Odd keys.", "Convert it."),))
    reason = {"code": "X", "sentence": "It needs other names.", "blocks": True, "mend": "--to diffusers"}
    verdict = {"target": "local", "kind": "route", "runs": "runs after conversion", "reasons": [reason],
               "command": command, "modules": 54}  # fmt: skip
    return {**report.as_dict(), "verdicts": [verdict, {**verdict, "kind": "loader", "target": "diffusers"}]}


async def test_from_a_dropped_file_to_a_shipped_model(home: Path) -> None:
    """The file goes to the disk, the check and the prices are told, and the order is what was chosen."""
    settings = settings_of(home)
    async with gate(settings) as here, visiting(here) as visit:
        here.errands.answer = checked
        sent = await visit.client.put(
            f"/deliver/files/{DROP}/my%20lora.safetensors", content=b"x" * 5000,
            headers={"x-lorry-csrf": visit.csrf},
        )  # fmt: skip
        assert (sent.status_code, sent.json()["source"]) == (201, f"dropped:{DROP}")
        there = home / "dropped" / "house" / DROP / "my lora.safetensors"
        assert there.read_bytes() == b"x" * 5000
        report = await visit.send("/deliver/check", {"source": f"dropped:{DROP}", "base": "a/b"})
        assert all(word in words(report) for word in ("Odd keys.", "It needs other names.", "Ship it"))
        assert str(there) not in report.text  # where the server keeps it is nobody's business
        routes = await visit.send("/deliver/routes", {"source": f"dropped:{DROP}", "name": "mine"})
        text = words(routes)
        assert text.index("together-merged") < text.index("together-url")
        assert "Ship for $5.49 per replica-hour" in text
        assert "Not its base." in text
        wish = {
            "source": f"dropped:{DROP}",
            "name": "mine",
            "route": "together-merged",
            "agreed": "1",
            "base": "a/b",
        }
        shipped = await visit.send("/deliver/ship", wish)
        assert (shipped.status_code, shipped.headers["hx-redirect"]) == (204, "/models/mine")
        options = ShipOptions(base="a/b")
        assert here.delivered.orders == [(Order(str(there), "mine", "together-merged", None, options), True)]
        assert here.errands.ran == [
            ["check", str(there), "--for", "all", "--base", "a/b"],
            ["ship", str(there), "--name", "mine", "--dry-run"],
        ]
        (event,) = await here.rooms.desk.journal.read("mine")
        assert (event.data["did"], event.data["who"]) == ("ship", "this machine")


async def test_a_button_mends_what_can_be_mended(home: Path) -> None:
    """The options are those of the verdict; the new file counts as dropped, and is checked next."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here, visiting(here) as visit:
        line = "lorry convert /files/tok -o tok-diffusers.safetensors --to diffusers --lossy --rank 64"
        here.errands.answer = lambda said: checked(said, command=line)
        weights = await visit.part("/models/tok/weights")
        assert "Convert with --to diffusers --lossy --rank 64 : then it runs on local, diffusers" in words(
            weights
        )
        fields = {"source": "x", "model": "tok", "name": "tok", "options": "--to diffusers --lossy --rank 64"}
        got = await visit.send("/deliver/convert", fields)
        assert got.status_code == 204
        to = got.headers["hx-redirect"]
        assert to.startswith("/deliver?source=dropped:")
        command = here.errands.ran[-1]
        assert command[:3] == ["convert", "/files/tok", "--out"]
        assert command[4:] == ["--to", "diffusers", "--lossy", "--rank", "64"]
        assert Path(command[3]).parent.is_dir()
        (event,) = await here.rooms.desk.journal.read("tok")
        assert event.data["options"] == command[4:]


async def test_who_may_not_do_everything_names_no_file_of_the_server(home: Path) -> None:
    """A token that may ship names repositories, addresses and what it dropped itself; nothing else."""
    settings = settings_of(home)
    secret = await token(settings, "ann", Scope.SHIP)
    other = await token(settings, "bob", Scope.SHIP)
    async with gate(settings) as here, visiting(here, secret) as visit, visiting(here, other) as bob:
        here.errands.answer = checked
        for path in ("/deliver/check", "/deliver/routes", "/deliver/convert", "/deliver/ship"):
            for source in ("/etc/passwd", "./x", "~/x"):
                fields = {"source": source, "name": "mine", "route": "local"}
                assert (await visit.send(path, fields)).status_code in (400, 403), (path, source)
            for source in ("--help", "dropped:../../x", "a\nb"):
                fields = {"source": source, "name": "mine", "route": "local"}
                assert (await visit.send(path, fields)).status_code in (400, 403), (path, source)
        assert here.errands.ran == []
        assert here.delivered.orders == []
        headers = {"x-lorry-csrf": visit.csrf}
        await visit.client.put(f"/deliver/files/{DROP}/a.safetensors", content=b"a", headers=headers)
        assert (await visit.send("/deliver/check", {"source": f"dropped:{DROP}"})).status_code == 200
        assert (await bob.send("/deliver/check", {"source": f"dropped:{DROP}"})).status_code == 400
        assert (await bob.send("/deliver/check", {"source": "owner/repo@v1"})).status_code == 200


async def test_bad_input_is_told_where_it_was_given(home: Path) -> None:
    """A name, a route or options that can't be; a file that is no LoRA; weights that are refused."""
    settings = settings_of(home)
    async with gate(settings) as here, visiting(here) as visit:
        for fields in (
            {"name": "x1", "route": "local"},
            {"source": "a/b", "route": "local"},
            {"source": "a/b", "name": "Not A Name", "route": "local"},
            {"source": "a/b", "name": "ok", "route": "teleport"},
            {"source": "a/b", "name": "ok", "route": "local", "base": "--yes"},
        ):
            assert (await visit.send("/deliver/ship", fields)).status_code == 400, fields
        assert here.delivered.orders == []
        here.errands.answer = lambda _: SourceNotFound("There is no a/b.")
        told = await visit.send("/deliver/check", {"source": "a/b"})
        assert (told.status_code, "There is no a/b." in words(told)) == (200, True)
        summary = WeightsSummary("a/b", "w", 1)
        fault = Finding("DATA_TRUNCATED", Severity.ERROR, "The file ends too early.", "Send it again.")
        here.delivered.fails = WeightsRejected(WeightsReport(summary, (fault,)))
        refused = await visit.send("/deliver/ship", {"source": "a/b", "name": "ok", "route": "local"})
        assert refused.status_code == 422
        assert "The file ends too early." in words(refused)
        big = {"content-length": str(here.rooms.desk.drops.most + 1), "x-lorry-csrf": visit.csrf}
        got = await visit.client.put(f"/deliver/files/{DROP}/a.safetensors", content=b"a", headers=big)
        assert got.status_code == 400
        forged = await visit.client.put(f"/deliver/files/{DROP}/a.safetensors", content=b"a")
        assert forged.status_code == 403


@given(st.text(max_size=60))
def test_options_from_a_page_are_those_of_convert_alone(text: str) -> None:
    """Whatever is sent, no other option and no path ever reaches the command."""
    try:
        found = options_from(text)
    except (BodyInvalid, ValueError):
        return
    assert all(word.startswith("--") or word.replace(".", "").isalnum() for word in found)


@pytest.mark.parametrize(
    "text", ["--out /etc/x", "--force", "--to /tmp/x", "--rank", "x", "--to diffusers -o x", "'"]
)
def test_no_other_option_is_taken(text: str) -> None:
    """What a verdict never names is refused, an open quote too."""
    with pytest.raises(BodyInvalid):
        options_from(text)


def test_each_conversion_is_offered_once_with_all_that_it_helps() -> None:
    """Verdicts that need the same are one button; a finding that convert mends has one in any case."""
    verdicts: list[dict[str, str | None]] = [
        {"target": "local", "command": "lorry convert a -o b --to diffusers"},
        {"target": "together-url", "command": "lorry convert a -o b --to diffusers"},
        {"target": "comfyui", "command": "lorry convert a -o b --to comfyui --lossy"},
        {"target": "peft", "command": None},
    ]
    assert fixes_of(verdicts, []) == [
        {"options": "--to diffusers", "targets": ["local", "together-url"], "lossy": False},
        {"options": "--to comfyui --lossy", "targets": ["comfyui"], "lossy": True},
    ]
    assert fixes_of([], [{"mend": "convert"}]) == [{"options": "", "targets": [], "lossy": False}]
    assert fixes_of([], [{"mend": "no"}]) == []


def files_in(folder: Path) -> list[bytes]:
    """Give what is in all files of a folder."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def drops_in(folder: Path) -> list[Path]:
    """List the folders of what was dropped."""
    return sorted(folder.glob("*/*"))


async def pieces(*content: bytes, fails: Exception | None = None) -> Any:
    """Give content piece by piece, and perhaps break off."""
    for piece in content:
        yield piece
    if fails:
        raise fails


async def test_half_a_file_is_never_there(tmp_path: Path) -> None:
    """What breaks off, is too large or finds no room leaves nothing behind."""
    drops = Drops(tmp_path, 10)
    with pytest.raises(ConnectionError):
        await drops.take(None, DROP, "a.safetensors", pieces(b"12345", fails=ConnectionError()))
    with pytest.raises(Exception, match="larger than"):
        await drops.take(None, DROP, "a.safetensors", pieces(b"12345", b"678901"))
    there = tmp_path / "house" / DROP
    (there / ".full.part").symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        await Drops(tmp_path, 10**6).take(None, DROP, "full", pieces(b"1" * 100_000))
    assert files_in(tmp_path) == []
    await drops.take(None, DROP, "a.safetensors", pieces(b"12345", b"67890"))
    assert files_in(tmp_path) == [b"1234567890"]
    assert drops.find(None, f"dropped:{DROP}") == str(there / "a.safetensors")
    await drops.take(None, DROP, "b.json", pieces(b"{}"))
    assert drops.find(None, f"dropped:{DROP}") == str(there)
    with pytest.raises(SourceNotFound):
        drops.find("ann", f"dropped:{DROP}")
    for name in ("../a", ".a", "a/b", "", "a\0", "x" * 200):
        with pytest.raises(BodyInvalid):
            await drops.take(None, DROP, name, pieces(b"1"))
    for drop in ("..", "short", "../../../../../../x", "A" * 20):
        with pytest.raises(BodyInvalid):
            await drops.take(None, drop, "a", pieces(b"1"))


async def test_what_nobody_shipped_is_removed_after_days(tmp_path: Path) -> None:
    """What a model came from stays, and so does what was dropped today."""
    drops = Drops(tmp_path, 10)
    for number in range(3):
        await drops.take(None, f"{number}" * 20, "a.safetensors", pieces(b"1"))
    folders = drops_in(tmp_path)
    for folder in folders[:2]:
        os.utime(folder, (0, 0))
    drops.forget([str(folders[0] / "a.safetensors")])
    assert drops_in(tmp_path) == [folders[0], folders[2]]
