"""A source is read once, and what it can't be is said with what it could be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.errors import OptionInvalid, SourceNotFound, UsageError
from lorry.settings import Settings
from lorry.weights.origins.access import HUB_URL, Access
from lorry.weights.origins.reference import HubPlace, LocalPath, WebAddress, parse

ACCESS = Access()


def nothing(_path: str) -> bool:
    """Stand for an empty disk."""
    return False


def read(source: str, access: Access = ACCESS) -> object:
    """Read a source where no path exists."""
    return parse(source, access, exists=nothing)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("ann/tok", HubPlace("ann/tok", short=True)),
        ("ann/tok@v1", HubPlace("ann/tok", "v1", short=True)),
        ("ann/tok@refs/pr/3", HubPlace("ann/tok", "refs/pr/3", short=True)),
        ("ann/tok:a/b.safetensors", HubPlace("ann/tok", None, "a/b.safetensors", short=True)),
        ("ann/tok@v1:b.safetensors", HubPlace("ann/tok", "v1", "b.safetensors", short=True)),
        ("Ann-1/FLUX.1-dev_tok", HubPlace("Ann-1/FLUX.1-dev_tok", short=True)),
        ("https://huggingface.co/ann/tok", HubPlace("ann/tok")),
        ("https://hf.co/ann/tok/", HubPlace("ann/tok")),
        ("https://huggingface.co/ann/tok?library=diffusers#use", HubPlace("ann/tok")),
        ("https://huggingface.co/ann/tok/tree/refs%2Fpr%2F3", HubPlace("ann/tok", "refs/pr/3")),
        ("https://huggingface.co/ann/tok/tree/main/v2", HubPlace("ann/tok", "main", None, "v2")),
        ("https://huggingface.co/ann/tok/blob/v1/b.safetensors", HubPlace("ann/tok", "v1", "b.safetensors")),
        ("https://huggingface.co/ann/tok/resolve/main/my%20tok.safetensors?download=true",
         HubPlace("ann/tok", "main", "my tok.safetensors")),
    ],
)  # fmt: skip
def test_each_way_to_name_a_repository(source: str, place: HubPlace) -> None:
    """A repository is named by id, revision and file, or by the link of its page, a folder or a file."""
    assert read(source) == place


def test_a_path_that_exists_wins() -> None:
    """Where a path of that name exists, it is meant; a link never is a path."""
    assert isinstance(parse("ann/tok", ACCESS, exists=lambda _: True), LocalPath)
    assert isinstance(parse("ann/tok@v1", ACCESS, exists=lambda _: True), LocalPath)
    assert isinstance(parse("https://a.example/b", ACCESS, exists=lambda _: True), WebAddress)


@pytest.mark.parametrize(
    "source",
    ["tok.safetensors", "./ann/tok", "/ann/tok", "../tok", "a/b/c", "output/tok.safetensors", "runs/a.tar.gz",
     "a//b", "ann/", "/", "~/tok", "-a/tok", "ann/..", "ann/to--k", "C:\\loras\\tok"],
)  # fmt: skip
def test_what_looks_like_a_path_is_one(source: str) -> None:
    """A name that no repository can have is a path that is not there; the fix names all the forms."""
    with pytest.raises(SourceNotFound) as caught:
        read(source)
    assert source in caught.value.message
    assert "owner/name" in caught.value.fix


@pytest.mark.parametrize(
    "source",
    ["", "  ", "a\0b", "s3://bucket/tok", "ftp://a/b", "file:///etc/passwd", "http://a.example/tok",
     "https://", "https://[::1/x", "https://a.example:99999/", "https://ann:pw@a.example/x",
     "https://huggingface.co/", "https://huggingface.co/ann", "https://huggingface.co/datasets/ann/tok",
     "https://huggingface.co/spaces/ann/tok", "https://huggingface.co/ann/tok/commits/main",
     "https://huggingface.co/ann/tok/blob/main", "https://huggingface.co/ann/tok/resolve/main/../../x",
     "ann/tok@", "ann/tok:", "ann/tok@a b", "ann/tok:../x", "ann/tok@v..w"],
)  # fmt: skip
def test_what_can_not_be_fetched_is_said(source: str) -> None:
    """What is neither a path nor an address that is fetched is an error with a fix, and shows no secret."""
    with pytest.raises(OptionInvalid) as caught:
        read(source)
    assert caught.value.fix
    assert "pw" not in str(caught.value.as_dict())


def test_a_hub_of_ones_own_has_its_own_links() -> None:
    """With another Hub in the settings, its links are repositories, and the public one's are addresses."""
    own = Access(hub_url="http://127.0.0.1:8765")
    assert read("http://127.0.0.1:8765/ann/tok/blob/main/a.safetensors", own) == HubPlace(
        "ann/tok", "main", "a.safetensors"
    )
    assert read("https://huggingface.co/ann/tok", own) == WebAddress("https://huggingface.co/ann/tok")


def test_a_hub_in_a_folder_of_its_server() -> None:
    """A mirror may lie below a path; what lies beside it on the same server is no repository."""
    mirror = Access(hub_url="https://mirror.example/api/hf")
    assert read("https://mirror.example/api/hf/ann/tok", mirror) == HubPlace("ann/tok")
    assert isinstance(read("https://mirror.example/files/tok.tar", mirror), WebAddress)


def test_plain_http_is_for_private_networks() -> None:
    """An unencrypted link is read only where private addresses are allowed."""
    assert read("http://10.0.0.1/a", Access(allow_private=True)) == WebAddress("http://10.0.0.1/a")


@given(st.text(max_size=60) | st.from_regex(r"https?://[ -~]{0,40}") | st.from_regex(r"[a-z/@:.]{1,30}"))
def test_any_text_is_a_reference_or_a_usage_error(source: str) -> None:
    """Whatever is typed gives a reference or an error with a fix."""
    try:
        reference = read(source)
    except UsageError as error:
        assert error.fix  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(reference, HubPlace | WebAddress)


def test_the_public_hub_is_one() -> None:
    """Settings and origins, which may not import each other, mean the same public Hub."""
    assert Access().hub_url == HUB_URL == Settings(home=None).hub_url  # type: ignore[arg-type]
    assert "hf_secret" not in repr(Access(hub_token="hf_secret"))  # noqa: S106 - made up
