"""Draw icons as blueprints, white lines on a blue grid: the style of the second sample LoRA."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

TRIGGER = "BLPRNT style"
PAPER, LINE = (24, 66, 140), (237, 247, 255)

# Objects that the style is shown on; rocket, cat, castle, octopus and pizza stay unseen, to be asked for.
OBJECTS = """red apple|sailboat|dog face|automobile|mushroom|hot beverage|guitar|tulip|fish|house|banana
|penguin|bus|airplane|umbrella|teddy bear|key|camera|laptop|light bulb|cactus|butterfly|elephant|hamburger
|crown|ship|bicycle|trophy|robot|alarm clock|hammer|locked|bell|t-rex|owl|pear|teapot|chair|running shoe
|tent|christmas tree|ice cream|turtle|helicopter|violin|scissors|lion|strawberry|envelope|glasses""".replace(
    "\n", ""
).split("|")


def draw(glyph: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Turn a glyph uint8 [4, 64, 64] (premultiplied, alpha last) into its blueprint uint8 [64, 64, 3]."""
    layer = glyph.astype(np.float32) / 255
    colours = layer[:3] + 1 - layer[3:]
    luma = np.tensordot(np.array([0.3, 0.59, 0.11], np.float32), colours, 1)
    edges = np.maximum.reduce(
        [_slope(layer[3]) * 1.2, _slope(luma) * 1.6, _slope(colours[0] - colours[2]) * 0.9]
    )
    ink = np.clip(edges, 0, 1)[..., None]
    paper = np.empty((64, 64, 3), np.float32)
    paper[:] = np.array(PAPER, np.float32) / 255
    paper[::8] += 0.07
    paper[:, ::8] += 0.07
    picture = paper * (1 - ink) + ink * np.array(LINE, np.float32) / 255
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _slope(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the gradient's length by central differences."""
    rows, columns = np.gradient(plane)
    return np.hypot(rows, columns).astype(np.float32) * 2
