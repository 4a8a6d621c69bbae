"""Write the families of text models from the transformers classes, on torch's meta device.

    python tools/text_families.py

Each family is a model class, the numbers of its public config.json, and the public models that have them.
The layers are those that an adapter names: experts, which transformers 5 holds in one fused tensor a block,
are written one by one, as adapters of every trainer so far name them and PEFT 0.21.2 translates them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1] / "src" / "lorry" / "weights" / "bases" / "data" / "text"
SOURCE = (
    "the transformers class on the meta device; its configuration from the public config.json, "
    "general knowledge 2026-11, not fetched"
)
CHECKED = "2026-11-25"

_NUMBER = re.compile(r"\.(\d+)(?=\.|$)")
#: Where transformers 5 fuses what adapters name one by one: module words before, after, and the two halves.
_EXPERTS = {
    "MixtralForCausalLM": ("block_sparse_moe", "w1", "w3", "w2"),
    "Qwen3MoeForCausalLM": ("mlp", "gate_proj", "up_proj", "down_proj"),
}

# Licence and commercial use: `terms` are Llama's and Qwen's limits on users, Gemma's policy of use.
APACHE, LLAMA2, LLAMA3 = ("apache-2.0", "yes"), ("llama2", "terms"), ("llama3", "terms")
LLAMA31, LLAMA32, LLAMA33 = ("llama3.1", "terms"), ("llama3.2", "terms"), ("llama3.3", "terms")
GEMMA, QWEN, QWEN_RESEARCH = ("gemma", "terms"), ("qwen", "terms"), ("qwen-research", "no")


@dataclass(frozen=True)
class Kind:
    """A family to be written: its name, its class and numbers, its models with their licences."""

    name: str
    architecture: str
    config: Mapping[str, Any]
    bases: Mapping[str, tuple[str, str]]
    other_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Our short name: `llama-3.1-8b`."""
        return self.name.lower().replace(" ", "-")


def _numbers(
    hidden: int, feed: int, layers: int, heads: int, kv: int, vocabulary: int, *, head: int | None = None
) -> dict[str, Any]:
    """Name the numbers of a config.json as transformers does."""
    found = {
        "hidden_size": hidden,
        "intermediate_size": feed,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "vocab_size": vocabulary,
    }
    return found if head is None else {**found, "head_dim": head}


def _of(owner: str, names: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    return {f"{owner}/{name}": licence for name, licence in names.items()}


def _qwen25(size: str, licence: tuple[str, str], *numbers: int) -> Kind:
    coder = size in ("0.5B", "1.5B", "3B", "7B", "14B", "32B")
    names = [f"Qwen2.5-{size}", f"Qwen2.5-{size}-Instruct"]
    names += [f"Qwen2.5-Coder-{size}", f"Qwen2.5-Coder-{size}-Instruct"] if coder else []
    bases = _of("Qwen", dict.fromkeys(names, licence))
    return Kind(f"Qwen2.5 {size}", "Qwen2ForCausalLM", _numbers(*numbers), bases)


def _qwen3(size: str, *numbers: int) -> Kind:
    names = [f"Qwen3-{size}"] if size == "32B" else [f"Qwen3-{size}", f"Qwen3-{size}-Base"]
    names += ["Qwen3-4B-Instruct-2507", "Qwen3-4B-Thinking-2507"] if size == "4B" else []
    return Kind(
        f"Qwen3 {size}",
        "Qwen3ForCausalLM",
        _numbers(*numbers, head=128),
        _of("Qwen", dict.fromkeys(names, APACHE)),
    )


def _smollm2(size: str, *numbers: int) -> Kind:
    names = dict.fromkeys((f"SmolLM2-{size}", f"SmolLM2-{size}-Instruct"), APACHE)
    return Kind(f"SmolLM2 {size}", "LlamaForCausalLM", _numbers(*numbers), _of("HuggingFaceTB", names))


def _gemma2(size: str, *numbers: int) -> Kind:
    names = dict.fromkeys((f"gemma-2-{size}", f"gemma-2-{size}-it"), GEMMA)
    *most, head = numbers
    return Kind(
        f"Gemma 2 {size.upper()}", "Gemma2ForCausalLM", _numbers(*most, head=head), _of("google", names)
    )


def _gemma3(size: str, *numbers: int) -> Kind:
    """Gemma 3 from 4B on sees pictures too: its text part lies one level deeper."""
    *most, head = numbers
    sees = size not in ("270m", "1b")
    names = dict.fromkeys((f"gemma-3-{size}-pt", f"gemma-3-{size}-it"), GEMMA)
    if size == "270m":
        names = dict.fromkeys(("gemma-3-270m", "gemma-3-270m-it"), GEMMA)
    config = _numbers(*most, head=head)
    return Kind(
        f"Gemma 3 {size.upper()}",
        "Gemma3ForConditionalGeneration" if sees else "Gemma3ForCausalLM",
        {"text_config": config} if sees else config,
        _of("google", names),
    )


KINDS = (
    Kind(
        "Llama 2 7B",
        "LlamaForCausalLM",
        _numbers(4096, 11008, 32, 32, 32, 32000),
        _of("meta-llama", {"Llama-2-7b-hf": LLAMA2, "Llama-2-7b-chat-hf": LLAMA2}),
        {
            "meta-llama/Llama-2-7b-hf": ("llama-2-7b",),
            "meta-llama/Llama-2-7b-chat-hf": ("llama-2-7b-chat",),
        },
    ),
    Kind(
        "Llama 2 13B",
        "LlamaForCausalLM",
        _numbers(5120, 13824, 40, 40, 40, 32000),
        _of("meta-llama", {"Llama-2-13b-hf": LLAMA2, "Llama-2-13b-chat-hf": LLAMA2}),
    ),
    Kind(
        "Llama 3 8B",
        "LlamaForCausalLM",
        _numbers(4096, 14336, 32, 32, 8, 128256),
        _of("meta-llama", {
            "Meta-Llama-3-8B": LLAMA3, "Meta-Llama-3-8B-Instruct": LLAMA3,
            "Llama-3.1-8B": LLAMA31, "Llama-3.1-8B-Instruct": LLAMA31,
        }),
        {
            "meta-llama/Meta-Llama-3-8B": ("llama-3-8b",),
            "meta-llama/Meta-Llama-3-8B-Instruct": ("llama-3-8b-instruct",),
            "meta-llama/Llama-3.1-8B": ("meta-llama-3.1-8b",),
            "meta-llama/Llama-3.1-8B-Instruct": ("meta-llama-3.1-8b-instruct",),
        },
    ),
    Kind(
        "Llama 3 70B",
        "LlamaForCausalLM",
        _numbers(8192, 28672, 80, 64, 8, 128256),
        _of("meta-llama", {
            "Meta-Llama-3-70B": LLAMA3, "Meta-Llama-3-70B-Instruct": LLAMA3,
            "Llama-3.1-70B": LLAMA31, "Llama-3.1-70B-Instruct": LLAMA31,
            "Llama-3.3-70B-Instruct": LLAMA33,
        }),
        {
            "meta-llama/Llama-3.1-70B": ("meta-llama-3.1-70b",),
            "meta-llama/Llama-3.1-70B-Instruct": ("meta-llama-3.1-70b-instruct",),
        },
    ),
    Kind(
        "Llama 3.2 1B",
        "LlamaForCausalLM",
        _numbers(2048, 8192, 16, 32, 8, 128256, head=64),
        _of("meta-llama", {"Llama-3.2-1B": LLAMA32, "Llama-3.2-1B-Instruct": LLAMA32}),
    ),
    Kind(
        "Llama 3.2 3B",
        "LlamaForCausalLM",
        _numbers(3072, 8192, 28, 24, 8, 128256, head=128),
        _of("meta-llama", {"Llama-3.2-3B": LLAMA32, "Llama-3.2-3B-Instruct": LLAMA32}),
    ),
    _smollm2("135M", 576, 1536, 30, 9, 3, 49152),
    _smollm2("360M", 960, 2560, 32, 15, 5, 49152),
    _smollm2("1.7B", 2048, 8192, 24, 32, 32, 49152),
    _qwen25("0.5B", APACHE, 896, 4864, 24, 14, 2, 151936),
    _qwen25("1.5B", APACHE, 1536, 8960, 28, 12, 2, 151936),
    _qwen25("3B", QWEN_RESEARCH, 2048, 11008, 36, 16, 2, 151936),
    _qwen25("7B", APACHE, 3584, 18944, 28, 28, 4, 152064),
    _qwen25("14B", APACHE, 5120, 13824, 48, 40, 8, 152064),
    _qwen25("32B", APACHE, 5120, 27648, 64, 40, 8, 152064),
    _qwen25("72B", QWEN, 8192, 29568, 80, 64, 8, 152064),
    _qwen3("0.6B", 1024, 3072, 28, 16, 8, 151936),
    _qwen3("1.7B", 2048, 6144, 28, 16, 8, 151936),
    _qwen3("4B", 2560, 9728, 36, 32, 8, 151936),
    _qwen3("8B", 4096, 12288, 36, 32, 8, 151936),
    _qwen3("14B", 5120, 17408, 40, 40, 8, 151936),
    _qwen3("32B", 5120, 25600, 64, 64, 8, 151936),
    Kind(
        "Qwen3 30B-A3B",
        "Qwen3MoeForCausalLM",
        {
            **_numbers(2048, 6144, 48, 32, 4, 151936, head=128),
            "moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8,
        },
        _of("Qwen", {
            "Qwen3-30B-A3B": APACHE, "Qwen3-30B-A3B-Base": APACHE, "Qwen3-30B-A3B-Instruct-2507": APACHE,
            "Qwen3-30B-A3B-Thinking-2507": APACHE, "Qwen3-Coder-30B-A3B-Instruct": APACHE,
        }),
    ),
    Kind(
        "Mistral 7B",
        "MistralForCausalLM",
        _numbers(4096, 14336, 32, 32, 8, 32000),
        _of("mistralai", dict.fromkeys(
            ("Mistral-7B-v0.1", "Mistral-7B-Instruct-v0.1", "Mistral-7B-Instruct-v0.2"), APACHE)),
    ),
    Kind(
        "Mistral 7B v0.3",
        "MistralForCausalLM",
        _numbers(4096, 14336, 32, 32, 8, 32768),
        _of("mistralai", dict.fromkeys(("Mistral-7B-v0.3", "Mistral-7B-Instruct-v0.3"), APACHE)),
    ),
    Kind(
        "Mistral Nemo 12B",
        "MistralForCausalLM",
        _numbers(5120, 14336, 40, 32, 8, 131072, head=128),
        _of("mistralai", dict.fromkeys(("Mistral-Nemo-Base-2407", "Mistral-Nemo-Instruct-2407"), APACHE)),
    ),
    Kind(
        "Mistral Small 24B",
        "MistralForCausalLM",
        _numbers(5120, 32768, 40, 32, 8, 131072, head=128),
        _of("mistralai", dict.fromkeys(
            ("Mistral-Small-24B-Base-2501", "Mistral-Small-24B-Instruct-2501"), APACHE)),
    ),
    Kind(
        "Mixtral 8x7B",
        "MixtralForCausalLM",
        {**_numbers(4096, 14336, 32, 32, 8, 32000), "num_local_experts": 8, "num_experts_per_tok": 2},
        _of("mistralai", dict.fromkeys(("Mixtral-8x7B-v0.1", "Mixtral-8x7B-Instruct-v0.1"), APACHE)),
    ),
    _gemma2("2b", 2304, 9216, 26, 8, 4, 256000, 256),
    _gemma2("9b", 3584, 14336, 42, 16, 8, 256000, 256),
    _gemma2("27b", 4608, 36864, 46, 32, 16, 256000, 128),
    _gemma3("270m", 640, 2048, 18, 4, 1, 262144, 256),
    _gemma3("1b", 1152, 6912, 26, 4, 1, 262144, 256),
    _gemma3("4b", 2560, 10240, 34, 8, 4, 262208, 256),
    _gemma3("12b", 3840, 15360, 48, 16, 8, 262208, 256),
    _gemma3("27b", 5376, 21504, 62, 32, 16, 262208, 128),
)  # fmt: skip


def built(architecture: str, config: Mapping[str, Any]) -> Any:
    """Build a transformers model without any memory.

    Args:
        architecture: The model's class.
        config: The arguments of its configuration class.
    """
    import torch
    import transformers

    name = re.sub(r"For\w+$", "Config", architecture)
    name = "Gemma3TextConfig" if architecture == "Gemma3ForCausalLM" else name
    with torch.device("meta"):
        return getattr(transformers, architecture)(getattr(transformers, name)(**config))


def real_layers(architecture: str, config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """List the layers of a text model that adapters name: inputs and outputs by name.

    Args:
        architecture: The model's class.
        config: The arguments of its configuration class.
    """
    import torch

    found: dict[str, tuple[int, int]] = {}
    model = built(architecture, config)
    for name, layer in model.named_modules():
        if "vision_tower" in name or "multi_modal_projector" in name:
            continue  # an adapter for text leaves the eyes alone
        if isinstance(layer, torch.nn.Linear):
            found[name] = layer.in_features, layer.out_features
        elif isinstance(layer, torch.nn.Embedding):
            found[name] = layer.num_embeddings, layer.embedding_dim
    if architecture in _EXPERTS:
        found |= dict(_experts(model, *_EXPERTS[architecture]))
    return found


def _experts(model: Any, block: str, gate: str, up: str, down: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for name, tensor in model.named_parameters():
        before, _, last = name.rpartition(".mlp.")
        if last == "gate.weight":
            yield f"{before}.{block}.gate", (tensor.shape[1], tensor.shape[0])
        elif last == "experts.gate_up_proj":
            experts, both, inputs = tensor.shape
            for each in range(experts):
                for word in (gate, up):
                    yield f"{before}.{block}.experts.{each}.{word}", (inputs, both // 2)
        elif last == "experts.down_proj":
            experts, outputs, inputs = tensor.shape
            for each in range(experts):
                yield f"{before}.{block}.experts.{each}.{down}", (inputs, outputs)


def templates(layers: Mapping[str, tuple[int, int]]) -> dict[str, list[int]]:
    """Put layers that differ in their numbers only into one line: `model.layers.[0-31].mlp.up_proj`.

    Args:
        layers: Inputs and outputs by name; all blocks of a text model are alike.
    """
    spans: dict[str, tuple[list[int], list[int], tuple[int, int]]] = {}
    for name, shape in layers.items():
        numbers = [int(number) for number in _NUMBER.findall(name)]
        low, high, first = spans.setdefault(_NUMBER.sub(".*", name), (list(numbers), list(numbers), shape))
        low[:] = map(min, low, numbers)
        high[:] = map(max, high, numbers)
        if shape != first:
            raise ValueError(f"{name} differs from its neighbours")
    made = {}
    for words, (low, high, shape) in spans.items():
        name = words
        for least, most in zip(low, high, strict=True):
            name = name.replace("*", f"[{least}-{most}]", 1)
        made[name] = list(shape)
    return made


def row(kind: Kind) -> dict[str, Any]:
    """Give the data of a family.

    Args:
        kind: What is known of it.
    """
    numbers = kind.config.get("text_config", kind.config)
    return {
        "key": kind.key,
        "name": kind.name,
        "structure": f"{numbers['num_hidden_layers']} layers, width {numbers['hidden_size']}",
        "component": "text_model",
        "modality": "text",
        "bases": [
            {"id": name, "aliases": _aliases(name, kind), "licence": licence, "commercial": commercial}
            for name, (licence, commercial) in kind.bases.items()
        ],
        "aliases": [],
        "model": {"architecture": kind.architecture, "config": dict(kind.config)},
        "source": SOURCE,
        "licence_source": "the model cards, general knowledge 2026-11, not fetched",
        "checked": CHECKED,
        "layers": templates(real_layers(kind.architecture, kind.config)),
        "native": {},
    }


def _aliases(name: str, kind: Kind) -> list[str]:
    """The names of quantised copies, and older ones; whose they are does not matter, so no owners."""
    names = [name.partition("/")[2].lower(), *kind.other_names.get(name, ())]
    return [*names[1:], *(f"{each}-bnb-4bit" for each in names)]


def text(made: Mapping[str, Any]) -> str:
    """Write a family's data with one fact a line.

    Args:
        made: The data.
    """
    lines = []
    for name, value in made.items():
        if name in ("layers", "bases"):
            pairs = value.items() if name == "layers" else [(None, base) for base in value]
            inner = ",\n".join(
                f"    {json.dumps(key)}: {json.dumps(fact)}" if key else f"    {json.dumps(fact)}"
                for key, fact in pairs
            )
            left, right = "{}" if name == "layers" else "[]"
            lines.append(f'  "{name}": {left}\n{inner}\n  {right}')
        else:
            lines.append(f'  "{name}": {json.dumps(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Write every family."""
    DATA.mkdir(exist_ok=True)
    for kind in KINDS:
        made = row(kind)
        (DATA / f"{kind.key}.json").write_text(text(made), encoding="utf-8")
        print(f"{kind.key}: {len(made['layers'])} rows")


if __name__ == "__main__":
    main()
