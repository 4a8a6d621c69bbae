"""The pictures of a training, as they lie in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lorry.errors import OptionInvalid, SourceNotFound
from lorry.training.lora.pictures import captioned, digest_of, read_examples


def draw(place: Path, size: tuple[int, int] = (80, 60), mode: str = "RGB", colour: object = "red") -> None:
    """Write a picture of one colour."""
    Image.new(mode, size, colour).save(place)  # type: ignore[arg-type]


def test_pictures_are_read_with_their_captions(tmp_path: Path) -> None:
    """From a text beside, from metadata.jsonl, or none; the trigger word is before each, once."""
    for name in ("a.png", "b.jpg", "c.webp"):
        draw(tmp_path / name)
    (tmp_path / "a.txt").write_text("TOK on\n grass ")
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "b.jpg", "text": "on sand"}\nnonsense\n{"x": 1}\n'
    )
    (tmp_path / "notes.md").write_text("nothing of ours")
    examples = read_examples(tmp_path, "TOK", 64)
    assert [each.caption for each in examples] == ["TOK on grass", "TOK, on sand", "TOK"]
    assert all(each.picture.shape == (64, 64, 3) and each.picture.dtype == np.uint8 for each in examples)


def test_what_is_transparent_lies_on_white(tmp_path: Path) -> None:
    """As the base knows pictures; a palette with a transparent colour too."""
    draw(tmp_path / "a.png", mode="RGBA", colour=(255, 0, 0, 0))
    Image.new("P", (10, 10), 0).save(tmp_path / "b.png", transparency=0)
    for each in read_examples(tmp_path, "TOK", 64):
        assert each.picture.min() == 255


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """No folder, no picture, and every picture that can't be read, by name."""
    with pytest.raises(SourceNotFound, match="no folder"):
        read_examples(tmp_path / "nowhere", "TOK", 64)
    with pytest.raises(SourceNotFound, match="no picture"):
        read_examples(tmp_path, "TOK", 64)
    draw(tmp_path / "good.png")
    (tmp_path / "a.png").write_bytes(b"<html>")
    (tmp_path / "b.jpg").write_bytes(b"")
    with pytest.raises(OptionInvalid, match=r"2 of 3 pictures can't be read: a\.png .*; b\.jpg "):
        read_examples(tmp_path, "TOK", 64)


@pytest.mark.parametrize(
    ("caption", "wanted"),
    [("", "TOK"), ("a dog", "TOK, a dog"), ("a tok here", "a tok here"), ("TOKEN", "TOK, TOKEN")],
)
def test_a_trigger_word_is_a_word(caption: str, wanted: str) -> None:
    """Whatever its case; a longer word that begins so is another."""
    assert captioned(caption, "TOK") == wanted


def test_another_picture_or_caption_is_another_training(tmp_path: Path) -> None:
    """What is trained on has a digest: a training goes on with the same only."""
    draw(tmp_path / "a.png")
    before = digest_of(read_examples(tmp_path, "TOK", 64))
    assert digest_of(read_examples(tmp_path, "TOK", 64)) == before
    (tmp_path / "a.txt").write_text("on grass")
    assert digest_of(read_examples(tmp_path, "TOK", 64)) != before
