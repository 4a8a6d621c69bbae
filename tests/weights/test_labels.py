"""Trigger word, base label and private things are found where trainers leave them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lorry.weights import check
from lorry.weights.trainers.labels import (
    Neighbours,
    base_labels,
    label_findings,
    read_neighbours,
    trigger_word,
)
from tests.weights.files import build, icons

_TAGS = json.dumps({"1_tok creature": {"a dog": 4, "grass": 2}})


@pytest.mark.parametrize(
    ("metadata", "beside", "word"),
    [
        ({"modelspec.trigger_phrase": "tok"}, Neighbours(), "tok"),
        ({"trained_words": "tok, toks"}, Neighbours(), "tok"),
        ({"ss_tag_frequency": _TAGS}, Neighbours(), "tok creature"),
        ({"ss_tag_frequency": json.dumps({"1_a": {}, "1_b": {}})}, Neighbours(), None),
        ({"ss_tag_frequency": "no JSON"}, Neighbours(), None),
        ({"trained_words": "tok"}, Neighbours(config={"trigger_word": "first"}), "first"),
        (
            {"ss_tag_frequency": _TAGS},
            Neighbours(readme={"instance_prompt": "a photo of tok"}),
            "a photo of tok",
        ),
        ({}, Neighbours(sidecar={"activation text": "tok"}), "tok"),
        ({"modelspec.trigger_phrase": "  "}, Neighbours(), None),
        ({}, Neighbours(), None),
    ],
)
def test_the_trigger_word_has_an_order_of_sources(
    metadata: dict[str, str], beside: Neighbours, word: str | None
) -> None:
    """The configuration comes before the header, the header before the README and the folder's name."""
    assert trigger_word(metadata, beside) == word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("---\nbase_model: x\ninstance_prompt: tok\n---\n# Tok\n", "tok"),
        ('---\ninstance_prompt: "a: tok # 1"  # note\n---\n', "a: tok # 1"),
        ("\ufeff---\r\ninstance_prompt: tok\r\n---\r\n", "tok"),
        ("---\ninstance_prompt: null\n---\n", None),
        ("---\ninstance_prompt:\nother: tok\n---\n", None),
        ("# no front matter\ninstance_prompt: tok\n", None),
        ("---\ninstance_prompt: tok\n", None),
    ],
)
def test_the_front_matter_of_a_readme_names_the_trigger(tmp_path: Path, text: str, word: str | None) -> None:
    """`instance_prompt` counts only inside the front matter, quoted or not."""
    (tmp_path / "README.md").write_bytes(text.encode())
    (tmp_path / "pytorch_lora_weights.safetensors").write_bytes(build(icons()))
    report = check(tmp_path)
    assert report.summary.trigger == word
    assert (word is None) is any(found.code == "TRIGGER_MISSING" for found in report.findings)


def test_a_trainers_configuration_names_trigger_and_base(tmp_path: Path) -> None:
    """ai-toolkit's config.yaml has trigger_word and name_or_path somewhere inside."""
    text = 'config:\n  process:\n  - type: x\n    trigger_word: "tok"\n    model:\n      name_or_path: sdxl\n'
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "tok.safetensors").write_bytes(build(icons()))
    report = check(tmp_path)
    assert report.summary.trigger == "tok"
    assert "BASE_LABEL" in {found.code for found in report.findings}


def test_labels_come_from_all_neighbours_most_trusted_first() -> None:
    """The README's base_model comes before the header's architecture."""
    beside = Neighbours(
        readme={"base_model": "lorry/flux-icons-64"}, adapter_config={"base_model_name_or_path": None}
    )
    assert base_labels({"modelspec.architecture": "flux-1-dev/lora"}, beside) == [
        "lorry/flux-icons-64",
        "flux-1-dev",
    ]


def test_the_base_in_a_readme_may_be_a_list(tmp_path: Path) -> None:
    """The Hub's cards write base_model as a word or as a list; the first item counts."""
    (tmp_path / "README.md").write_text("---\nbase_model:\n- lorry/flux-icons-64\ntags:\n- lora\n---\n")
    assert base_labels({}, read_neighbours(tmp_path / "x.safetensors")) == ["lorry/flux-icons-64"]


def test_broken_neighbours_say_nothing(tmp_path: Path) -> None:
    """Neighbours that are binary, folders or broken JSON never break a check."""
    (tmp_path / "README.md").mkdir()
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "adapter_config.json").write_text("[" * 50_000)
    os.mkfifo(tmp_path / "x.json")
    (tmp_path / "x.safetensors").write_bytes(build(icons()))
    assert check(tmp_path).ok


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"ss_tag_frequency": _TAGS}, "2 caption tags"),
        ({"note": "trained in C:/Users/ann/pictures"}, "C:/Users/ann/pictures"),
        ({"ot_config": '{"epochs": 3}'}, "ot_config"),
        ({"path": "/home/ann/data set"}, "/home/ann/data"),
    ],
)
def test_private_things_in_the_header_are_named(metadata: dict[str, str], said: str) -> None:
    """Captions, folders and training settings in a header are shown before they are published."""
    [found] = label_findings(metadata, "tok")
    assert found.code == "PRIVACY_META"
    assert said in found.message


def test_an_ordinary_header_is_not_private() -> None:
    """`format: pt` and a license address are nobody's secret."""
    assert not list(label_findings({"format": "pt", "modelspec.license": "https://example.org/home"}, "tok"))
