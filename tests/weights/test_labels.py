"""Trigger word, base label and private things are found where trainers leave them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lorry.weights import check
from lorry.weights.trainers.labels import label_findings
from tests.weights.files import build, icons

_TAGS = json.dumps({"1_tok creature": {"a dog": 4, "grass": 2}})


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
