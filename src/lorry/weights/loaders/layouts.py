"""The layouts that adapters are spelled in: prefix, module names, matrices, alpha; each axis on its own.

A layout's key is its four words, as `comfyui native lora_A plain`. LoRA formats dossier, section 1.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from lorry.weights.adapter.keys import Role
from lorry.weights.adapter.modules import Module
from lorry.weights.bases.families import Family

#: What stands before a module's name, and who writes it; `{}` is the component (`transformer`, `unet`).
PREFIXES: dict[str, tuple[str, str]] = {
    "diffusers": ("{}.", "diffusers scripts, ai-toolkit for FLUX.1, SimpleTuner, OneTrainer"),
    "bare": ("", "DiffSynth, OneTrainer ORIGINAL, some forks"),
    "comfyui": ("diffusion_model.", "ai-toolkit, OneTrainer COMFY, diffusion-pipe"),
    "kohya": ("lora_unet_", "sd-scripts, musubi-tuner, LyCORIS, OneTrainer KOHYA"),
    "onetrainer": ("lora_transformer_", "OneTrainer until mid-2026"),
    "lycoris": ("lycoris_", "SimpleTuner with LyCORIS, old ai-toolkit LoKr"),
    "peft": ("base_model.model.", "PEFT's save_pretrained, fal"),
    "double-wrapped": ("{}.base_model.model.", "broken exports of old PEFT scripts"),
    "xlabs": ("", "XLabs-AI, FLUX.1 only"),
}
#: Prefixes that turn the dots of a module's name into underscores.
FLAT = frozenset({"kohya", "onetrainer", "lycoris"})

#: How the tensors of a module end, and what they are.
SUFFIXES: dict[str, tuple[tuple[str, ...], str]] = {
    "lora_A": ((".lora_A.weight", ".lora_B.weight"), "LoRA in PEFT's words"),
    "lora_down": ((".lora_down.weight", ".lora_up.weight"), "LoRA in kohya's words"),
    "lora.down": ((".lora.down.weight", ".lora.up.weight"), "LoRA in the words of old diffusers"),
    "_lora.down": ((".down.weight", ".up.weight"), "LoRA in attention processors: older diffusers, XLabs"),
    "lora_A.name": (
        (".lora_A.default.weight", ".lora_B.default.weight"),
        "LoRA, PEFT's adapter name left in",
    ),
    "dora_A": ((".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"), "DoRA in PEFT's words"),
    "dora_down": ((".lora_down.weight", ".lora_up.weight", ".dora_scale"), "DoRA in kohya's words"),
    "lokr": ((".lokr_w1", ".lokr_w2_a", ".lokr_w2_b"), "LoKr"),
    "loha": ((".hada_w1_a", ".hada_w1_b", ".hada_w2_a", ".hada_w2_b"), "LoHa"),
}


@dataclass(frozen=True, slots=True, order=True)
class Layout:
    """One way to spell an adapter.

    Attributes:
        prefix: Who spells prefixes like this; a key of `PREFIXES`.
        naming: `diffusers` or `native`: whose names the modules have.
        suffix: How the matrices are called; a key of `SUFFIXES`.
        alpha: Whether each module has an alpha tensor.
    """

    prefix: str
    naming: str
    suffix: str
    alpha: bool

    @property
    def key(self) -> str:
        """Write it as the tables do."""
        return f"{self.prefix} {self.naming} {self.suffix} {'alpha' if self.alpha else 'plain'}"

    @property
    def words(self) -> str:
        """Write it as a sentence says it."""
        alpha = ", alpha" if self.alpha else ""
        return f"{self.prefix} layout ({self.naming} names, {self.suffix}{alpha})"


def matrix(known: Family) -> Iterator[Layout]:
    """List the layouts that loaders are tried with for a family.

    Args:
        known: The family.
    """
    xlabs = any(".processor." in name for name in known.native)
    native = any(".processor." not in name for name in known.native)
    prefixes = [prefix for prefix in PREFIXES if prefix != "xlabs"]
    axes = (
        prefixes,
        ("diffusers", "native") if native else ("diffusers",),
        [suffix for suffix in SUFFIXES if suffix != "_lora.down"],
        (False, True),
    )
    yield from (Layout(*words) for words in product(*axes))
    dotted = [prefix for prefix in prefixes if prefix not in FLAT]
    yield from (Layout(prefix, "diffusers", "_lora.down", False) for prefix in dotted)
    if xlabs:
        yield Layout("xlabs", "native", "_lora.down", False)


def suffix_of(module: Module) -> str:
    """Tell how a module's matrices are called: a key of `SUFFIXES`; empty for other kinds of adapters.

    Args:
        module: The module.
    """
    tensors = module.tensors
    if Role.OTHER in tensors or Role.OFT in tensors:
        return ""
    if Role.LOKR in tensors:
        return "lokr"
    if Role.LOHA in tensors:
        return "loha"
    if module.adapter is not None:
        return "lora_A.name"
    if Role.DORA in tensors:
        return "dora_A" if module.spelling == "lora_A" else "dora_down"
    if module.spelling == "lora_A":
        return "lora_A"
    found = tensors.get(Role.DOWN) or tensors.get(Role.UP)
    if not found:
        return ""
    name = found[0].name
    if "lora_down" in name or "lora_up" in name:
        return "lora_down"
    return "lora.down" if ".lora." in name else "_lora.down"
