"""Uploads that another process goes on with, and what is kept of them meanwhile."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lorry.delivery.ports import ModelKind, Platform, Revision, UploadFile
from lorry.errors import RequestRefused
from lorry.platforms.together import connect
from lorry.platforms.together.kept import Begun, KeptInFolder, Ledger, NothingKept, upload_key
from tests.platforms.conftest import BASE
from tests.platforms.stand_in import KEY, StandIn

CREATE = "POST /v2/projects/proj_1/models/upload/create"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder in which uploads are kept."""
    return tmp_path / "kept"


@pytest.fixture
def file(tmp_path: Path) -> UploadFile:
    """Give a file of eight parts of 1,000 bytes, the last one shorter: twice as many as go at once."""
    path = tmp_path / "adapter.safetensors"
    path.write_bytes(bytes(range(256)) * 30)
    return UploadFile(path.name, path)


async def _model(platform: Platform) -> str:
    base = await platform.registry.base(BASE)
    return (await platform.registry.create("tok", base, "ours", ModelKind.ADAPTER)).id


async def _upload(
    server: StandIn, folder: Path, model: str, file: UploadFile, told: Callable[[int, int], None]
) -> Revision:
    """Upload in a connection of its own, as another process would."""
    async with connect(server.url, KEY, part_size=1000, uploads=folder) as platform:
        return await platform.registry.upload(model, [file], told)


def _puts(server: StandIn) -> list[str]:
    return [path for path in server.paths() if path.startswith("PUT")]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def _cut_off(server: StandIn, folder: Path, model: str, file: UploadFile) -> None:
    """Upload until the storage refuses the last part."""
    server.instead.append(("/storage/up_2/8", 403, b"Request has expired", "text/plain"))
    with pytest.raises(RequestRefused, match="expired"):
        await _upload(server, folder, model, file, lambda *_: None)


async def test_another_process_sends_the_missing_parts_only(
    platform: Platform, server: StandIn, folder: Path, file: UploadFile
) -> None:
    """What was written down is not sent again, progress begins behind it, and one revision is made."""
    model = await _model(platform)
    await _cut_off(server, folder, model, file)
    (kept,) = _files(folder)
    arrived = {int(part) for part in json.loads(kept.read_text(encoding="utf-8"))["tags"].get(file.name, {})}
    assert 4 <= len(arrived) < 8  # the eighth begins when at least four have been written down
    server.seen.clear()
    told: list[tuple[int, int]] = []
    revision = await _upload(server, folder, model, file, lambda *step: told.append(step))
    assert sorted(_puts(server)) == [
        f"PUT /storage/up_2/{part}" for part in range(1, 9) if part not in arrived
    ]
    assert CREATE not in server.paths()
    there = sum(len(server.parts["up_2", part]) for part in arrived)
    assert told[0][0] >= there
    assert told[-1] == (file.path.stat().st_size, file.path.stat().st_size)
    assert [one["revisionId"] for one in server.revisions[model]] == [revision.id]
    assert _files(folder) == []


async def test_addresses_that_ran_out_are_asked_for_anew(
    platform: Platform, server: StandIn, folder: Path, file: UploadFile
) -> None:
    """The kept address is refused a second time: the upload begins again, and ends."""
    model = await _model(platform)
    await _cut_off(server, folder, model, file)
    server.instead.append(("/storage/up_2/8", 403, b"Request has expired", "text/plain"))
    server.seen.clear()
    await _upload(server, folder, model, file, lambda *_: None)
    assert server.paths().count(CREATE) == 1
    assert len([path for path in _puts(server) if "up_2" not in path]) == 8
    assert len(server.revisions[model]) == 1
    assert _files(folder) == []


async def test_other_content_is_another_upload(
    platform: Platform, server: StandIn, folder: Path, file: UploadFile
) -> None:
    """A file that was changed meanwhile has nothing to do with what was kept of the one before."""
    model = await _model(platform)
    await _cut_off(server, folder, model, file)
    file.path.write_bytes(b"quite another thing" * 100)
    server.seen.clear()
    await _upload(server, folder, model, file, lambda *_: None)
    assert server.paths().count(CREATE) == 1
    assert not [path for path in _puts(server) if "up_2" in path]


async def test_what_is_kept_is_for_its_owner_only(
    platform: Platform, server: StandIn, folder: Path, file: UploadFile
) -> None:
    """The addresses in it carry a permission; the key of the platform is not in it."""
    model = await _model(platform)
    await _cut_off(server, folder, model, file)
    (kept,) = _files(folder)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert KEY not in kept.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"answer": 1, "tags": {}}',
        b'{"answer": {"files": []}, "tags": []}',
        b'{"answer": {"files": [{"path": "adapter.safetensors"}]}, "tags": {}}',
        b'{"answer": {"files": [{"path": "other", "parts": []}]}, "tags": {}}',
        b'{"answer": {"files": 7}, "tags": {"adapter.safetensors": {"one": "tag"}}}',
    ],
)
async def test_what_can_not_be_read_is_as_good_as_nothing(
    platform: Platform, server: StandIn, folder: Path, file: UploadFile, content: bytes
) -> None:
    """A torn or foreign file in the folder costs the way back, not the upload."""
    model = await _model(platform)
    await _cut_off(server, folder, model, file)
    (kept,) = _files(folder)
    kept.write_bytes(content)
    await _upload(server, folder, model, file, lambda *_: None)
    assert len(server.revisions[model]) == 1


async def test_a_folder_that_can_not_be_made_does_not_hinder_an_upload(
    platform: Platform, server: StandIn, tmp_path: Path, file: UploadFile
) -> None:
    """A disk that keeps nothing costs the way back, not the upload."""
    model = await _model(platform)
    (tmp_path / "taken").write_bytes(b"a file")
    await _upload(server, tmp_path / "taken" / "kept", model, file, lambda *_: None)
    assert len(server.revisions[model]) == 1


def test_every_part_is_written_down_as_it_arrives(folder: Path) -> None:
    """After each part the file is whole; what was closed is not written again by a part that comes late."""
    ledger = Ledger(KeptInFolder(folder), "key")
    assert ledger.begun is None
    ledger.begin({"files": []})
    for number in range(5):
        ledger.note("a", number, f"tag-{number}")
        again = Ledger(KeptInFolder(folder), "key").begun
        assert again == Begun({"files": []}, {"a": {each: f"tag-{each}" for each in range(number + 1)}})
    ledger.close()
    ledger.note("a", 5, "tag-5")
    assert _files(folder) == []


def test_an_upload_is_named_by_platform_model_and_content() -> None:
    """The order of the files makes no difference; everything else does."""
    key = upload_key("http://a", "ml_1", {"x": "1", "y": "2"})
    assert key == upload_key("http://a", "ml_1", {"y": "2", "x": "1"})
    others = [
        upload_key("http://b", "ml_1", {"x": "1", "y": "2"}),
        upload_key("http://a", "ml_2", {"x": "1", "y": "2"}),
        upload_key("http://a", "ml_1", {"x": "1", "y": "3"}),
        upload_key("http://a", "ml_1", {"x": "1"}),
    ]
    assert len({key, *others}) == 5


def test_nothing_kept_is_nothing_found() -> None:
    """Without a folder every upload begins anew."""
    memory = NothingKept()
    memory.save("key", Begun({"files": []}))
    assert memory.load("key") is None
    memory.forget("key")


def test_a_file_is_whole_or_not_there(folder: Path) -> None:
    """Nothing but the finished file lies in the folder, and it reads back as it was."""
    kept = KeptInFolder(folder)
    begun = Begun({"files": [{"path": "a"}]}, {"a": {1: "x"}})
    kept.save("key", begun)
    assert [path.name for path in folder.iterdir()] == ["key.json"]
    assert kept.load("key") == begun
    assert json.loads((folder / "key.json").read_text(encoding="utf-8"))["tags"] == {"a": {"1": "x"}}
    kept.forget("key")
    kept.forget("key")
    assert kept.load("key") is None


def test_an_upload_that_nobody_went_on_with_is_cleared_away(tmp_path: Path) -> None:
    """When another begins, what is older than any address lasts is forgotten; what is younger stays."""
    kept = KeptInFolder(tmp_path / "uploads")
    for key in ("old", "young"):
        kept.save(key, Begun({"files": []}))
    long_ago = (tmp_path / "uploads" / "old.json").stat().st_mtime - 9 * 24 * 3600
    os.utime(tmp_path / "uploads" / "old.json", (long_ago, long_ago))
    kept.save("new", Begun({"files": []}))
    assert sorted(file.stem for file in (tmp_path / "uploads").iterdir()) == ["new", "young"]
