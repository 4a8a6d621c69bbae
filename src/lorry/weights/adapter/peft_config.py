"""The adapter_config.json of PEFT: what it states, read without trusting it (LoRA formats dossier, 1.5)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
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

_DEEPEST = 40  # parts of a name
_LONGEST = 1_000_000  # characters of a config; the largest rank patterns have some 50,000


@dataclass(frozen=True, slots=True)
class PeftConfig:
    """The adapter_config.json, as far as it can be used.

    Attributes:
        fields: Its fields; empty when it is missing or broken.
        flaw: The finding that says why it can't be used.
        targets: The layers to change; `None` when it is a pattern, `all-linear`, or not stated.
        patterns: The ranks that it states for single layers.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    flaw: Finding | None = None
    targets: frozenset[str] | None = None
    patterns: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def rank(self) -> int | None:
        """The rank that it states for all modules without a pattern of their own."""
        return _rank(self.fields.get("r"))

    @property
    def alpha(self) -> float | None:
        """The alpha that it states."""
        value = self.fields.get("lora_alpha")
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        return float(value) if isinstance(value, float) or abs(value) < 2**63 else math.inf

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
        for words in _tails(name):
            if words in self.patterns:
                return self.patterns[words]
        return self.rank

    def targeted(self, module: Module) -> bool:
        """Tell whether PEFT makes room for a module; a pattern is believed, as it is never run.

        Args:
            module: The module, by its plain name.
        """
        return self.means(module.name)

    def means(self, name: str) -> bool:
        """Tell whether a layer is one of those to change.

        Args:
            name: Its plain name.
        """
        return self.targets is None or any(words in self.targets for words in _tails(name))

    def lacking(self, whole: Iterable[str]) -> list[str]:
        """List what `modules_to_save` names and the file does not hold.

        Args:
            whole: Plain names of the whole layers in the file.
        """
        there = {words for name in whole for words in _tails(name)}
        return [words for words in self.saved if words not in there]


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
    targets = _words(document.get("target_modules"))
    patterns = document.get("rank_pattern")
    return PeftConfig(
        document,
        targets=None if targets is None else frozenset(targets),
        # Taken as plain names: a file's regular expression is never run.
        patterns={
            words.removeprefix("^").removesuffix("$").replace("\\", ""): _rank(rank)
            for words, rank in (patterns if isinstance(patterns, dict) else {}).items()
        },
    )


def _tails(name: str) -> Iterator[str]:
    """What PEFT's lists may call a module: its whole name, or its end behind any dot."""
    yield name
    # The deepest real names have some 20 parts; a stranger's may have a million.
    for _ in range(min(name.count("."), _DEEPEST)):
        _, _, name = name.partition(".")
        yield name


def _words(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return tuple(value)


def _rank(value: object) -> int | None:
    # `type is int`: True is no rank
    return value if type(value) is int and 0 < value < 2**31 else None
