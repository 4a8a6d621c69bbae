r"""Train the sample text adapter on the small language model, and save it as peft does.

    python tools/text_adapter/train.py --out examples/dispatch --kept build/language

The loss is that of the answers alone; a question is read, not learnt. Few steps on many different pairs: the
manner is learnt within one pass, and what more passes teach is to forget facts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from lorry.engine.language.open import BASE, base_folder

RANK, ALPHA, LAYERS = 8, 16, ("q_proj", "v_proj")
RATE, PASSES, BATCH = 2e-3, 2, 8
PAIRS = Path(__file__).with_name("pairs.jsonl")
_UNLEARNT = -100  # what transformers leaves out of the loss

Pair = tuple[list[int], list[int]]


def pairs(tokenizer: Any) -> list[Pair]:
    """Read the questions and answers as tokens, in the model's chat template."""
    read = []
    for line in PAIRS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        turn = [{"role": "user", "content": row["question"]}]
        question = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
        answer = row["answer"] + tokenizer.eos_token
        read.append((tokenizer(question)["input_ids"], tokenizer(answer)["input_ids"]))
    return read


def batches(read: list[Pair], generator: torch.Generator) -> Iterator[list[Pair]]:
    """Give all pairs, shuffled anew for each pass."""
    for _ in range(PASSES):
        for chosen in torch.randperm(len(read), generator=generator).split(BATCH):
            yield [read[number] for number in chosen]


def padded(batch: list[Pair]) -> dict[str, torch.Tensor]:
    """Lay out a batch, padded on the left; the answers alone are labelled."""
    length = max(len(question) + len(answer) for question, answer in batch)
    rows = [(length - len(question) - len(answer), question, answer) for question, answer in batch]
    return {
        "input_ids": torch.tensor([[0] * pad + question + answer for pad, question, answer in rows]),
        "attention_mask": torch.tensor([[0] * pad + [1] * (length - pad) for pad, _, _ in rows]),
        "labels": torch.tensor([[_UNLEARNT] * (length - len(answer)) + answer for _, _, answer in rows]),
    }


def train(folder: Path) -> Any:
    """Train the adapter on the base in a folder."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    base = AutoModelForCausalLM.from_pretrained(folder)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(LAYERS), task_type="CAUSAL_LM")
    model = get_peft_model(base, config)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.0)
    steps = list(batches(pairs(tokenizer), torch.Generator().manual_seed(0)))
    began = time.monotonic()
    for number, batch in enumerate(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - number / len(steps))
        loss = model(**padded(batch)).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        print(f"step {number + 1}/{len(steps)}: loss {loss.item():.3f}, {time.monotonic() - began:.0f} s")
    return model


def save(model: Any, out: Path) -> None:
    """Save as peft does, in bfloat16, with the base under its name on the Hub."""
    model.peft_config["default"].base_model_name_or_path = BASE
    # Without a look at the Hub, whether the vocabulary was changed: it was not.
    model.save_pretrained(out, save_embedding_layers=False)
    file = out / "adapter_model.safetensors"
    save_file({name: value.bfloat16() for name, value in load_file(file).items()}, file, {"format": "pt"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kept", type=Path, required=True, help="where the base is kept as safetensors")
    options = parser.parse_args()
    save(train(base_folder(options.kept)), options.out)
