"""The metadata of cards: whatever somebody wrote into a README, the Hub answers."""

from __future__ import annotations

import base64
import json

import httpx2
import pytest
from huggingface_hub import HfApi
from hypothesis import given
from hypothesis import strategies as st

from lorry.engine.hub.cards import front_matter, tags
from tests.engine.hub.conftest import KEY, REPO


def test_metadata_is_read_between_the_dashes() -> None:
    """Names and values of the front matter, and nothing of the text below."""
    assert front_matter("---\nlicense: mit\ntags: [a, b]\n---\nbase_model: x\n") == {
        "license": "mit",
        "tags": ["a", "b"],
    }
    assert front_matter("---\r\nlicense: mit\r\n---\r\ntext") == {"license": "mit"}


@pytest.mark.parametrize(
    "text", ["", "no metadata", "---\nnever: closed", "---\n---\n", " ---\na: 1", "\n---\na: 1\n---"]
)
def test_a_card_without_metadata_has_none(text: str) -> None:
    """Most READMEs are plain text."""
    assert "never" not in front_matter(text)
    assert front_matter(text) in ({}, {"a": 1})


@pytest.mark.parametrize(
    "front", ["a: [", "- a\n- b", "text", "a: &x [*x]", "a: &x [1]\nb: [*x, *x]", "[" * 5000, "a: 2026-13-45"]
)
def test_metadata_that_can_not_be_read_is_told(front: str) -> None:
    """No YAML, no mapping, aliases that explode: each is a ValueError with a sentence."""
    with pytest.raises(ValueError, match=r"\w+"):
        front_matter(f"---\n{front}\n---\n")


@given(st.text(max_size=200))
def test_any_text_gives_json_or_a_value_error(text: str) -> None:
    """What comes out can be sent as JSON, whatever went in."""
    try:
        read = front_matter(f"---\n{text}\n---\n")
    except ValueError:
        return
    json.dumps(read, allow_nan=False)
    assert all(isinstance(tag, str) for tag in tags(read))


def test_values_that_json_lacks_become_text() -> None:
    """Dates and numbers that are none are shown as they are written."""
    read = front_matter("---\nday: 2026-11-02\nnumber: .nan\n1: one\n---\n")
    assert read == {"day": "2026-11-02", "number": "NaN", "1": "one"}


def test_tags_are_the_cards_own_then_library_and_base() -> None:
    """Each once, in this order."""
    card = {"tags": ["lora", "diffusers", "lora"], "library_name": "diffusers", "base_model": "a/b"}
    assert tags(card) == ["lora", "diffusers", "base_model:a/b"]
    assert tags({"tags": "text", "base_model": ["a"]}) == []


def test_an_unreadable_card_does_not_hide_its_repository(client: HfApi, repo: str) -> None:
    """The client is told before the upload; the Hub shows the repository all the same."""
    with pytest.raises(ValueError, match="YAML"):
        client.upload_file(path_or_fileobj=b"---\na: [\n---\n", path_in_repo="README.md", repo_id=REPO)
    assert client.list_repo_files(REPO) == []
    aliases = b"---\r\na: &x [1]\r\nb: [*x]\r\n---\r\n"
    add = {"path": "README.md", "content": base64.b64encode(aliases).decode()}
    body = "\n".join(
        json.dumps({"key": key, "value": value})
        for key, value in (("header", {"summary": "s"}), ("file", add))
    )
    url = f"{client.endpoint}/api/models/{REPO}/commit/main"
    assert httpx2.post(url, content=body, headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    assert client.model_info(REPO).tags == []
