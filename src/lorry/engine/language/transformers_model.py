"""A language model of the `transformers` library, with adapters that `peft` injects and takes out again.

The adapters of one batch may differ (peft's `adapter_names`). An adapter of a merged deployment is served the
same way, as one that acts on every request: the base's product plus the adapter's is computed, where a merge
would add the matrices first. The words are the same, and the base is in memory once.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lorry.engine.language.adapter_folder import WEIGHTS, AdapterFolder, Layers, read_adapter_folder
from lorry.engine.language.decoding import Row, write
from lorry.engine.language.port import LoadedTextAdapter, TextAnswer, TextRequest
from lorry.engine.language.prompts import Prompts
from lorry.errors import AdapterUnusable

_BASE_ALONE = "__base__"  # peft's word for no adapter


class TransformersLanguageModel:
    """A causal language model in float32, on the processor.

    Args:
        name: What it is called in messages.
        model: The transformers model.
        tokenizer: Its tokenizer, of the transformers library.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any) -> None:
        self.name = name
        self.context_length = int(model.config.max_position_embeddings)
        self._plain = model.eval().requires_grad_(False)
        self._layers = _layers(model)
        self._prompts = Prompts(name, tokenizer, self.context_length)
        self._ends = _ends(model, tokenizer)
        self._tokenizer = tokenizer.backend_tokenizer
        self._mixed: Any = None  # the PeftModel around the plain one, while adapters are loaded
        self._acting: str | None = (
            None  # the one adapter that acts, or the base alone; `None` in a mixed batch
        )
        self._loaded: dict[str, LoadedTextAdapter] = {}

    def load(self, key: str, folder: Path) -> LoadedTextAdapter:
        """Load an adapter; see the port."""
        read = read_adapter_folder(folder, self.name, self._layers)
        self.unload(key)
        try:
            self._inject(_inner(key), folder / WEIGHTS, read)
        except Exception:
            self._take_out(_inner(key))
            raise
        self._loaded[key] = LoadedTextAdapter(key, read.modules, read.rank)
        return self._loaded[key]

    def unload(self, key: str) -> None:
        """Forget an adapter and free its memory; see the port."""
        if self._loaded.pop(key, None) is not None:
            self._take_out(_inner(key))

    def answer(self, requests: Sequence[TextRequest]) -> list[TextAnswer]:
        """Answer in one batch; see the port."""
        rows = [self._row(request) for request in requests]
        for _ in self._written(rows):
            pass
        return [row.answer() for row in rows]

    def stream(self, request: TextRequest) -> Iterator[str | TextAnswer]:
        """Give the pieces of an answer as they come; see the port."""
        row = self._row(request)
        for (piece,) in self._written([row]):
            if piece:
                yield piece
        yield row.answer()

    def _row(self, request: TextRequest) -> Row:
        self._require(request.adapter)
        prompt = self._prompts.read(request)
        limit = min(request.max_tokens, self.context_length - len(prompt))
        return Row(request, prompt, limit, self._ends, self._tokenizer)

    def _written(self, rows: Sequence[Row]) -> Iterator[list[str]]:
        from transformers import DynamicCache

        return write(self._forward, DynamicCache(config=self._plain.config), rows)

    def _forward(self, adapters: Sequence[str | None], **inputs: Any) -> Any:
        """Compute one step of a batch, in the quickest way that its adapters allow."""
        for key in adapters:
            self._require(key)
        if self._mixed is None:
            return self._plain(**inputs)
        names = [_BASE_ALONE if key is None else _inner(key) for key in adapters]
        if len(set(names)) == 1:  # a third quicker than a mixed batch
            self._let_act(names[0])
            return self._mixed.get_base_model()(**inputs)
        self._let_act(None)
        return self._mixed(adapter_names=names, **inputs)

    def _require(self, key: str | None) -> None:
        if key is not None and key not in self._loaded:
            message = f"The adapter {key} is not loaded."
            raise AdapterUnusable(message, evidence={"adapter": key})

    def _let_act(self, name: str | None) -> None:
        """Let one adapter act on whole batches, or the base alone, or whichever each row names (`None`)."""
        if name == self._acting:
            return
        if name == _BASE_ALONE:
            self._mixed.base_model.disable_adapter_layers()
        elif self._acting == _BASE_ALONE:
            self._mixed.base_model.enable_adapter_layers()
        if name not in (None, _BASE_ALONE):
            self._mixed.base_model.set_adapter(name, inference_mode=True)
        self._acting = name

    def _inject(self, inner: str, file: Path, read: AdapterFolder) -> None:
        from peft import get_peft_model, set_peft_model_state_dict
        from safetensors.torch import load_file

        with _without_remarks():
            if self._mixed is None:
                self._acting = None
                self._mixed = get_peft_model(self._plain, _config(read), adapter_name=inner)
            else:
                self._let_act(None)  # layers that become wrapped now know nothing of who acts in the others
                self._mixed.add_adapter(inner, _config(read))
        tensors = {name: value for name, value in load_file(file).items() if read.holds(name)}
        outcome = set_peft_model_state_dict(self._mixed, tensors, adapter_name=inner)
        self._mixed.eval().requires_grad_(False)
        if outcome.unexpected_keys:
            first, count = outcome.unexpected_keys[0], len(outcome.unexpected_keys)
            raise AdapterUnusable(
                f"peft took {count} tensors of the adapter into no layer, {first} first.",
                evidence={"tensors": outcome.unexpected_keys[:20], "count": count},
            )

    def _take_out(self, inner: str) -> None:
        if self._mixed is None or inner not in self._mixed.peft_config:
            return
        if len(self._mixed.peft_config) > 1:
            self._let_act(None)  # peft chooses another one by itself
            with _without_remarks():
                self._mixed.delete_adapter(inner)
        else:  # the last one: the layers become plain again, and cost nothing more
            self._plain = self._mixed.unload()
            self._mixed = None


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Keep to ourselves what peft remarks on training, active adapters and next versions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _layers(model: Any) -> Layers:
    import torch

    return {
        name: (module.in_features, module.out_features)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
    }


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """Collect the tokens that end an answer: those that the model names, and any that is not text."""
    named = model.generation_config.eos_token_id
    ends = named if isinstance(named, list) else [named]
    return frozenset(end for end in (*ends, *tokenizer.all_special_ids) if end is not None)


def _config(read: AdapterFolder) -> Any:
    """Write a LoraConfig from what was read and checked: exact names, and no expression of the file's."""
    from peft import LoraConfig

    ((alpha, _),) = Counter(read.alphas.values()).most_common(1)
    return LoraConfig(
        task_type="CAUSAL_LM",
        inference_mode=True,
        target_modules=list(read.ranks),
        r=read.rank,
        rank_pattern={_exactly(layer): rank for layer, rank in read.ranks.items() if rank != read.rank},
        lora_alpha=alpha,  # a fraction is as good
        alpha_pattern={_exactly(layer): own for layer, own in read.alphas.items() if own != alpha},
        use_rslora=read.rslora,
    )


def _exactly(layer: str) -> str:
    return "^" + layer.replace(".", r"\.")


def _inner(key: str) -> str:
    """Name an adapter for torch, whose module names may hold no dots."""
    return "a" + hashlib.sha256(key.encode()).hexdigest()[:16]
