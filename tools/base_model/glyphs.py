"""Render the training pictures: Noto Color Emoji glyphs at 64x64 px with premultiplied alpha.

Debian packages: fonts-noto-color-emoji (pictures), unicode-data (names), unicode-cldr-core (keywords).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

SIZE = 64
INK = 58  # px of the glyph's longer side; the rest is margin for the jitter
STRIKE = 109  # the only bitmap size that the font holds

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
NAMES = Path("/usr/share/unicode/emoji/emoji-test.txt")
KEYWORDS = Path("/usr/share/unicode/cldr/common/annotations/en.xml")
CONCEPTS = Path(__file__).with_name("concepts.txt")


@dataclass(frozen=True, slots=True)
class Concept:
    """One thing that the model learns to draw."""

    name: str
    aliases: tuple[str, ...]
    keywords: tuple[str, ...]
    character: str


def read_concepts(path: Path = CONCEPTS) -> list[Concept]:
    """Read the chosen names and look up each one's character and CLDR keywords.

    Raises:
        KeyError: a name that emoji-test.txt does not know.
    """
    characters, keywords = _characters(), _keywords()
    concepts = []
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, aliases = line.partition(":")
        name = name.strip()
        if not name or name.startswith("#"):
            continue
        character = characters[name]
        words = [word for word in keywords.get(character.replace("\ufe0f", ""), []) if word != name]
        also = tuple(alias.strip() for alias in aliases.split(",") if alias.strip())
        concepts.append(Concept(name, also, tuple(words), character))
    return concepts


def render(character: str) -> npt.NDArray[np.uint8]:
    """Draw one emoji, centred.

    Returns:
        uint8 [4, 64, 64]: RGB premultiplied by alpha, then alpha.
    """
    font = ImageFont.truetype(str(FONT), STRIKE)
    canvas = Image.new("RGBA", (160, 150), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((0, 0), character, font=font, embedded_color=True)
    box = canvas.getbbox()
    if box is None:
        raise ValueError(f"the font has no glyph for {character!r}")
    ink = canvas.crop(box)
    side = max(ink.size)
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
    pixels = np.asarray(square, np.float32) / 255
    pixels[..., :3] *= pixels[..., 3:]
    planes = [Image.fromarray(pixels[..., k]).resize((INK, INK), Image.Resampling.LANCZOS) for k in range(4)]
    picture = np.zeros((4, SIZE, SIZE), np.float32)
    edge = (SIZE - INK) // 2
    picture[:, edge : edge + INK, edge : edge + INK] = np.clip(np.stack(planes), 0, 1)
    return (picture * 255 + 0.5).astype(np.uint8)


def render_all(concepts: list[Concept]) -> npt.NDArray[np.uint8]:
    """Draw every concept: uint8 [n, 4, 64, 64]."""
    return np.stack([render(concept.character) for concept in concepts])


def _characters() -> dict[str, str]:
    row = re.compile(r"[0-9A-F ]+; fully-qualified\s+# (\S+) E[\d.]+ (.*)")
    matches = (row.match(line) for line in NAMES.read_text(encoding="utf-8").splitlines())
    return {match[2].strip().lower(): match[1] for match in matches if match}


def _keywords() -> dict[str, list[str]]:
    root = ElementTree.parse(KEYWORDS).getroot()  # noqa: S314  a file of the system
    return {
        str(node.get("cp")): [word.strip().lower() for word in (node.text or "").split("|")]
        for node in root.iter("annotation")
        if node.get("type") != "tts"
    }
