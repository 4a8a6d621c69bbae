"""Draw TOK, an invented creature that no base model knows: the subject of the first sample LoRA.

A round teal body with a cream belly, one wide row of three eyes, a small smile, orange antennae and feet.
Drawn by the code below, so its licence is the project's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

SIZE = 64
_OVER = 8  # drawn 8 times as large, then shrunk

TEAL, DEEP_TEAL, CREAM = (28, 170, 160), (16, 128, 128), (255, 240, 205)
ORANGE, DEEP_ORANGE, ROSE = (248, 138, 40), (214, 100, 20), (255, 140, 150)
WHITE, INK = (255, 255, 255), (30, 28, 45)

BACKGROUNDS = {
    "white": (255, 255, 255),
    "yellow": (249, 215, 72),
    "light blue": (170, 214, 245),
    "pink": (247, 168, 200),
    "gray": (160, 160, 165),
    "red": (214, 48, 49),
    "light green": (183, 228, 160),
    "black": (25, 25, 28),
}
HATS = {"red": (220, 45, 45), "blue": (45, 100, 220), "yellow": (250, 210, 50)}


@dataclass(frozen=True, slots=True)
class Pose:
    """How one picture shows the creature."""

    background: str = "white"
    arms_up: bool = False
    hat: str | None = None
    scale: float = 1.0

    @property
    def caption(self) -> str:
        """Describe the picture, with the trigger word first."""
        words = ["TOK" if self.scale == 1 else "small TOK"]
        if self.arms_up:
            words.append("with arms up")
        if self.hat:
            words.append(f"with a {self.hat} hat")
        if self.background != "white":
            words.append(f"on a {self.background} background")
        return " ".join(words)


# Purple and green backgrounds stay unseen, to be asked for afterwards.
POSES = (
    Pose(),
    Pose(),
    Pose(arms_up=True),
    Pose(hat="red"),
    Pose(hat="blue"),
    Pose(hat="yellow"),
    Pose(hat="red", arms_up=True),
    Pose(scale=0.8),
    *(Pose(background=name) for name in BACKGROUNDS if name != "white"),
    Pose(background="yellow", arms_up=True),
    Pose(background="pink", arms_up=True),
    Pose(background="light blue", hat="red"),
    Pose(background="pink", hat="red"),
    Pose(background="gray", hat="red"),
    Pose(background="light green", hat="red", arms_up=True),
    Pose(background="yellow", hat="blue"),
    Pose(background="black", arms_up=True),
)


def draw(pose: Pose) -> Image.Image:
    """Draw one picture, 64x64 px RGB."""
    side = SIZE * _OVER
    image = Image.new("RGB", (side, side), BACKGROUNDS[pose.background])
    brush = _Brush(ImageDraw.Draw(image), pose.scale)
    _limbs(brush, pose)
    _body(brush)
    _face(brush)
    if pose.hat:
        _hat(brush, HATS[pose.hat])
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


class _Brush:
    """Shapes in units of 1/64 of the picture around its middle, y downwards."""

    def __init__(self, pen: ImageDraw.ImageDraw, scale: float) -> None:
        self.pen, self.unit, self.middle = pen, _OVER * scale, SIZE * _OVER / 2

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.middle + x * self.unit, self.middle + y * self.unit

    def oval(self, x: float, y: float, rx: float, ry: float, fill: tuple[int, int, int]) -> None:
        self.pen.ellipse([self.at(x - rx, y - ry), self.at(x + rx, y + ry)], fill=fill)

    def line(self, points: list[tuple[float, float]], width: float, fill: tuple[int, int, int]) -> None:
        corners = [self.at(*point) for point in points]
        self.pen.line(corners, fill=fill, width=round(width * self.unit), joint="curve")

    def polygon(self, points: list[tuple[float, float]], fill: tuple[int, int, int]) -> None:
        self.pen.polygon([self.at(*point) for point in points], fill=fill)


def _limbs(brush: _Brush, pose: Pose) -> None:
    for side in (-1, 1):
        brush.line([(side * 7, -14), (side * 10, -21), (side * 14, -25)], 2.6, DEEP_ORANGE)
        brush.oval(side * 14, -25.5, 4, 4, ORANGE)
        brush.oval(side * 9, 25, 7, 4.4, DEEP_ORANGE)
        brush.oval(side * 9, 24, 7, 4, ORANGE)
        hand = -8 if pose.arms_up else 14
        brush.line([(side * 17, 6), (side * 25, hand)], 5.5, DEEP_TEAL)
        brush.oval(side * 25.5, hand, 3.8, 3.8, ORANGE)


def _body(brush: _Brush) -> None:
    brush.oval(0, 4, 21, 20.5, DEEP_TEAL)
    brush.oval(0, 3, 21, 20, TEAL)
    brush.oval(0, 14, 11.5, 8.6, CREAM)


def _face(brush: _Brush) -> None:
    for x, radius in ((-11, 5.2), (0, 6.4), (11, 5.2)):
        brush.oval(x, -4, radius, radius, WHITE)
        brush.oval(x, -3.6, radius * 0.55, radius * 0.55, INK)
        brush.oval(x - 1, -5, radius * 0.2, radius * 0.2, WHITE)
    for side in (-1, 1):
        brush.oval(side * 13.5, 4.4, 2.8, 1.9, ROSE)
    box = [brush.at(-4.5, 0), brush.at(4.5, 7.5)]
    brush.pen.arc(box, 20, 160, fill=INK, width=round(1.6 * brush.unit))


def _hat(brush: _Brush, colour: tuple[int, int, int]) -> None:
    shade = tuple(int(value * 0.75) for value in colour)
    brush.polygon([(-10, -14), (10, -14), (0, -29)], colour)
    brush.polygon([(3, -14), (10, -14), (0, -29)], (shade[0], shade[1], shade[2]))
    brush.oval(0, -14, 13, 3.2, (shade[0], shade[1], shade[2]))
    brush.oval(0, -14.6, 13, 2.8, colour)
    brush.oval(0, -28.6, 2.6, 2.6, WHITE)
