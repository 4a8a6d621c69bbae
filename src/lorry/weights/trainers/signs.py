"""How each trainer is recognised: one row a sign, the surest first.

Sources: LoRA formats dossier, section 4; for musubi-tuner's network modules kohya-ss/musubi-tuner, for the
cards' tags the cards that the trainers publish, both looked at 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from lorry.weights.trainers.concepts import read_object, said
from lorry.weights.trainers.documents import Documents, dig

#: Every trainer that can be recognised, in the order of docs/reference/trainers.md.
TRAINERS = (
    "diffusers",
    "ai-toolkit",
    "kohya",
    "musubi-tuner",
    "simpletuner",
    "onetrainer",
    "replicate",
    "fal",
    "lightricks",
    "peft",
    "unsloth",
    "axolotl",
)
UNKNOWN = "unknown"
_REPLICATE = "flux_train_replicate"
#: Network modules and base versions that kohya's musubi-tuner has and its sd-scripts has not.
_MUSUBI = re.compile(
    r"^networks\.lora_(?:wan|flux_2|qwen_image|zimage|framepack|hv|kandinsky)"
    r"|^(?:wan|qwen_image|flux_2|flux_1_kontext|z_?image|framepack|hunyuan_?video|kandinsky)",
    re.IGNORECASE,
)
_AI_TOOLKIT_SAMPLE = re.compile(r"(?:^|/)samples/\d{1,20}__\d{9}_\d{1,6}\.\w{1,5}$")
_NAMES = (
    ("ai-toolkit", re.compile(r"_\d{9}(?:_(?:high|low)_noise)?\.safetensors$")),
    ("kohya", re.compile(r"-(?:step\d{8}|0\d{5})\.safetensors$")),
    ("lightricks", re.compile(r"(?:^|/)lora_weights_step_\d{5,}\.safetensors$")),
    ("onetrainer", re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-(?:save|backup)-\d+-\d+-\d+")),
)


@dataclass(frozen=True, slots=True)
class Sign:
    """A trainer, and the question whose answer says why it is this one."""

    trainer: str
    reason: Callable[[Documents], str | None]


def trainer_of(documents: Documents) -> tuple[str, str]:
    """Recognise the trainer, and say by what.

    Args:
        documents: The header's metadata and the files around the weights.
    """
    for sign in _SIGNS:
        reason = sign.reason(documents)
        if reason is not None:
            return sign.trainer, reason
    for trainer, pattern in _NAMES:
        if pattern.search(documents.inside):
            return trainer, f"The file's name is of {trainer}'s pattern."
    return UNKNOWN, "Neither the header nor the files beside the weights name a trainer."


def _replicate(documents: Documents) -> str | None:
    if _REPLICATE in documents.inside.split("/"):
        return f"The file lies in {_REPLICATE}/."
    if documents.metadata.get("ss_output_name") == _REPLICATE:
        return f"The header's ss_output_name is {_REPLICATE}."
    if dig(documents.config, "config", "name") == _REPLICATE:
        return f"The name in config.yaml is {_REPLICATE}."
    return _tagged(documents, "replicate")


def _fal(documents: Documents) -> str | None:
    for name in ("diffusers_lora_file", "images_data_url"):
        if name in documents.settings:
            return f"config.json has {name}."
    return _tagged(documents, "fal", "fal-ai")


def _ai_toolkit(documents: Documents) -> str | None:
    software = documents.metadata.get("software", "")
    if read_object(software).get("name") == "ai-toolkit" or software == "ai-toolkit":
        return "The header's software is ai-toolkit."
    if "training_info" in documents.metadata:
        return "The header has training_info."
    if documents.process:
        return "config.yaml has config.process."
    if any(_AI_TOOLKIT_SAMPLE.search(path) for path in documents.paths if _near(path, documents)):
        return "The samples are named as ai-toolkit names them."
    return _tagged(documents, "ai-toolkit")


def _onetrainer(documents: Documents) -> str | None:
    for name in ("ot_config", "ot_branch", "ot_revision"):
        if said(documents.metadata.get(name)):
            return f"The header has {name}."
    if "training_method" in documents.settings and "workspace_dir" in documents.settings:
        return "The settings in JSON are OneTrainer's."
    return _tagged(documents, "onetrainer")


def _simpletuner(documents: Documents) -> str | None:
    if {"trained_words", "global_step"} <= documents.metadata.keys():
        return "The header has trained_words and global_step."
    if documents.lycoris:
        return "lycoris_config.json lies beside the weights."
    return _tagged(documents, "simpletuner")


def _musubi(documents: Documents) -> str | None:
    for name in ("ss_network_module", "ss_base_model_version"):
        value = documents.metadata.get(name, "")
        if _MUSUBI.search(value) and "ss_network_module" in documents.metadata:
            return f"The header's {name} is {value[:80]}."
    return None


def _kohya(documents: Documents) -> str | None:
    for name in (
        "ss_network_module",
        "ss_sd_scripts_commit_hash",
        "ss_training_started_at",
        "sshs_model_hash",
    ):
        if said(documents.metadata.get(name)):
            return f"The header has {name}."
    return None


def _lightricks(documents: Documents) -> str | None:
    if dig(documents.config, "model", "training_mode") and dig(documents.config, "optimization", "steps"):
        return "training_config.yaml has model.training_mode and optimization.steps."
    return _tagged(documents, "ltx-video-trainer", "ltxv-trainer")


def _unsloth(documents: Documents) -> str | None:
    if dig(documents.adapter, "auto_mapping", "unsloth_fixed") is not None:
        return "adapter_config.json has unsloth_fixed."
    base = documents.adapter.get("base_model_name_or_path")
    if isinstance(base, str) and base.startswith("unsloth/"):
        return "The base model in adapter_config.json is Unsloth's."
    return _tagged(documents, "unsloth")


def _axolotl(documents: Documents) -> str | None:
    if "axolotl version" in documents.card or "See axolotl config" in documents.card:
        return "README.md has axolotl's configuration."
    return _tagged(documents, "axolotl")


def _peft(documents: Documents) -> str | None:
    if "peft_type" in documents.adapter and "lora_adapter_metadata" not in documents.metadata:
        return "adapter_config.json has peft_type."
    return None


def _diffusers(documents: Documents) -> str | None:
    if "lora_adapter_metadata" in documents.metadata:
        return "The header has lora_adapter_metadata, as diffusers saves it."
    if documents.inside.rpartition("/")[2] == "pytorch_lora_weights.safetensors":
        return "The file has the name that diffusers saves under."
    return _tagged(documents, "diffusers-training")


def _tagged(documents: Documents, *names: str) -> str | None:
    found = [name for name in names if name in documents.tags]
    return f"The tags in README.md have {found[0]}." if found else None


def _near(path: str, documents: Documents) -> bool:
    return not documents.home or path.startswith(f"{documents.home}/")


#: Replicate trains with ai-toolkit, SimpleTuner saves with diffusers, Unsloth and axolotl with PEFT: who uses
#: another comes before it.
_SIGNS = (
    Sign("replicate", _replicate),
    Sign("fal", _fal),
    Sign("ai-toolkit", _ai_toolkit),
    Sign("onetrainer", _onetrainer),
    Sign("simpletuner", _simpletuner),
    Sign("musubi-tuner", _musubi),
    Sign("kohya", _kohya),
    Sign("lightricks", _lightricks),
    Sign("unsloth", _unsloth),
    Sign("axolotl", _axolotl),
    Sign("peft", _peft),
    Sign("diffusers", _diffusers),
)
