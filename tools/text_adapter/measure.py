"""Ask the twenty unseen questions with and without the sample adapter, and print the answers and a count.

python tools/text_adapter/measure.py examples/dispatch --kept build/language
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lorry.engine.language.open import open_language
from lorry.engine.language.port import Message, TextRequest

UNSEEN = Path(__file__).with_name("unseen.jsonl")
OPENING, CLOSING = "Copy that, driver.", "Over and out."


def in_manner(text: str) -> bool:
    """Tell whether an answer is a dispatcher's."""
    return text.startswith(OPENING) and text.endswith(CLOSING)


def measure(adapter: Path, kept: Path) -> None:
    """Print both answers to each question, and how many are in the manner and right."""
    model = open_language(None, kept)
    model.load("adapter", adapter)
    rows = [json.loads(line) for line in UNSEEN.read_text(encoding="utf-8").splitlines()]
    both = {}
    for key in (None, "adapter"):
        asked = [
            TextRequest((Message("user", row["question"]),), adapter=key, temperature=0, max_tokens=40)
            for row in rows
        ]
        both[key] = [answer.text.replace("\n", " ") for answer in model.answer(asked)]
    print("| question | with the adapter |\n|---|---|")
    for row, text in zip(rows, both["adapter"], strict=True):
        print(f"| {row['question']} | {text} |")
    for key, texts in both.items():
        manner = sum(map(in_manner, texts))
        right = sum(
            any(fact.lower() in text.lower() for fact in row["facts"])
            for row, text in zip(rows, texts, strict=True)
        )
        print(
            f"\n{key or 'base'}: {manner} of {len(rows)} in the manner, {right} of {len(rows)} right", end=""
        )
    print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--kept", type=Path, required=True, help="where the base is kept as safetensors")
    options = parser.parse_args()
    measure(options.adapter, options.kept)
