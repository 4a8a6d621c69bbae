"""A language model without a model: words drawn from a hash, at once and without torch.

What matters to who calls a language model holds here too: the same request has the same answer, in a batch as
alone; an adapter whose `lora_B` is zero changes nothing, any other changes the first word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorry.engine.language.adapter_folder import WEIGHTS, AdapterFolder, Layers, read_adapter_folder
from lorry.engine.language.port import LoadedTextAdapter, TextAnswer, TextRequest
from lorry.engine.language.stopping import StopWatch
from lorry.errors import AdapterUnusable, OptionInvalid
from lorry.weights.files.header import BITS, Tensor

_WORDS = (
    "anchor", "bay", "cargo", "deck", "east", "ferry", "gate", "harbour", "island", "journey", "key", "load",
    "map", "north", "open", "port", "quay", "road", "sail", "tide", "under", "van", "west", "yard",
)  # fmt: skip
_SHORTEST, _LONGEST = 6, 24  # words of an answer

#: SmolLM2-135M's projections (its config.json: width 576, 9 heads and 3 for keys of 64 each, 1536 within).
_PROJECTIONS = {
    "self_attn.q_proj": (576, 576),
    "self_attn.k_proj": (576, 192),
    "self_attn.v_proj": (576, 192),
    "self_attn.o_proj": (576, 576),
    "mlp.gate_proj": (576, 1536),
    "mlp.up_proj": (576, 1536),
    "mlp.down_proj": (1536, 576),
}
SMOLLM2_LAYERS: Layers = {
    f"model.layers.{number}.{name}": size for number in range(30) for name, size in _PROJECTIONS.items()
}


@dataclass(frozen=True, slots=True)
class _Adapter:
    loaded: LoadedTextAdapter
    digest: bytes  # empty where it changes nothing


class FlatLanguageModel:
    """A double of a language model; a token is a word.

    Args:
        name: What it calls itself.
        layers: The layers that an adapter must fit.
        context_length: Most words of a prompt and its answer together.
    """

    def __init__(
        self,
        name: str = "flat/words",
        layers: Layers = SMOLLM2_LAYERS,
        context_length: int = 8192,
    ) -> None:
        self.name = name
        self.context_length = context_length
        self._layers = layers
        self._adapters: dict[str, _Adapter] = {}
        #: Sizes of the batches that were answered, in their order.
        self.batches: list[int] = []

    def load(self, key: str, folder: Path) -> LoadedTextAdapter:
        """Load an adapter; see the port."""
        read = read_adapter_folder(folder, self.name, self._layers)
        loaded = LoadedTextAdapter(key, read.modules, read.rank)
        self._adapters[key] = _Adapter(loaded, _digest(folder / WEIGHTS, read))
        return loaded

    def unload(self, key: str) -> None:
        """Forget an adapter; see the port."""
        self._adapters.pop(key, None)

    def answer(self, requests: Sequence[TextRequest]) -> list[TextAnswer]:
        """Answer in one batch; see the port."""
        self.batches.append(len(requests))
        answers = []
        for request in requests:
            *_, last = self.stream(request)
            assert isinstance(last, TextAnswer)  # noqa: S101  # a stream ends with the whole answer
            answers.append(last)
        return answers

    def stream(self, request: TextRequest) -> Iterator[str | TextAnswer]:
        """Give an answer word by word; see the port."""
        prompt = _prompt_words(request)
        room = self.context_length - prompt
        if room < 1:
            raise OptionInvalid(
                f"The prompt has {prompt} tokens; the context of {self.name} has {self.context_length}.",
                fix="Shorten the prompt.",
                evidence={"prompt_tokens": prompt, "context_length": self.context_length},
            )
        words = self._words(request)
        limit = min(request.max_tokens, room)
        watch = StopWatch(request.stop)
        said = 0
        for word in words[:limit]:
            said += 1
            if piece := watch.feed(word if said == 1 else f" {word}"):
                yield piece
            if watch.stopped:
                break
        if piece := watch.finish():
            yield piece
        ended = watch.stopped or limit > len(words)
        yield TextAnswer(watch.text, prompt, said, "stop" if ended else "length")

    def _words(self, request: TextRequest) -> list[str]:
        """Choose all the words of an answer."""
        asked = "\x1f".join([request.prompt, *(f"{each.role}:{each.content}" for each in request.messages)])
        drawn = f"{request.temperature}:{request.top_p}:{request.seed}" if request.temperature else ""
        manner = self._manner(request.adapter)
        first = _number(asked, drawn)
        # Another adapter, another first word: at least one further, and less than a whole turn.
        turn = 1 + _number(manner.hex()) % (len(_WORDS) - 1) if manner else 0
        numbers = [first + turn, *(_number(asked, drawn, manner.hex(), str(at)) for at in range(1, _LONGEST))]
        count = _SHORTEST + _number(asked, drawn, manner.hex()) % (_LONGEST - _SHORTEST)
        return [_WORDS[number % len(_WORDS)] for number in numbers[:count]]

    def _manner(self, key: str | None) -> bytes:
        if key is None:
            return b""
        if key not in self._adapters:
            raise AdapterUnusable(f"The adapter {key} is not loaded.", evidence={"adapter": key})
        return self._adapters[key].digest


def _prompt_words(request: TextRequest) -> int:
    return sum(len(text.split()) for text in (request.prompt, *(each.content for each in request.messages)))


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\x1e".join(parts).encode()).digest()[:8], "big")


def _digest(path: Path, read: AdapterFolder) -> bytes:
    """Hash an adapter's bytes; empty where every `lora_B` is zero."""
    content = path.read_bytes()
    ups = (tensor for tensor in read.header.tensors if ".lora_B." in tensor.name)
    acts = any(_acts(content, read.header.data_start, tensor) for tensor in ups)
    return hashlib.sha256(content).digest() if acts else b""


def _acts(content: bytes, start: int, tensor: Tensor) -> bool:
    """Tell whether a tensor holds anything but zeros; the first bit of a float is its sign."""
    import numpy as np

    size = BITS[tensor.dtype] // 8
    bits = np.frombuffer(content[start + tensor.begin : start + tensor.end], f"<u{size}")
    return bool((bits << 1).any())
