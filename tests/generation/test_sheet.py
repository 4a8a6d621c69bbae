"""The contact sheet: every picture and every word finds its place."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFont

from lorry.errors import OptionInvalid
from lorry.generation import SheetRow, contact_sheet
from lorry.generation.sheet import wrap
from tests.generation.conftest import png


def _opened(sheet: bytes) -> Image.Image:
    with Image.open(BytesIO(sheet)) as image:
        return image.convert("RGB")


def test_every_picture_is_on_the_sheet_in_its_place() -> None:
    """Two rows of two: their four colours lie in reading order."""
    shades = [[10, 80], [150, 250]]
    rows = [SheetRow(f"row {n}", tuple(png(shade) for shade in row)) for n, row in enumerate(shades)]
    image = _opened(contact_sheet(rows, captions=("left", "right"), title="t"))
    centres: dict[float, list[tuple[int, int]]] = {}
    for x in range(0, image.width, 4):
        for y in range(0, image.height, 4):
            pixel = image.getpixel((x, y))
            assert isinstance(pixel, tuple)
            if pixel[1:] == (40, 90):
                centres.setdefault(pixel[0], []).append((x, y))
    assert sorted(centres) == [10, 80, 150, 250]
    first = {shade: min(places) for shade, places in centres.items()}
    assert first[10][0] == first[150][0] < first[80][0] == first[250][0]
    assert first[10][1] == first[80][1] < first[150][1] == first[250][1]


def test_a_long_caption_makes_the_sheet_taller_and_not_wider() -> None:
    """Captions wrap inside their column."""
    rows = [SheetRow("row", (png(), png()))]
    short = _opened(contact_sheet(rows, captions=("a", "b")))
    long = _opened(contact_sheet(rows, captions=("a", "a word after the other " * 8)))
    assert long.width == short.width
    assert long.height > short.height


def test_an_empty_cell_stays_empty() -> None:
    """A picture that is missing leaves its cell, and the others stay where they are."""
    sheet = _opened(contact_sheet([SheetRow("row", (None, png(200)))], captions=("a", "b")))
    half = sheet.width // 2
    assert (200, 40, 90) not in sheet.crop((0, 0, half, sheet.height)).get_flattened_data()
    assert (200, 40, 90) in sheet.crop((half, 0, sheet.width, sheet.height)).get_flattened_data()


def test_a_picture_of_another_shape_is_not_distorted() -> None:
    """A wide picture keeps its shape: white lies above it inside the cell."""
    sheet = _opened(contact_sheet([SheetRow("row", (png(200, size=(16, 8)),))], captions=("a",)))
    colours = sheet.getcolors(1 << 24)
    assert colours is not None
    amount = {colour: count for count, colour in colours}
    assert 0.8 < amount[200, 40, 90] / (256 * 128) <= 1.01


@pytest.mark.parametrize(
    ("rows", "captions"),
    [([], ("a",)), ([SheetRow("r", ())], ()), ([SheetRow("r", (png(),))], ("a", "b"))],
)
def test_a_sheet_of_nothing_or_of_uneven_rows_is_refused(
    rows: list[SheetRow], captions: tuple[str, ...]
) -> None:
    """Rows and captions have to match."""
    with pytest.raises(OptionInvalid):
        contact_sheet(rows, captions=captions)


@given(text=st.text(), width=st.integers(30, 300))
def test_wrapping_loses_no_letter_and_keeps_to_the_width(text: str, width: int) -> None:
    """All that is no white space is there in order, and no line of two letters or more is too long."""
    font = ImageFont.load_default(17)
    lines = wrap(text, width, font)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(font.getlength(line) <= width or len(line) == 1 for line in lines)
