"""The adapter_config.json of PEFT: what it states, read without trusting it (LoRA formats dossier, 1.5)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lorry.model.report import Finding
from lorry.weights.adapter.modules import Module
from lorry.weights.catalogue import finding

FILE = "adapter_config.json"
#: How names of quantised copies end.
COPY = re.compile(
    r"-(?:unsloth-)?bnb-(?:4|8)bit$|-(?:awq|gptq)(?:-|$)|-(?:int|fp)(?:4|8)$|-gguf$", re.IGNORECASE
)

_LONGEST = 1_000_000  # characters of a config; the largest rank patterns have some 50,000


@dataclass(frozen=True, slots=True)
class PeftConfig:
    """The adapter_config.json, as far as it can be used.

    Attributes:
        fields: Its fields; empty when it is missing or broken.
        flaw: The finding that says why it can't be used.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    flaw: Finding | None = None

    @property
    def rank(self) -> int | None:
        """The rank that it states for all modules without a pattern of their own."""
        value = self.fields.get("r")
        return value if type(value) is int and value > 0 else None

    @property
    def alpha(self) -> float | None:
        """The alpha that it states."""
        value = self.fields.get("lora_alpha")
        return float(value) if type(value) in (int, float) else None

    @property
    def scale(self) -> float | None:
        """What the product of the matrices is multiplied by: alpha / r, or alpha / √r for rsLoRA."""
        if self.rank is None or self.alpha is None:
            return None
        return self.alpha / (math.sqrt(self.rank) if self.fields.get("use_rslora") is True else self.rank)

    @property
    def base(self) -> str | None:
        """The base model that it names."""
        value = self.fields.get("base_model_name_or_path")
        return value if isinstance(value, str) and value.strip() else None

    @property
    def label(self) -> str | None:
        """The same without what marks a quantised copy: the name to look the family up by."""
        return None if self.base is None else COPY.sub("", self.base)

    @property
    def targets(self) -> tuple[str, ...] | None:
        """The layers to change; `None` when it is a pattern, `all-linear`, or not stated."""
        return _words(self.fields.get("target_modules"))

    @property
    def saved(self) -> tuple[str, ...]:
        """The layers that are replaced as a whole."""
        return _words(self.fields.get("modules_to_save")) or ()

    @property
    def dora(self) -> bool:
        """Whether it is a DoRA."""
        return self.fields.get("use_dora") is True

    def rank_of(self, name: str) -> int | None:
        """Give the rank that it states for a module.

        Args:
            name: The module's plain name.
        """
        patterns = self.fields.get("rank_pattern")
        for pattern, rank in (patterns if isinstance(patterns, dict) else {}).items():
            # Taken as a plain name: a file's regular expression is never run.
            words = str(pattern).removeprefix("^").removesuffix("$").replace("\\", "")
            if name == words or name.endswith(f".{words}"):
                return rank if type(rank) is int else None
        return self.rank

    def targeted(self, module: Module) -> bool:
        """Tell whether PEFT makes room for a module; a pattern is believed, as it is never run.

        Args:
            module: The module, by its plain name.
        """
        targets = self.targets
        return targets is None or any(ends(module.name, target) for target in targets)


def read_config(text: str | None) -> PeftConfig:
    """Read an adapter_config.json.

    Args:
        text: Its text; `None` when there is none.
    """
    if text is None or not text.strip():
        said = "is missing" if text is None else "is empty"
        return PeftConfig(
            flaw=finding("PEFT_CONFIG_MISSING", f"{FILE} {said} beside the weights.", subject=FILE)
        )
    try:
        document = json.loads(text) if len(text) <= _LONGEST else None
    except (ValueError, RecursionError) as error:
        said = error.msg if isinstance(error, json.JSONDecodeError) else "it can't be read"
        return PeftConfig(flaw=finding("PEFT_CONFIG_JSON", f"{FILE} is no JSON: {said}.", subject=FILE))
    if not isinstance(document, dict):
        return PeftConfig(flaw=finding("PEFT_CONFIG_JSON", f"{FILE} is JSON, but no object.", subject=FILE))
    return PeftConfig(document)


def ends(name: str, words: str) -> bool:
    """Tell whether a module is meant by an item of a list: by its whole name, or by its end behind a dot.

    Args:
        name: The module's name.
        words: The item.
    """
    return name == words or name.endswith(f".{words}")


def _words(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return tuple(value)
