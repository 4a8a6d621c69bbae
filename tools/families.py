"""Write the tables of layers in the families' data from the diffusers classes, on torch's meta device.

    python tools/families.py [FAMILY ...]

Reads each family's class and configuration from `src/lorry/weights/bases/data`, builds the model without any
memory, and writes its linear and convolution layers back as templates: `blocks.[0-39].attn1.to_q` stands for
40 layers of one shape. The original names of U-Nets are written too, as they follow a rule; those of
transformers are written by hand, from the conversions in diffusers (`loaders/single_file_utils.py`).
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1] / "src" / "lorry" / "weights" / "bases" / "data"

Shape = tuple[int, int]
Span = tuple[int, int]
#: Numbers of a name, each as a span, and those of the name that it is translated to.
Box = tuple[tuple[Span, ...], tuple[Span, ...]]

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")
_RANGE = re.compile(r"\[(\d+)-(\d+)\]")
#: Within an attention block of a U-Net both spellings agree; a residual block has other words.
_RESNET = {
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_out": "out.2",
}
_PER_LEVEL = 2  # residual blocks of a level on the way down; one more on the way up


def real_layers(model: Mapping[str, Any]) -> dict[str, Shape]:
    """Build a model on the meta device and list its layers that an adapter can change.

    Args:
        model: The diffusers class and its configuration.

    Returns:
        Inputs and outputs by name, in the model's order.
    """
    import diffusers
    import torch

    with torch.device("meta"):
        built = getattr(diffusers, model["class"])(**model["config"])
    found: dict[str, Shape] = {}
    for name, layer in built.named_modules():
        if isinstance(layer, torch.nn.Linear):
            found[name] = layer.in_features, layer.out_features
        elif isinstance(layer, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d):
            found[name] = layer.in_channels, layer.out_channels
    return found


def unet_names(names: Iterable[str]) -> dict[str, str]:
    """Translate a U-Net's diffusers names to those of the original (`input_blocks.4.1.proj_in`).

    Args:
        names: All diffusers names of the model.
    """
    known = list(names)
    attended = {
        found[0] for name in known if (found := re.match(r"(?:down|up)_blocks\.\d+\.attentions", name))
    }
    return {_original(name, attended): name for name in known}


def _original(name: str, attended: set[str]) -> str:
    if name in _ENDS:
        return _ENDS[name]
    side, _, rest = name.partition(".")
    if side == "mid_block":
        kind, number, inner = rest.split(".", 2)
        return (
            f"middle_block.1.{inner}"
            if kind == "attentions"
            else f"middle_block.{2 * int(number)}.{_RESNET[inner]}"
        )
    level, kind, number, inner = rest.split(".", 3)
    first = int(level) * (_PER_LEVEL + 1)
    if kind == "downsamplers":
        return f"input_blocks.{first + _PER_LEVEL + 1}.0.op"
    if kind == "upsamplers":
        place = 2 if f"up_blocks.{level}.attentions" in attended else 1
        return f"output_blocks.{first + _PER_LEVEL}.{place}.conv"
    block = (
        f"input_blocks.{first + int(number) + 1}"
        if side == "down_blocks"
        else f"output_blocks.{first + int(number)}"
    )
    return f"{block}.1.{inner}" if kind == "attentions" else f"{block}.0.{_RESNET[inner]}"


def templates(rows: Mapping[tuple[str, str], Shape]) -> dict[tuple[str, str], Shape]:
    """Put names that differ in their numbers only, and have one shape, into templates.

    Args:
        rows: Shape by name and by the name that it is translated to (the same, or empty, when it is not).
    """
    groups: dict[tuple[str, str, Shape], list[Box]] = defaultdict(list)
    for (name, other), shape in rows.items():
        spans = [tuple((int(n), int(n)) for n in _NUMBER.findall(each)) for each in (name, other)]
        groups[_NUMBER.sub("*", name), _NUMBER.sub("*", other), shape].append((spans[0], spans[1]))
    written: dict[tuple[str, str], Shape] = {}
    for (words, others, shape), boxes in groups.items():
        for left, right in _merged(boxes):
            written[_fill(words, left), _fill(others, right)] = shape
    expanded = {pair: shape for template, shape in written.items() for pair in _expand(*template)}
    if expanded != dict(rows):
        raise ValueError("templates do not give back the layers that they were made of")
    return written


def _merged(boxes: list[Box]) -> list[Box]:
    """Join boxes that are neighbours in one place of the name, and in one of the other name or in none."""
    for place in reversed(range(len(boxes[0][0]))):
        for other in (*reversed(range(len(boxes[0][1]))), None):
            boxes = list(_joined(boxes, place, other))
    return boxes


def _joined(boxes: list[Box], place: int, other: int | None) -> Iterator[Box]:
    boxes = sorted(boxes, key=lambda box: (_without(box[0], place), box[0][place]))
    last = boxes[0]
    for box in boxes[1:]:
        joined = _join(last, box, place, other)
        if joined is None:
            yield last
        last = joined or box
    yield last


def _join(lower: Box, upper: Box, place: int, other: int | None) -> Box | None:
    """Join two boxes when the upper one follows the lower in one place, and its translation in the other."""
    if _without(lower[0], place) != _without(upper[0], place):
        return None
    if _without(lower[1], other) != _without(upper[1], other):
        return None
    if lower[0][place][1] + 1 != upper[0][place][0]:
        return None
    left = _stretched(lower[0], upper[0], place)
    if other is None:
        return left, lower[1]
    right = _stretched(lower[1], upper[1], other)
    follows = lower[1][other][1] + 1 == upper[1][other][0]
    return (left, right) if follows and _width(left) == _width(right) else None


def _width(spans: tuple[Span, ...]) -> int:
    """Count the numbers that run: as many on both sides, or a template would not say which is which."""
    return sum(low != high for low, high in spans)


def _without(spans: tuple[Span, ...], place: int | None) -> tuple[Span, ...]:
    return tuple(span for index, span in enumerate(spans) if index != place)


def _stretched(spans: tuple[Span, ...], by: tuple[Span, ...], place: int) -> tuple[Span, ...]:
    return (*spans[:place], (spans[place][0], by[place][1]), *spans[place + 1 :])


def _fill(words: str, spans: tuple[Span, ...]) -> str:
    filled = iter(str(low) if low == high else f"[{low}-{high}]" for low, high in spans)
    return re.sub(r"\*", lambda _: next(filled), words)


def _expand(name: str, other: str) -> Iterator[tuple[str, str]]:
    return zip(_names(name), _names(other) if other else ("" for _ in _names(name)), strict=True)


def _names(template: str) -> list[str]:
    spans = [range(int(low), int(high) + 1) for low, high in _RANGE.findall(template)]
    words = _RANGE.sub("{}", template)
    return [words.format(*numbers) for numbers in product(*spans)]


def rebuilt(row: dict[str, Any]) -> dict[str, Any]:
    """Give a family's data with its layers made again from its class.

    Args:
        row: The data of one file.
    """
    layers = real_layers(row["model"])
    made = {
        name: list(shape) for (name, _), shape in templates({(n, ""): s for n, s in layers.items()}).items()
    }
    native = row["native"]
    if row["component"] == "unet":
        pairs = {(name, known): layers[known] for name, known in unet_names(layers).items() if name != known}
        native = {name: {"to": [known]} for name, known in templates(pairs)}
    return {**row, "layers": made, "native": native}


def text(row: dict[str, Any]) -> str:
    """Write a family's data with one fact a line.

    Args:
        row: The data.
    """
    lines = []
    for field, value in row.items():
        if field in ("layers", "native") and value:
            inner = ",\n".join(f"    {json.dumps(name)}: {json.dumps(fact)}" for name, fact in value.items())
            lines.append(f"  {json.dumps(field)}: {{\n{inner}\n  }}")
        elif field == "bases":
            inner = ",\n".join(f"    {json.dumps(base)}" for base in value)
            lines.append(f'  "bases": [\n{inner}\n  ]')
        else:
            lines.append(f"  {json.dumps(field)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(keys: list[str]) -> None:
    """Rebuild the named families, or all that have a diffusers class.

    Args:
        keys: Families; none for all.
    """
    for path in sorted(DATA.glob("**/*.json")):
        row = json.loads(path.read_text(encoding="utf-8"))
        if "class" not in row.get("model", {}) or (keys and row["key"] not in keys):
            continue
        made = rebuilt(row)
        path.write_text(text(made), encoding="utf-8")
        print(f"{row['key']}: {sum(len(_names(name)) for name in made['layers'])} layers")


if __name__ == "__main__":
    main(sys.argv[1:])
