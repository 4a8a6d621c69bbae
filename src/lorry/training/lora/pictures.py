"""The pictures and captions of a training, read from a folder.

Captions lie beside the pictures (`x.png`, `x.txt`) or in `metadata.jsonl` with `file_name` and `text` (the
form of Hugging Face's imagefolder); a picture without one is captioned by the trigger word alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lorry.errors import OptionInvalid, SourceNotFound
from lorry.training.lora.ports import Picture

_KINDS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
_CAPTIONS = (".txt", ".caption")
#: More pictures are no small LoRA; and all of them are held in memory.
MOST = 2000


@dataclass(frozen=True, slots=True)
class Example:
    """A picture of what is to be learnt, and its caption."""

    picture: Picture
    caption: str


def read_examples(folder: Path, trigger: str, edge: int) -> list[Example]:
    """Read a folder's pictures, cut square and scaled.

    Args:
        folder: Where they lie.
        trigger: Put before captions that lack it.
        edge: Edge in pixels.

    Raises:
        SourceNotFound: There is no such folder, or no picture in it.
        OptionInvalid: Names every picture that can't be read.
    """
    if not folder.is_dir():
        raise SourceNotFound(f"There is no folder {folder}.", evidence={"folder": str(folder)})
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _KINDS)
    if not files:
        raise SourceNotFound(
            f"{folder} holds no picture.",
            fix=f"Put pictures there ({', '.join(sorted(_KINDS))}), each with a caption in a .txt beside it.",
            evidence={"folder": str(folder)},
        )
    if len(files) > MOST:
        raise OptionInvalid(
            f"{folder} holds {len(files):,} pictures; {MOST:,} are the most for this trainer.",
            fix="Choose some of them, or use a trainer for large sets.",
        )
    told = _told(folder)
    examples, broken = [], []
    for file in files:
        try:
            picture = _square(file, edge)
        except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
            broken.append(f"{file.name} ({error})")
        else:
            examples.append(Example(picture, captioned(_caption(file, told), trigger)))
    if broken:
        raise OptionInvalid(
            f"{len(broken)} of {len(files)} pictures can't be read: {'; '.join(broken[:20])}.",
            fix="Take them out of the folder, or save them anew.",
            evidence={"pictures": broken[:100]},
        )
    return examples


def captioned(caption: str, trigger: str) -> str:
    """Put the trigger word before a caption that lacks it.

    Args:
        caption: As it was written; may be empty.
        trigger: The word.
    """
    if re.search(rf"(?<!\w){re.escape(trigger)}(?!\w)", caption, re.I):
        return caption
    return f"{trigger}, {caption}" if caption else trigger


def digest_of(examples: list[Example]) -> str:
    """Tell one set of pictures and captions from another.

    Args:
        examples: They.
    """
    seen = hashlib.sha256()
    for example in examples:
        seen.update(example.picture.tobytes())
        seen.update(example.caption.encode() + b"\0")
    return seen.hexdigest()


def _square(file: Path, edge: int) -> Picture:
    with Image.open(file) as opened:
        picture = ImageOps.exif_transpose(opened)
        if "A" in picture.getbands() or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            paper = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(paper, picture)
        fitted = ImageOps.fit(picture.convert("RGB"), (edge, edge), Image.Resampling.LANCZOS)
    return np.asarray(fitted).copy()


def _told(folder: Path) -> dict[str, str]:
    """Read captions from `metadata.jsonl`; a line that is none is left out."""
    file = folder / "metadata.jsonl"
    told: dict[str, str] = {}
    if not file.is_file():
        return told
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            told[str(row["file_name"])] = str(row["text"])
        except (ValueError, KeyError, TypeError):
            continue
    return told


def _caption(file: Path, told: dict[str, str]) -> str:
    for suffix in _CAPTIONS:
        beside = file.with_suffix(suffix)
        if beside.is_file():
            return " ".join(beside.read_text(encoding="utf-8", errors="replace").split())
    return " ".join(told.get(file.name, "").split())
