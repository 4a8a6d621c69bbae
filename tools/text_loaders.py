"""Write what the loaders of text adapters do with each wrapping of the names: PEFT tried, vLLM read.

    python -m tools.text_loaders

PEFT is tried with each family's full-shape model on the meta device. What vLLM does follows from its source,
which was read and not executed: it takes `base_model.model.` off wherever it stands, keeps other names as
they are, leaves out modules that it does not find, and refuses names with another ending.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lorry.weights.bases.families import Family, families, layer_names
from lorry.weights.loaders.layouts import Layout
from lorry.weights.loaders.tables import table
from tools.ground_truth.text import PREFIX, Loaded, load, tensors

DATA = Path(__file__).resolve().parents[1] / "src" / "lorry" / "weights" / "loaders" / "data"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "text-loaders.md"
RANK, ALPHA = 1, 2
#: What stands before a layer's own name, in the words of `lorry.weights.adapter.text`.
WRAPPINGS = ("peft", "bare", "double-wrapped", "headless", "bare-headless")


def text_families() -> Iterator[Family]:
    """List the families of text models."""
    return (known for known in families() if known.component == "text_model")


def tried_layers(known: Family) -> list[tuple[str, int, int]]:
    """List the layers to try: all but experts, which PEFT fuses, and the two ends.

    Args:
        known: The family.
    """
    return [
        layer for layer in layer_names(known) if layer[0].endswith("_proj") and ".experts." not in layer[0]
    ]


def wrapped(name: str, wrapping: str) -> str:
    """Write a tensor's name in another wrapping.

    Args:
        name: The name as PEFT saves it.
        wrapping: One of `WRAPPINGS`.
    """
    plain = name.removeprefix(PREFIX)
    short = plain.removeprefix("model.")
    return {
        "peft": name,
        "bare": plain,
        "double-wrapped": PREFIX + name,
        "headless": PREFIX + short,
        "bare-headless": short,
    }[wrapping]


def config(**fields: Any) -> dict[str, Any]:
    """Give an adapter_config.json for what is tried.

    Args:
        **fields: Other or further fields.
    """
    # Full names: `q_proj` alone would reach the eyes of models that see.
    usual = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": ALPHA}
    return {**usual, **fields}


def tried(known: Family, wrapping: str, suffix: str = "lora_A") -> Loaded:
    """Try one layout of one family with PEFT.

    Args:
        known: The family.
        wrapping: One of `WRAPPINGS`.
        suffix: `lora_A`, `lora_A.name` or `dora_A`.
    """
    layers = tried_layers(known)
    shapes = {wrapped(name, wrapping): shape for name, shape in tensors(layers, RANK).items()}
    if suffix == "lora_A.name":
        shapes = {name.replace(".weight", ".default.weight"): shape for name, shape in shapes.items()}
    if suffix == "dora_A":
        for name, _, outputs in layers:
            shapes[wrapped(f"{PREFIX}{name}.lora_magnitude_vector", wrapping)] = (outputs,)
    fields = config(target_modules=[name for name, _, _ in layers], use_dora=suffix == "dora_A")
    return load(known.model["architecture"], known.model["config"], shapes, fields)


def peft_row(known: Family) -> dict[str, Any]:
    """Give what PEFT does with a family.

    Args:
        known: The family.
    """
    layouts = {}
    for wrapping in WRAPPINGS:
        for suffix in ("lora_A", "lora_A.name", "dora_A") if wrapping == "peft" else ("lora_A",):
            result = tried(known, wrapping, suffix)
            word = "refused: " + result.error if result.error else "ok" if result.layers else "ignored"
            if result.layers and len(result.layers) < len(tried_layers(known)):
                word = "partial"
            layouts[f"peft diffusers {suffix} *" if wrapping == "peft" else f"{wrapping} * * *"] = (
                {"outcome": word} if word == "ok" else word
            )
    # It looks for its own names and sees no others; kohya's words are among the faults that tests try.
    layouts["* * * *"] = "ignored"
    return {"layers": sum(1 for _ in layer_names(known)), "layouts": layouts}


def vllm_row(known: Family) -> dict[str, Any]:
    """Give what vLLM does with a family.

    Args:
        known: The family.
    """
    refused = "refused: ValueError: … is unsupported LoRA weight"
    sees = known.model["architecture"].endswith("ConditionalGeneration")
    unheaded = "unknown" if sees else "ignored"  # such a model renames what it reads; that was not followed
    layouts = {
        "peft diffusers lora_A *": {"outcome": "ok"},
        "peft diffusers lora_A.name *": refused,
        "peft diffusers dora_A *": "refused: ValueError: vLLM does not yet support DoRA.",
        "bare * * *": {"outcome": "ok"},
        "double-wrapped * * *": {"outcome": "ok"},
        "headless * * *": unheaded,
        "bare-headless * * *": unheaded,
        "* * * *": refused,
    }
    return {"layers": sum(1 for _ in layer_names(known)), "layouts": layouts}


def text(document: dict[str, Any]) -> str:
    """Write a table with one family a line.

    Args:
        document: The table.
    """
    rows = ",\n".join(
        f"    {json.dumps(key)}: {json.dumps(row)}" for key, row in document["families"].items()
    )
    head = "".join(f"  {json.dumps(k)}: {json.dumps(v)},\n" for k, v in document.items() if k != "families")
    return "{\n" + head + '  "families": {\n' + rows + "\n  }\n}\n"


_WORDS = {
    "peft": "`base_model.model.` once, as PEFT saves",
    "bare": "nothing",
    "double-wrapped": "`base_model.model.` twice",
    "headless": "`base_model.model.`, without the model's own `model.`",
    "bare-headless": "neither",
}


def page() -> str:
    """Write docs/reference/text-loaders.md from both tables."""
    peft, vllm = table("peft"), table("vllm")
    if peft is None or vllm is None:
        raise ValueError("the tables of PEFT and vLLM are missing")
    lines = [
        "# What loaders do with adapters for text",
        "",
        "<!-- Generated by `python -m tools.text_loaders`. -->",
        "",
        f"PEFT {peft.version}: {peft.source} ({peft.checked}).",
        f"vLLM ({vllm.version}): {vllm.source} ({vllm.checked}).",
        "`ok`: every layer is changed. `ignored`: the loader returns normally and changes nothing.",
        "",
    ]
    for found in (peft, vllm):
        lines += [f"## {found.loader}", "", f"| family | layers | {' | '.join(_WORDS.values())} | DoRA | "
                  "adapter name left in |", "|---|---|" + "---|" * (len(_WORDS) + 2)]  # fmt: skip
        for key, row in sorted(found.families.items()):
            told = [(wrapping, "lora_A") for wrapping in _WORDS] + [
                ("peft", "dora_A"),
                ("peft", "lora_A.name"),
            ]
            cells = [row.entry(Layout(wrapping, "diffusers", suffix, False)) for wrapping, suffix in told]
            words = [str(cell.outcome) if cell else "" for cell in cells]
            lines.append(f"| `{key}` | {row.layers:,} | {' | '.join(words)} |")
        lines.append("")
    lines.append("PEFT calls an adapter `default`; with another name left in the keys it ignores the file.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Try everything and write both tables and the page."""
    known = list(text_families())
    peft = {
        "loader": "peft",
        "version": "0.21.2 with transformers 5.23.0",
        "checked": "2026-11-25",
        "source": "full-shape models on the meta device, tools/text_loaders.py; slow tests try it again",
        "effects": {
            "up-missing": "skipped", "down-missing": "random", "ranks": "refused", "stranger": "skipped",
            "outside": "skipped", "narrow": "refused", "wide": "refused", "outputs": "refused",
            "tensor": "skipped",
        },
        "families": {each.key: peft_row(each) for each in known},
    }  # fmt: skip
    vllm = {
        "loader": "vllm",
        "version": "vllm/lora/utils.py and vllm/lora/peft_helper.py of 2026",
        "checked": "2026-11-25",
        "source": "read in source, not executed",
        "ranks": [1, 8, 16, 32, 64, 128, 256, 320, 512],
        "effects": {"stranger": "skipped", "outside": "skipped", "narrow": "refused", "outputs": "refused"},
        "families": {each.key: vllm_row(each) for each in known},
    }
    for made in (peft, vllm):
        (DATA / f"{made['loader']}.json").write_text(text(made), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
