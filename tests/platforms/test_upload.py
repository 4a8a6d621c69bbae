"""Uploads: parts, hashes, what is skipped, what is repeated, and what never leaves this machine."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorry.delivery.ports import HostedModel, ModelKind, Platform, UploadFile
from lorry.errors import (
    EngineNotRunning,
    PlatformFault,
    RequestRefused,
    SourceChanged,
    SourceNotFound,
    Unreachable,
    UploadDamaged,
)
from lorry.platforms.together.connection import open_connection
from lorry.platforms.together.parts import PartSender, Sent
from lorry.platforms.together.planned import plan
from tests.platforms.conftest import BASE
from tests.platforms.stand_in import KEY, PROJECT, StandIn

JSON = "application/json"


async def _model(platform: Platform) -> HostedModel:
    return await platform.registry.create(
        "tok", await platform.registry.base(BASE), "ours", ModelKind.ADAPTER
    )


def _file(folder: Path, content: bytes) -> UploadFile:
    path = folder / "adapter.safetensors"
    path.write_bytes(content)
    return UploadFile(path.name, path)


def _unkept(_number: int, _tag: str) -> None:
    pass


class Told:
    """Keeps what a progress callback is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def __call__(self, sent: int, total: int) -> None:
        """Keep one report."""
        self.steps.append((sent, total))


async def test_the_parts_arrive_as_the_file_is(platform: Platform, server: StandIn, tmp_path: Path) -> None:
    """A file of three and a half parts is put together again byte by byte; progress ends at its size."""
    content = bytes(range(256)) * 14
    told = Told()
    await platform.registry.upload((await _model(platform)).id, [_file(tmp_path, content)], told)
    assert list(server.stored.values()) == [content]
    assert sorted(len(part) for part in server.parts.values()) == [584, 1000, 1000, 1000]
    assert told.steps[-1] == (len(content), len(content))
    assert told.steps == sorted(told.steps)
    puts = [one for one in server.seen if one.method == "PUT"]
    assert all(one.headers["x-part"] == "yes" for one in puts)  # the headers that came with the address
    assert not any(KEY in str(one.headers) for one in puts)


async def test_content_that_is_there_is_not_sent_again(
    platform: Platform, server: StandIn, tmp_path: Path
) -> None:
    """A second upload makes a second revision without a single part, and its progress is whole at once."""
    model, file = await _model(platform), _file(tmp_path, b"x" * 2500)
    first = await platform.registry.upload(model.id, [file], Told())
    puts = len([path for path in server.paths() if path.startswith("PUT")])
    told = Told()
    second = await platform.registry.upload(model.id, [file], told)
    assert len([path for path in server.paths() if path.startswith("PUT")]) == puts == 3
    assert told.steps == [(2500, 2500)]
    assert first.id != second.id
    assert [one.id for one in await platform.registry.revisions(model.id)] == [second.id, first.id]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(min_size=1, max_size=300), part_size=st.integers(1, 64))
def test_a_plan_covers_the_file_without_gaps(content: bytes, part_size: int, tmp_path: Path) -> None:
    """Parts are numbered from 1, lie end to end, and the hash is that of an object store (dossier 2.3)."""
    planned = plan(_file(tmp_path, content), part_size)
    assert [part.number for part in planned.parts] == list(range(1, len(planned.parts) + 1))
    pieces = [content[part.offset : part.offset + part.size] for part in planned.parts]
    assert b"".join(pieces) == content
    assert all(part.size == part_size for part in planned.parts[:-1])
    digests = [hashlib.md5(piece, usedforsecurity=False).digest() for piece in pieces]
    joined = hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()
    assert planned.hash == (digests[0].hex() if len(pieces) == 1 else f"{joined}-{len(pieces)}")


async def test_a_part_is_repeated_and_counted_once(server: StandIn, tmp_path: Path) -> None:
    """A part that failed twice is put a third time; its bytes are told once."""
    sender, told = _sender_parts(tmp_path, 2500)
    for status in (500, 429):
        server.instead.append(("/storage/up/1", status, b"later", "text/plain"))
    tags = await _send(server, sender, told)
    assert sorted(tags) == [1, 2, 3]
    assert told.steps[-1] == (2500, 2500)
    assert server.paths().count("PUT /storage/up/1") == 3


async def test_a_part_that_never_arrives_ends_the_upload(server: StandIn, tmp_path: Path) -> None:
    """After its last attempt the storage's own failure is what the caller sees."""
    sender, told = _sender_parts(tmp_path, 900)
    server.instead += [("/storage/up/1", 500, b"it is down", "text/plain")] * 5
    with pytest.raises(PlatformFault, match=r"part 1.*it is down"):
        await _send(server, sender, told)
    assert server.paths().count("PUT /storage/up/1") == 5


async def test_a_refused_part_is_not_repeated(platform: Platform, server: StandIn, tmp_path: Path) -> None:
    """A 403 of the storage (an address that ran out) is final, and completes nothing."""
    model = await _model(platform)
    server.instead.append(("/storage/", 403, b"Request has expired", "text/plain"))
    with pytest.raises(RequestRefused, match="expired"):
        await platform.registry.upload(model.id, [_file(tmp_path, b"x" * 10)], Told())
    assert server.revisions[model.id] == []
    assert len([path for path in server.paths() if path.startswith("PUT")]) == 1


async def test_weights_never_go_in_the_clear_to_another_machine(
    platform: Platform, server: StandIn, tmp_path: Path
) -> None:
    """An http address on another host is refused before a byte is sent."""
    model = await _model(platform)
    server.storage = "http://storage.example.com"
    with pytest.raises(RequestRefused, match="in the clear"):
        await platform.registry.upload(model.id, [_file(tmp_path, b"x" * 10)], Told())


@pytest.mark.parametrize(
    "answer",
    [
        b'{"files": []}',
        b"{}",
        b"[]",
        b'{"files": [{"path": "other"}]}',
        b'{"files": [{"path": "adapter.safetensors", "uploadId": "u", "parts": []}]}',
        b'{"files": [{"path": "adapter.safetensors", "parts": [{"partNumber": 1}]}]}',
    ],
)
async def test_a_senseless_plan_of_the_platform_is_a_fault(
    platform: Platform, server: StandIn, tmp_path: Path, answer: bytes
) -> None:
    """An answer that forgets the file, speaks of another one or lacks its parts is never completed."""
    model = await _model(platform)
    server.instead.append(("/v2/projects/proj_1/models/upload/create", 200, answer, JSON))
    with pytest.raises(PlatformFault, match="can't be read"):
        await platform.registry.upload(model.id, [_file(tmp_path, b"x")], Told())
    assert server.revisions[model.id] == []


@pytest.mark.parametrize("content", [None, b""])
async def test_a_file_that_is_missing_or_empty_is_said_before_anything_is_sent(
    platform: Platform, server: StandIn, tmp_path: Path, content: bytes | None
) -> None:
    """The platform hears nothing of a file that can't be sent."""
    model, before = await _model(platform), len(server.seen)
    path = tmp_path / "adapter.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceNotFound, match=r"adapter\.safetensors"):
        await platform.registry.upload(model.id, [UploadFile(path.name, path)], Told())
    assert len(server.seen) == before


async def test_no_files_are_refused(platform: Platform) -> None:
    """An upload of nothing would be a revision of nothing."""
    with pytest.raises(RequestRefused, match="nothing to upload"):
        await platform.registry.upload("ml_1", [], Told())


async def test_a_file_that_got_shorter_stops_the_upload(server: StandIn, tmp_path: Path) -> None:
    """What was announced is not there any more: said as it is, and not repeated."""
    file = _file(tmp_path, b"z" * 900)
    planned = plan(file, 1000)
    file.path.write_bytes(b"z" * 100)
    opened = open_connection(server.url, KEY, project=None, unreachable=Unreachable, timeout=5)
    async with opened as connection:
        sender = PartSender(connection, file.name, file.path, Sent(planned.size, Told()), _unkept)
        with pytest.raises(SourceChanged, match="800 bytes"):
            await sender.send([(planned.parts[0], {"url": f"{server.url}/storage/up/1"})])


async def test_a_file_that_changed_while_it_was_sent_stops_the_upload(
    platform: Platform, server: StandIn, tmp_path: Path
) -> None:
    """Of the same length, after it was announced: no revision is made of what is neither of the two."""
    model, file = await _model(platform), _file(tmp_path, b"z" * 9000)

    class Changing(Told):
        def __call__(self, sent: int, total: int) -> None:
            super().__call__(sent, total)
            with file.path.open("r+b") as stream:
                stream.write(b"y" * 9000)

    with pytest.raises(SourceChanged, match="changed while it was sent"):
        await platform.registry.upload(model.id, [file], Changing())
    assert server.revisions[model.id] == []


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ({"path": "adapter.safetensors", "sizeBytes": "2499"}, "has 2499 bytes instead of 2500"),
        ({"path": "adapter.safetensors", "sizeBytes": "2500", "hash": "0" * 32}, "has the hash 000"),
        ({"path": "other.safetensors", "sizeBytes": "2500"}, "adapter.safetensors is missing"),
    ],
)
async def test_what_was_stored_otherwise_is_told(
    platform: Platform, server: StandIn, tmp_path: Path, shown: dict[str, str], said: str
) -> None:
    """The platform's own list is compared with what was sent, after the upload."""
    server.damage["adapter.safetensors"] = shown
    with pytest.raises(UploadDamaged, match=said):
        await platform.registry.upload((await _model(platform)).id, [_file(tmp_path, b"z" * 2500)], Told())


async def test_a_list_that_can_t_be_had_proves_nothing(
    platform: Platform, server: StandIn, tmp_path: Path
) -> None:
    """A platform that has no list of files, or hashes of another kind, has stored them all the same."""
    model = (await _model(platform)).id
    server.instead.append((f"/v2/projects/{PROJECT}/models/{model}/files", 404, b"{}", JSON))
    await platform.registry.upload(model, [_file(tmp_path, b"z" * 2500)], Told())
    server.damage["adapter.safetensors"] = {"path": "adapter.safetensors", "hash": "sha256:1234"}
    await platform.registry.upload(model, [_file(tmp_path, b"y" * 2500)], Told())
    assert len(server.revisions[model]) == 2


async def test_a_file_that_went_away_stops_the_upload(server: StandIn, tmp_path: Path) -> None:
    """It was there when it was announced: said as it is, and nothing of it is sent."""
    file = _file(tmp_path, b"z" * 900)
    planned = plan(file, 1000)
    file.path.unlink()
    opened = open_connection(server.url, KEY, project=None, unreachable=Unreachable, timeout=5)
    async with opened as connection:
        sender = PartSender(connection, file.name, file.path, Sent(planned.size, Told()), _unkept)
        with pytest.raises(SourceChanged, match="can't be read any more"):
            await sender.send([(planned.parts[0], {"url": f"{server.url}/storage/up/1"})])
    assert server.paths() == []


async def test_a_storage_that_is_down_is_named_without_its_signature(server: StandIn, tmp_path: Path) -> None:
    """The error names the storage's address and not the platform's, and nothing of the presigned query."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/up?X-Signature=secret"
    file = _file(tmp_path, b"z")
    opened = open_connection(server.url, KEY, project=None, unreachable=EngineNotRunning, timeout=5)
    async with opened as connection:
        sender = PartSender(connection, file.name, file.path, Sent(1, Told()), _unkept, pauses=())
        with pytest.raises(Unreachable) as caught:
            await sender.send([(plan(file, 10).parts[0], {"url": url})])
    assert type(caught.value) is Unreachable  # the engine itself answers
    assert "secret" not in str(caught.value.as_dict())


def _sender_parts(folder: Path, size: int) -> tuple[UploadFile, Told]:
    return _file(folder, b"z" * size), Told()


async def _send(server: StandIn, file: UploadFile, told: Told) -> dict[int, str]:
    planned = plan(file, 1000)
    opened = open_connection(server.url, KEY, project=None, unreachable=Unreachable, timeout=5)
    async with opened as connection:
        sender = PartSender(
            connection, file.name, file.path, Sent(planned.size, told), _unkept, pauses=(0, 0, 0, 0)
        )
        rows = [(part, {"url": f"{server.url}/storage/up/{part.number}"}) for part in planned.parts]
        return await sender.send(rows)
