"""A repository is checked with few, counted requests, and what is wrong with it has a code of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from lorry.errors import InternalError
from lorry.weights.catalogue import StructureFault
from lorry.weights.origins.access import Access
from lorry.weights.origins.head import HEAD_BYTES
from lorry.weights.origins.opening import Opened, Unopened, opened
from tests.weights.files import build, icons
from tests.weights.origins.conftest import REPO, SHA
from tests.weights.origins.packing import tar, zipped
from tests.weights.origins.scripted import Server, answer, file, redirect

FILE = "pytorch_lora_weights.safetensors"
LIST = f"/api/models/{REPO}/revision/main?blobs=true"
Put = Callable[..., None]


def codes(source: str, access: Access) -> list[str]:
    """Give the codes of why a source can't be opened."""
    with opened(source, access) as result:
        assert isinstance(result, Unopened), result
        return [found.code for found in result.findings]


def long_header() -> bytes:
    """Write an adapter whose header is longer than the first request."""
    return build(icons(), metadata={"notes": "x" * HEAD_BYTES})


def test_a_repository_takes_two_requests(server: Server, hub: Access, repository: Put, sound: bytes) -> None:
    """The list of files, and one range of 256 kB at the commit that the list named."""
    repository({FILE: sound, "README.md": b"---\ninstance_prompt: tok\n---\n"})
    with opened(REPO, hub) as result:
        assert isinstance(result, Opened)
        assert (result.inside, result.file, result.revision) == (FILE, f"{REPO}:{FILE}", SHA)
        assert (result.deep, result.local, result.source.size) == (False, None, len(sound))
        assert result.choice
        assert server.paths == [LIST, f"/{REPO}/resolve/{SHA}/{FILE}"]
        assert server.asked[1].headers["range"] == "bytes=0-262143"


def test_a_named_file_takes_one_request(server: Server, hub: Access, repository: Put, sound: bytes) -> None:
    """Where the file is named nothing has to be chosen: one range, and the answer names the commit."""
    repository({FILE: sound})
    with opened(f"{REPO}:{FILE}", hub) as result:
        assert isinstance(result, Opened)
        assert result.revision == SHA
        assert result.choice is None
    assert server.paths == [f"/{REPO}/resolve/main/{FILE}"]


def test_a_longer_header_takes_one_more(server: Server, hub: Access, repository: Put) -> None:
    """A header beyond 256 kB is fetched to its end with a second range, and no byte of the numbers."""
    content = long_header()
    repository({FILE: content})
    with opened(f"{REPO}:{FILE}", hub) as result:
        assert isinstance(result, Opened)
        end = 8 + int.from_bytes(content[:8], "little")
        assert result.source.reach == end
        assert result.source.read(0, end) == content[:end]
    assert [asked.headers["range"] for asked in server.asked] == [
        "bytes=0-262143",
        f"bytes=262144-{end - 1}",
    ]


def test_the_numbers_are_never_fetched(hub: Access, repository: Put) -> None:
    """Whoever reads behind what was fetched gets an error of ours, not a silent download."""
    repository({FILE: long_header()})
    with opened(f"{REPO}:{FILE}", hub) as result:
        assert isinstance(result, Opened)
        with pytest.raises(InternalError, match="were asked for"):
            result.source.read(result.source.reach, 4)
        with pytest.raises(InternalError):
            result.source.read_into(0, memoryview(bytearray(result.source.size)))


def test_texts_are_fetched_once_when_asked_for(
    server: Server, hub: Access, repository: Put, sound: bytes
) -> None:
    """What lies around a file costs a request when it is asked for, and none when it is not there."""
    repository({FILE: sound, "README.md": b"hello", "empty.json": b""})
    with opened(f"{REPO}:{FILE}", hub) as result:
        assert isinstance(result, Opened)
        assert [result.listing.text("README.md") for _ in range(2)] == ["hello", "hello"]
        assert result.listing.text("adapter_config.json") == ""
        assert result.listing.text("empty.json") == ""
        assert result.late() == ()
    assert server.paths[1:] == [
        f"/api/models/{REPO}/revision/{SHA}?blobs=true",
        f"/{REPO}/resolve/{SHA}/README.md",
        f"/{REPO}/resolve/{SHA}/empty.json",
    ]


def test_a_text_that_is_refused_is_told_late(
    server: Server, hub: Access, repository: Put, sound: bytes
) -> None:
    """A listing has no way to say that a text could not be had, so it is told when the check is over."""
    repository({FILE: sound, "adapter_config.json": b"{}"})
    server.answers[f"/{REPO}/resolve/{SHA}/adapter_config.json"] = answer(b"", "429 Too Many Requests")
    with opened(REPO, hub) as result:
        assert isinstance(result, Opened)
        assert result.listing.text("adapter_config.json") == ""
        assert [found.code for found in result.late()] == ["REMOTE_RATE_LIMITED"]


def test_what_the_hub_knows_of_the_bytes_is_kept(server: Server, hub: Access, sound: bytes) -> None:
    """Digest and commit come with the Hub's redirect; the store behind it is asked without a token."""
    digest = "ab" * 32
    told = {"X_Repo_Commit": SHA, "X_Linked_ETag": f'"{digest}"', "X_Linked_Size": str(len(sound))}
    server.answers[f"/{REPO}/resolve/main/{FILE}"] = redirect(f"http://localhost:{server.port}/store", **told)
    server.answers["/store"] = file(sound)
    access = replace(hub, allow_private=True)
    with opened(f"{REPO}:{FILE}", access) as result:
        assert isinstance(result, Opened)
        assert (result.digest, result.revision) == (digest, SHA)
    first, second = server.asked
    assert first.headers["authorization"] == "Bearer hf_secret"
    assert "authorization" not in second.headers
    assert second.headers["range"] == "bytes=0-262143"


def test_the_second_range_of_a_redirected_file_carries_no_token(server: Server, hub: Access) -> None:
    """The second range is asked from the store directly, which is not the Hub."""
    server.answers[f"/{REPO}/resolve/main/{FILE}"] = redirect(f"http://localhost:{server.port}/store")
    server.answers["/store"] = file(long_header())
    with opened(f"{REPO}:{FILE}", replace(hub, allow_private=True)) as result:
        assert isinstance(result, Opened)
    assert [asked.path for asked in server.asked[1:]] == ["/store", "/store"]
    assert ["authorization" in asked.headers for asked in server.asked] == [True, False, False]


def test_the_size_is_compared_with_the_header(server: Server, hub: Access, sound: bytes) -> None:
    """A file that is shorter or longer at its address than its header says is told with both numbers."""
    for content in (sound[:-100], sound + b"\0" * 3):
        server.answers[f"/{REPO}/resolve/main/{FILE}"] = file(content)
        with opened(f"{REPO}:{FILE}", hub) as result:
            assert isinstance(result, Unopened)
            [found] = result.findings
            assert found.code == "REMOTE_SIZE"
            assert found.evidence == {"expected": len(sound), "found": len(content)}
            assert f"{len(sound):,}" in found.message
            assert f"{len(content):,}" in found.message
            assert result.size == len(content)


def test_the_hub_and_its_store_have_to_agree(server: Server, hub: Access, sound: bytes) -> None:
    """A store that sends another number of bytes than the Hub lists is told."""
    server.answers[f"/{REPO}/resolve/main/{FILE}"] = file(sound, X_Linked_Size="7")
    assert codes(f"{REPO}:{FILE}", hub) == ["REMOTE_SIZE"]


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("401 Unauthorized", "GatedRepo", "REMOTE_GATED"),
        ("403 Forbidden", "GatedRepo", "REMOTE_GATED"),
        ("401 Unauthorized", "RepoNotFound", "REMOTE_PRIVATE"),
        ("404 Not Found", "RepoNotFound", "REMOTE_NOT_FOUND"),
        ("404 Not Found", "EntryNotFound", "REMOTE_NOT_FOUND"),
        ("404 Not Found", "RevisionNotFound", "REMOTE_REV"),
        ("429 Too Many Requests", "", "REMOTE_RATE_LIMITED"),
        ("503 Service Unavailable", "", "REMOTE_REFUSED"),
    ],
)
def test_each_refusal_is_told(server: Server, hub: Access, status: str, code: str, expected: str) -> None:
    """A refusal of the list and one of the file have the same code; nothing is asked twice."""
    refusal = answer(b"no", status, X_Error_Code=code)
    server.answers |= {LIST.partition("?")[0]: refusal, f"/{REPO}/resolve/main/{FILE}": refusal}
    assert codes(REPO, hub) == [expected]
    assert codes(f"{REPO}:{FILE}", hub) == [expected]
    assert len(server.asked) == 2


def test_a_gated_repository_is_listed_and_not_read(
    server: Server, hub: Access, repository: Put, sound: bytes
) -> None:
    """The Hub lists gated repositories to everybody; the file is what is refused."""
    repository({FILE: sound})
    server.answers[f"/{REPO}/resolve/{SHA}/{FILE}"] = answer(
        b"", "401 Unauthorized", X_Error_Code="GatedRepo"
    )
    assert codes(REPO, hub) == ["REMOTE_GATED"]


def test_a_short_name_may_have_been_a_path(server: Server, hub: Access) -> None:
    """Where neither a path nor a repository has that name, both are said."""
    server.answers[LIST.partition("?")[0]] = answer(b"", "404 Not Found", X_Error_Code="RepoNotFound")
    with opened(REPO, hub) as result:
        assert isinstance(result, Unopened)
        assert f"There is no file or folder {REPO} here either." in result.findings[0].message


def test_a_repository_without_weights_says_what_it_has(hub: Access, repository: Put) -> None:
    """The choice is that of a folder, with the same findings."""
    repository({"README.md": b"", "model.bin": b""})
    assert codes(REPO, hub) == ["FILE_MISSING"]
    repository({"a.safetensors": b"", "b.safetensors": b""})
    assert codes(REPO, hub) == ["NAME_MULTIPLE"]


def test_a_folder_of_a_repository_is_a_listing_of_its_own(
    server: Server, hub: Access, repository: Put, sound: bytes
) -> None:
    """The link of a folder lets the choice see only what lies in it."""
    repository({"v1/a.safetensors": sound, "v2/b.safetensors": sound, "v2/README.md": b"two"})
    with opened(f"{server.url}/{REPO}/tree/main/v2", hub) as result:
        assert isinstance(result, Opened)
        assert (result.inside, result.file) == ("b.safetensors", f"{REPO}@main:v2/b.safetensors")
        assert [entry.path for entry in result.listing.entries] == ["README.md", "b.safetensors"]
        assert result.listing.text("README.md") == "two"


def test_another_file_of_the_repository(server: Server, hub: Access, repository: Put, sound: bytes) -> None:
    """A shard or the other half of a pair is one more range."""
    repository({"a_high_noise.safetensors": sound, "a_low_noise.safetensors": sound})
    with opened(REPO, hub) as result:
        assert isinstance(result, Opened)
        assert result.chosen is not None
        assert result.another(str(result.chosen.partner)).size == len(sound)
    assert len(server.asked) == 3


def test_an_index_of_shards_is_read_whole(server: Server, hub: Access, repository: Put, sound: bytes) -> None:
    """Of a sharded checkpoint the index is opened, to its end, and then each shard by its beginning."""
    index = json.dumps({"weight_map": {f"layer.{number}": "m-00001-of-00001" for number in range(20_000)}})
    repository({"model.safetensors.index.json": index.encode(), "model-00001-of-00001.safetensors": sound})
    with opened(REPO, hub) as result:
        assert isinstance(result, Opened)
        assert result.inside == "model.safetensors.index.json"
        assert result.source.read(0, len(index)) == index.encode()
        assert result.another("model-00001-of-00001.safetensors").size == len(sound)
        with pytest.raises(StructureFault, match="is not there"):
            result.another("none.safetensors")
    assert len(server.asked) == 5


def test_what_is_no_weights_file_is_still_opened(hub: Access, repository: Put) -> None:
    """A pointer, a page or an empty file is opened: what it is, the check says from its bytes."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n"
    for content in (pointer, b"<!doctype html>", b""):
        repository({FILE: content})
        with opened(f"{REPO}:{FILE}", hub) as result:
            assert isinstance(result, Opened)
            assert result.source.read(0, 100) == content


@pytest.mark.parametrize(
    "document", [b"", b"<html>", b"[1]", b"{}", b'{"siblings": 3}', b"[" * 100_000, b"\xff"]
)
def test_a_list_that_is_none_is_refused(server: Server, hub: Access, document: bytes) -> None:
    """An answer of the Hub that can't be read as a list of files is told."""
    server.answers[LIST.partition("?")[0]] = answer(document)
    assert codes(REPO, hub) == ["REMOTE_REFUSED"]


def test_a_list_without_end_is_cut(server: Server, hub: Access) -> None:
    """A repository with more files than are read is told, and the file can be named instead."""
    rows = [{"rfilename": f"{number:0200}.png"} for number in range(20_000)]
    server.answers[LIST.partition("?")[0]] = answer(json.dumps({"siblings": rows}).encode())
    with opened(REPO, hub) as result:
        assert isinstance(result, Unopened)
        assert "more files than are listed" in result.findings[0].message
        assert f"{REPO}:FILE" in result.findings[0].fix


def test_a_pickle_is_not_fetched(server: Server, hub: Access) -> None:
    """PyTorch's own files are zip archives; they are told by their beginning, and not fetched."""
    content = zipped({"archive/data.pkl": b"\x80\x02", "archive/data/0": bytes(HEAD_BYTES)})
    server.answers[f"/{REPO}/resolve/main/a.bin"] = file(content)
    with opened(f"{REPO}:a.bin", hub) as result:
        assert isinstance(result, Opened)
        assert result.source.reach == HEAD_BYTES
    assert len(server.asked) == 1


def test_an_archive_in_a_repository_is_opened(
    server: Server, hub: Access, repository: Put, sound: bytes
) -> None:
    """An archive that is named in a repository is fetched at the commit that was seen first."""
    repository({"trained.tar": tar({"a.safetensors": sound})})
    with opened(f"{REPO}:trained.tar", hub) as result:
        assert isinstance(result, Opened)
        assert (result.inside, result.revision, result.deep) == ("a.safetensors", SHA, True)
    assert server.paths == [f"/{REPO}/resolve/{name}/trained.tar" for name in ("main", SHA)]


def test_names_of_strangers_are_printable(server: Server, hub: Access, sound: bytes) -> None:
    """A file name can't send a terminal a command."""
    name = "a\x1b[2J.safetensors"
    server.answers[LIST.partition("?")[0]] = answer(json.dumps({"siblings": [{"rfilename": name}]}).encode())
    server.answers[f"/{REPO}/resolve/main/a%1B%5B2J.safetensors"] = file(sound)
    with opened(REPO, hub) as result:
        assert isinstance(result, Opened)
        assert result.file.isprintable()


def test_odd_rows_of_a_list_are_passed_over(server: Server, hub: Access, sound: bytes) -> None:
    """Rows without a usable name or size do not keep the others from being seen."""
    rows = [3, {}, {"rfilename": 3}, {"rfilename": FILE, "size": -1, "lfs": {"sha256": 5}}]
    server.answers[LIST.partition("?")[0]] = answer(json.dumps({"siblings": rows}).encode())
    server.answers[f"/{REPO}/resolve/main/{FILE}"] = file(sound)
    with opened(REPO, hub) as result:
        assert isinstance(result, Opened)
        assert result.inside == FILE
