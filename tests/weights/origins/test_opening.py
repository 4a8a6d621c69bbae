"""What lies on this machine is opened in its folder, and never waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorry.errors import OptionInvalid, SourceNotFound, WeightsRejected
from lorry.weights.origins.access import Access
from lorry.weights.origins.fetching import fetched
from lorry.weights.origins.folder import FolderListing
from lorry.weights.origins.opening import Opened, Unopened, opened
from tests.weights.origins.packing import tar, tgz
from tests.weights.origins.scripted import Answer, Server, answer, file, redirect

ACCESS = Access()
MAGIC = [b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", bytes(257) + b"ustar", b"\x80\x02", b"GGUF"]


def fill(folder: Path, files: dict[str, bytes]) -> None:
    """Put files into a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_a_file_is_opened_in_its_folder(tmp_path: Path, sound: bytes) -> None:
    """A named file is taken as it is; what lies around it is seen, one folder deep."""
    fill(
        tmp_path, {"a.bin": sound, "README.md": b"hello", "samples/1.png": b"", "deep/er/x": b"", ".hid": b""}
    )
    with opened(str(tmp_path / "a.bin"), ACCESS) as result:
        assert isinstance(result, Opened)
        assert (result.path, result.file) == (str(tmp_path / "a.bin"), str(tmp_path / "a.bin"))
        assert (result.inside, result.local, result.deep) == ("a.bin", tmp_path / "a.bin", True)
        assert (result.choice, result.findings, result.late()) == (None, (), ())
        assert [entry.path for entry in result.listing.entries] == ["README.md", "a.bin", "samples/1.png"]
        assert result.listing.text("README.md") == "hello"
        assert result.disk is result.source
        assert result.disk.unchanged()


def test_a_folder_is_searched(tmp_path: Path, sound: bytes) -> None:
    """In a folder the file is chosen, and the report can say why and what else there was."""
    fill(tmp_path, {"tok.safetensors": sound, "tok_000000500.safetensors": sound, "config.yaml": b"a: b"})
    with opened(str(tmp_path), ACCESS) as result:
        assert isinstance(result, Opened)
        assert (result.inside, result.file) == ("tok.safetensors", str(tmp_path / "tok.safetensors"))
        assert result.choice
        assert result.chosen is not None
        assert result.chosen.others == ("tok_000000500.safetensors",)
        assert result.another("tok_000000500.safetensors").size == len(sound)


def test_a_folder_without_a_choice_is_unopened(tmp_path: Path) -> None:
    """What keeps a choice from being made is a finding."""
    with opened(str(tmp_path), ACCESS) as result:
        assert isinstance(result, Unopened)
        assert [found.code for found in result.findings] == ["FILE_MISSING"]
    fill(tmp_path, {"a.tar": tar({"x": b""})})
    with pytest.raises(WeightsRejected), fetched(str(tmp_path / "a.tar"), ACCESS):
        pass


def test_an_archive_that_changes_is_noticed(tmp_path: Path, sound: bytes) -> None:
    """What is watched is the user's own file, also where the weights were unpacked from it."""
    path = tmp_path / "a.tgz"
    path.write_bytes(tgz({"a.safetensors": sound}))
    with opened(str(path), ACCESS) as result:
        assert isinstance(result, Opened)
        assert result.disk is not None
        assert result.disk.unchanged()
        os.utime(path, ns=(0, 1))
        assert not result.disk.unchanged()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=3000) | st.sampled_from(MAGIC).flatmap(lambda m: st.binary().map(m.__add__)))
def test_any_file_is_opened_or_told(tmp_path: Path, content: bytes) -> None:
    """Whatever a file holds, it is opened or findings say why not; nothing is raised."""
    path = tmp_path / "any"
    path.write_bytes(content)
    with opened(str(path), ACCESS) as result:
        assert isinstance(result, Opened) or result.findings


def test_a_local_file_loads_nothing_for_the_network() -> None:
    """A file on this machine is opened without the libraries for archives and networks."""
    script = (
        "import sys; from lorry.weights.origins.access import Access\n"
        "from lorry.weights.origins.opening import opened\n"
        f"with opened({__file__!r}, Access()): pass\n"
        "print({'httpcore', 'h11', 'ssl', 'zipfile', 'gzip', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_name_that_loaders_skip_is_noticed(tmp_path: Path, sound: bytes) -> None:
    """The name is judged wherever the file lies."""
    fill(tmp_path, {"my_checkpoint.safetensors": sound, "b.tgz": tgz({"a_checkpoint.safetensors": sound})})
    for name in ("my_checkpoint.safetensors", "b.tgz"):
        with opened(str(tmp_path / name), ACCESS) as result:
            assert isinstance(result, Opened)
            assert [found.code for found in result.findings] == ["NAME_CHECKPOINT"]


def test_only_a_path_that_is_not_there_raises(tmp_path: Path) -> None:
    """A missing path, a pipe and a device are the caller's errors, and no findings about weights."""
    os.mkfifo(tmp_path / "pipe")
    for source in (str(tmp_path / "none"), str(tmp_path / "pipe"), "/dev/zero", "a\0b"):
        for door in (opened, fetched):
            with pytest.raises((SourceNotFound, OptionInvalid)), door(source, ACCESS):
                pass


def test_a_pipe_among_the_files_is_passed_over(tmp_path: Path, sound: bytes) -> None:
    """In a listing only regular files count, and a text is never waited for."""
    fill(tmp_path, {"a.safetensors": sound})
    os.mkfifo(tmp_path / "README.md")
    with opened(str(tmp_path), ACCESS) as result:
        assert isinstance(result, Opened)
        assert [entry.path for entry in result.listing.entries] == ["a.safetensors"]
        assert result.listing.text("README.md") == ""


def test_links_are_followed_to_files_only(tmp_path: Path, sound: bytes) -> None:
    """A linked file is the file (the Hub's cache is made of links); a linked folder may lead in circles."""
    fill(tmp_path, {"store/abc": sound})
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "a.safetensors").symlink_to("../store/abc")
    (tmp_path / "snapshot" / "round").symlink_to(".")
    (tmp_path / "snapshot" / "lost").symlink_to("nowhere")
    assert [entry.path for entry in FolderListing(tmp_path / "snapshot").entries] == ["a.safetensors"]


def test_a_listing_stays_inside_its_folder(tmp_path: Path) -> None:
    """A path that a file of a stranger names can't lead a text out of the folder."""
    fill(tmp_path, {"secret": b"s", "in/a": b"a"})
    listing = FolderListing(tmp_path / "in")
    assert listing.text("a") == "a"
    for path in ("../secret", str(tmp_path / "secret"), "b/../../secret", "a\0"):
        assert listing.text(path) == ""


def test_what_is_here_already_stays_where_it_is(tmp_path: Path, sound: bytes) -> None:
    """A file or folder is given as it is; nothing is copied."""
    fill(tmp_path, {"a.safetensors": sound})
    for path in (tmp_path, tmp_path / "a.safetensors"):
        with fetched(str(path), ACCESS) as found:
            assert found == path


def test_a_file_at_an_address_is_fetched(server: Server, tmp_path: Path, sound: bytes) -> None:
    """A file and an archive behind a link come here whole, and go again."""
    server.answers |= {"/a.safetensors": file(sound), "/b": file(tgz({"x/lora.safetensors": sound}))}
    access = Access(allow_private=True)
    for path, name in (("/a.safetensors", "a.safetensors"), ("/b", "lora.safetensors")):
        with fetched(server.url + path, access) as found:
            assert found.name == name
            assert found.read_bytes() == sound
        assert not found.exists()


def test_an_archive_at_an_address_is_opened(server: Server, sound: bytes) -> None:
    """What lies in an archive far away can only be told from all of it, so it is fetched, and read whole."""
    server.answers["/trained_model.tar"] = file(tar({"out/lora.safetensors": sound, "out/config.yaml": b"c"}))
    url = f"{server.url}/trained_model.tar"
    with opened(url, Access(allow_private=True)) as result:
        assert isinstance(result, Opened)
        assert (result.file, result.deep, result.local) == (f"{url}:out/lora.safetensors", True, None)
        assert result.source.read(0, len(sound)) == sound
        assert result.listing.text("out/config.yaml") == "c"
    assert len(server.asked) == 2


def test_a_number_at_an_address_becomes_a_name(server: Server, sound: bytes) -> None:
    """A link that ends with a number gives a file that loaders take for weights."""
    server.answers["/download/12345"] = file(sound)
    with fetched(f"{server.url}/download/12345?token=s3cret", Access(allow_private=True)) as found:
        assert found.name == "weights.safetensors"


def test_a_name_at_an_address_is_no_path(server: Server, sound: bytes) -> None:
    """The last part of a link may be anything; it never says where a file is written."""
    access = Access(allow_private=True)
    for path in ("/x/..%2F..%2Fevil.safetensors", "/x/..", "/", "/" + "n" * 250, "/C:%5Cx"):
        server.answers[path] = file(sound)
        with fetched(server.url + path, access) as found:
            assert found.parent.name.startswith("lorry-")
            assert found.read_bytes() == sound


@pytest.mark.parametrize(
    "given",
    [
        answer(b"x" * 10, length=20),
        answer(b"x", "503 Service Unavailable"),
        answer(b"x", length=30 << 30),
        answer(b"x", Content_Encoding="gzip"),
        redirect("http://169.254.169.254/"),
        answer(b"x", X_Linked_ETag='"' + "0" * 64 + '"'),
    ],
)
def test_a_download_that_fails_says_why(server: Server, given: Answer) -> None:
    """What can't be fetched whole is refused with the finding, as everything that can't be shipped."""
    server.answers["/ann/tok/resolve/main/a.safetensors"] = given
    server.answers["/api/models/ann/tok/revision/main"] = answer(b'{"siblings": []}')
    access = Access(hub_url=server.url)
    with pytest.raises(WeightsRejected) as caught, fetched("ann/tok:a.safetensors", access):
        pass
    assert caught.value.report.findings[0].code.startswith("REMOTE_")
