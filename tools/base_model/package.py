r"""Put trained weights into the project: diffusers folders with the transformer in fp16, once.

    python tools/base_model/package.py --transformer RUN/last/transformer --vae BUILD/vae \
        --out src/lorry/engine/base_model

The ONNX graphs beside them (export.py) read the same files.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from captions import COLOURS, TINTS
from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from glyphs import read_concepts
from sheet import FREE_PROMPTS

from lorry.engine.renderers.flow import SHIFT
from lorry.engine.renderers.patch_vae import PatchVAE


def write_concepts(path: Path) -> None:
    """Write what the model knows by name, for the documentation and for suggestions to a user."""
    facts = {
        "concepts": [{"name": c.name, "also": list(c.aliases)} for c in read_concepts()],
        "backgrounds": list(COLOURS),
        "tints": list(TINTS),
        "prompts": list(FREE_PROMPTS),
    }
    path.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Convert and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--transformer", type=Path, required=True)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    transformer = FluxTransformer2DModel.from_pretrained(options.transformer, torch_dtype=torch.float16)
    transformer.save_pretrained(options.out / "transformer")
    PatchVAE.from_pretrained(options.vae).save_pretrained(options.out / "vae")
    FlowMatchEulerDiscreteScheduler(shift=SHIFT).save_pretrained(options.out / "scheduler")
    write_concepts(options.out / "concepts.json")
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 16}
    (options.out / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2) + "\n")
    for config in options.out.glob("*/config.json"):
        fields = json.loads(config.read_text())
        fields.pop("_name_or_path", None)  # a path of the machine that trained
        config.write_text(json.dumps(fields, indent=2) + "\n")
    for weights in options.out.glob("*/*.safetensors"):
        weights.chmod(0o644)


if __name__ == "__main__":
    main()
