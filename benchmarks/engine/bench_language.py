"""How quickly the language model answers, against `generate` of transformers with the same weights.

    python benchmarks/engine/bench_language.py

The peer is peft's own `generate` on the same model, with an adapter for each row (`adapter_names`), as its
documentation has it. Both answer the same questions greedily with the adapter of `examples/dispatch`, loaded
under four names; the rounds of both are interleaved and the best of each counts, so that a busy machine
disturbs both alike. Needs the extra `text`; the base is kept in `build/language`.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lorry.engine.language.open import base_folder, open_language
from lorry.engine.language.port import Message, TextRequest

ROUNDS = 3
TOKENS = 32
ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "language"
ADAPTER = ROOT / "examples" / "dispatch"
KEYS = ("a", "b", "c", "d")


def main() -> None:
    """Open both, answer in turns, and print the table."""
    model = open_language(None, KEPT)
    for key in KEYS:
        model.load(key, ADAPTER)
    peer = Peer(base_folder(KEPT))
    rows: dict[str, list[str | None]] = {
        "1 answer, no adapter": [None],
        "1 answer, 1 adapter": ["a"],
        "4 answers, 4 adapters": list(KEYS),
        "8 answers, 4 adapters and none": [*KEYS, None, *KEYS[:3]],
    }
    print("| requests | generate | lorry | of generate |\n|---|---|---|---|")
    for label, adapters in rows.items():
        asked = [request(number, key) for number, key in enumerate(adapters)]
        tokens = sum(answer.completion_tokens for answer in model.answer(asked))
        best = interleaved(
            {"generate": lambda a=asked: peer.answer(a), "lorry": lambda a=asked: model.answer(a)}
        )
        speeds = {name: tokens / seconds for name, seconds in best.items()}
        print(
            f"| {label} | {speeds['generate']:.0f} tokens/s | {speeds['lorry']:.0f} tokens/s "
            f"| {speeds['lorry'] / speeds['generate']:.2f}x |"
        )


class Peer:
    """The same model and adapters in peft, asked with `generate`."""

    def __init__(self, folder: Path) -> None:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            base = AutoModelForCausalLM.from_pretrained(folder)
            self._model: Any = PeftModel.from_pretrained(base, ADAPTER, adapter_name=KEYS[0]).eval()
            for key in KEYS[1:]:
                self._model.load_adapter(ADAPTER, key)

    def answer(self, requests: list[TextRequest]) -> object:
        """Answer in one batch."""
        talks = [[{"role": "user", "content": each.messages[0].content}] for each in requests]
        texts = self._tokenizer.apply_chat_template(talks, tokenize=False, add_generation_prompt=True)
        inputs = self._tokenizer(texts, return_tensors="pt", padding=True)
        names = [each.adapter or "__base__" for each in requests]
        return self._model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False, adapter_names=names)


def request(number: int, adapter: str | None) -> TextRequest:
    """Ask one of the sample adapter's unseen questions."""
    lines = (ROOT / "tools" / "text_adapter" / "unseen.jsonl").read_text(encoding="utf-8").splitlines()
    question = json.loads(lines[number])["question"]
    return TextRequest((Message("user", question),), adapter=adapter, temperature=0, max_tokens=TOKENS)


def interleaved(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Time each work in turns, after one round to warm up; seconds of the best round."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - began)
    return {name: min(found) for name, found in times.items()}


if __name__ == "__main__":
    main()
