"""The card of a published model: YAML that every reader takes, and the facts that a reader needs."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lorry.publication import TAG, model_card

DIGEST = "ab" * 32
AWKWARD = [
    'a "quoted" word',
    "it's",
    "key: value",
    "- item",
    "#hash",
    "---",
    "ünïcödé 🐈",
    "[x]",
    "a\nb",
    "yes",
    "1e3",
]


def card(trigger: str | None = "tok", base: str = "lorry/base", license_id: str | None = None) -> str:
    """Write a card."""
    return model_card(
        repo="local/tok",
        base=base,
        trigger=trigger,
        digest=DIGEST,
        weights="w.safetensors",
        license_id=license_id,
    )


def metadata(text: str) -> dict[str, object]:
    """Read the front matter as the Hub does: what lies between the first two lines of dashes."""
    lines = text.split("\n")
    assert lines[0] == "---"
    found: dict[str, object] = yaml.safe_load("\n".join(lines[1 : lines.index("---", 1)]))
    return found


@pytest.mark.parametrize("trigger", AWKWARD)
def test_awkward_trigger_words_come_back(trigger: str) -> None:
    """Quotes, colons, dashes, line ends and signs of YAML are text in a trigger word."""
    assert metadata(card(trigger))["instance_prompt"] == trigger


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_words_come_back(trigger: str, base: str) -> None:
    """Whatever the trigger word and the base are, the metadata says exactly them."""
    found = metadata(card(trigger, base))
    assert found["base_model"] == base
    assert found.get("instance_prompt", "") == trigger


def test_the_card_says_what_a_reader_needs() -> None:
    """Base, trigger word, digest, the tag of ours, and how the weights are loaded."""
    text = card()
    found = metadata(text)
    assert found["library_name"] == "diffusers"
    assert found["pipeline_tag"] == "text-to-image"
    assert found["tags"] == ["lora", "text-to-image", "diffusers", TAG]
    assert "\n# tok\n" in text
    for fact in (
        'load_lora_weights("local/tok"',
        "lorry/base",
        "`tok`",
        DIGEST,
        'weight_name="w.safetensors"',
    ):
        assert fact in text


def test_what_nobody_said_is_left_out() -> None:
    """No invented licence, and no trigger word where there is none."""
    assert "license" not in metadata(card())
    assert metadata(card(license_id="mit"))["license"] == "mit"
    assert "instance_prompt" not in metadata(card(None))
    assert "no trigger word" in card(None)


@pytest.mark.parametrize("trigger", [*AWKWARD, 'end")', "back\\slash", "tick`s", "```"])
def test_the_example_is_python(trigger: str) -> None:
    """The lines to copy can be compiled, whatever the trigger word is."""
    example = card(trigger).split("```python\n")[1].split("```")[0]
    compile(example, "card", "exec")
