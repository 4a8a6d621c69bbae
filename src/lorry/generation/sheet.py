"""A contact sheet: the same prompts in rows that can be compared, as one picture for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from lorry.errors import OptionInvalid

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

    Font = FreeTypeFont | ImageFont

# Lengths in pixels; _LABEL is the height that a row's label takes. Four columns give a sheet 1,152 wide:
# whole on a laptop's screen, sharp in a README.
_CELL = 256
_GAP = 16
_MARGIN = 40
_CORNER = 10
_ROW_GAP = 26
_LABEL = 32
_TITLE_SIZE, _LABEL_SIZE, _CAPTION_SIZE = 28, 20, 17

_PAPER, _INK, _SOFT, _EDGE = "#fafaf8", "#1b1b1f", "#5c5c66", "#dcdcd6"


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row: its label, and a picture (PNG bytes) for each column; `None` leaves a cell empty."""

    label: str
    pictures: tuple[bytes | None, ...]


def contact_sheet(
    rows: Sequence[SheetRow], *, captions: Sequence[str], title: str = "", note: str = ""
) -> bytes:
    """Draw a contact sheet.

    Args:
        rows: From top to bottom.
        captions: What each column shows, usually its prompt; wrapped over its column.
        title: Headline.
        note: Small line below the headline.

    Returns:
        PNG bytes.

    Raises:
        OptionInvalid: There is nothing to draw, or a row has not one picture for each caption.
    """
    columns = len(captions)
    uneven = [row.label for row in rows if len(row.pictures) != columns]
    if not rows or not columns or uneven:
        raise OptionInvalid(
            f"A contact sheet needs rows with a picture for each of its {columns} captions.",
            fix="Give every row as many pictures as there are captions.",
            evidence={"columns": columns, "rows": len(rows), "uneven": uneven},
        )
    return _Sheet(rows, captions, title, note).png()


class _Sheet:
    """Measures first, then draws: the height follows from how the captions wrap."""

    def __init__(self, rows: Sequence[SheetRow], captions: Sequence[str], title: str, note: str) -> None:
        from PIL import Image, ImageDraw, ImageFont

        self._rows = rows
        self._title_font = ImageFont.load_default(_TITLE_SIZE)
        self._label_font = ImageFont.load_default(_LABEL_SIZE)
        self._caption_font = ImageFont.load_default(_CAPTION_SIZE)
        self._width = 2 * _MARGIN + len(captions) * _CELL + (len(captions) - 1) * _GAP
        inner = self._width - 2 * _MARGIN
        self._title = wrap(title, inner, self._title_font)
        self._note = wrap(note, inner, self._caption_font)
        self._captions = [wrap(caption, _CELL, self._caption_font) for caption in captions]
        height = self._top() + len(rows) * self._row_height() - _ROW_GAP + _MARGIN
        self._image = Image.new("RGB", (self._width, height), _PAPER)
        self._mask = _rounded()
        self._draw = ImageDraw.Draw(self._image)

    def png(self) -> bytes:
        """Draw everything and give the PNG."""
        y = self._lines(self._title, _MARGIN, _MARGIN, self._title_font, _INK, _line(_TITLE_SIZE))
        self._lines(self._note, _MARGIN, y, self._caption_font, _SOFT, _line(_CAPTION_SIZE))
        bottom = self._top() - _GAP
        for column, lines in enumerate(self._captions):
            begin = bottom - len(lines) * _line(_CAPTION_SIZE)
            self._lines(lines, self._x(column), begin, self._caption_font, _INK, _line(_CAPTION_SIZE))
        for number, row in enumerate(self._rows):
            self._row(row, self._top() + number * self._row_height())
        written = BytesIO()
        self._image.save(written, format="PNG")
        return written.getvalue()

    def _row(self, row: SheetRow, y: int) -> None:
        self._draw.text((_MARGIN, y), row.label, font=self._label_font, fill=_SOFT)
        top = y + _LABEL
        for column, png in enumerate(row.pictures):
            x = self._x(column)
            if png is not None:
                self._image.paste(_cell(png), (x, top), self._mask)
            edge = (x, top, x + _CELL - 1, top + _CELL - 1)
            self._draw.rounded_rectangle(edge, radius=_CORNER, outline=_EDGE)

    def _lines(self, lines: Sequence[str], x: int, y: int, font: Font, ink: str, step: int) -> int:
        for line in lines:
            self._draw.text((x, y), line, font=font, fill=ink)
            y += step
        return y

    def _top(self) -> int:
        heads = len(self._title) * _line(_TITLE_SIZE) + len(self._note) * _line(_CAPTION_SIZE)
        tallest = max(map(len, self._captions)) * _line(_CAPTION_SIZE)
        return _MARGIN + heads + (_GAP if heads else 0) + tallest + _GAP

    def _row_height(self) -> int:
        return _LABEL + _CELL + _ROW_GAP

    def _x(self, column: int) -> int:
        return _MARGIN + column * (_CELL + _GAP)


def wrap(text: str, width: int, font: Font) -> list[str]:
    """Break a text into lines that fit; a word that is too long alone is broken too.

    Args:
        text: What to write.
        width: Pixels of a line.
        font: What it is written in.
    """
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        rest = word
        while font.getlength(rest) > width and len(rest) > 1:
            fits = next(n for n in range(len(rest) - 1, 0, -1) if n == 1 or font.getlength(rest[:n]) <= width)
            lines.append(rest[:fits])
            rest = rest[fits:]
        lines.append(rest)
    return lines


def _line(size: int) -> int:
    return round(size * 1.35)


def _cell(png: bytes) -> Image:
    """Fit a picture into a cell: smoothly, since it is no pixel art, and by a filter that hardly rings."""
    from PIL import Image

    with Image.open(BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    factor = _CELL / max(picture.size)
    fitted = (max(round(picture.width * factor), 1), max(round(picture.height * factor), 1))
    picture = picture.resize(fitted, Image.Resampling.BICUBIC)
    cell = Image.new("RGB", (_CELL, _CELL), "white")
    cell.paste(picture, ((_CELL - picture.width) // 2, (_CELL - picture.height) // 2))
    return cell


def _rounded() -> Image:
    """Give the mask of a cell with round corners, drawn four times as large for smooth edges."""
    from PIL import Image, ImageDraw

    mask = Image.new("L", (_CELL * 4, _CELL * 4), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, _CELL * 4 - 1, _CELL * 4 - 1), radius=_CORNER * 4, fill=255)
    return mask.resize((_CELL, _CELL), Image.Resampling.LANCZOS)
