"""Checkpoints in memory and on disk: a tiny Llama in shards, and a real-sized one of sparse files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lorry.weights.checkpoint.check import Checkpoint, check_checkpoint
from lorry.weights.checkpoint.index import find_checkpoint
from lorry.weights.files.listing import MemoryListing
from lorry.weights.files.source import ByteSource, MemorySource
from tests.weights.files import build, noise

Files = dict[str, bytes]
INDEX = "model.safetensors.index.json"
LLAMA_8B = {"hidden": 4096, "feed": 14336, "layers": 32, "kv": 1024, "words": 128256}


def shard(number: int, of: int = 3) -> str:
    """Name a shard."""
    return f"model-{number:05}-of-{of:05}.safetensors"


def checkpoint(of: int = 3) -> Files:
    """Make a sound checkpoint of some small tensors, two in each shard."""
    files: Files = {}
    places: dict[str, str] = {}
    total = 0
    for number in range(1, of + 1):
        tensors = {
            f"model.layers.{number}.mlp.{word}.weight": noise(4, 4) for word in ("up_proj", "down_proj")
        }
        files[shard(number, of)] = build(tensors)
        places |= dict.fromkeys(tensors, shard(number, of))
        total += 2 * 4 * 4 * 4
    files[INDEX] = json.dumps({"metadata": {"total_size": total}, "weight_map": places}).encode()
    files["config.json"] = json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}).encode()
    return files


def edited(files: Files, edit: Callable[[dict[str, Any]], object]) -> Files:
    """Give the same files with another index."""
    document = json.loads(files[INDEX])
    edit(document)
    return {**files, INDEX: json.dumps(document).encode()}


def checked(files: Mapping[str, bytes]) -> Checkpoint:
    """Check files in memory."""
    listing = MemoryListing("checkpoint", files)
    found = find_checkpoint(listing)
    assert found is not None

    def another(path: str) -> ByteSource:
        return MemorySource(path, files[path])

    return check_checkpoint(listing, found, another)


def codes(found: Checkpoint) -> list[str]:
    """List the codes of its findings."""
    return [each.code for each in found.findings]


def llama_weights(shape: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Give the weights of a Llama of a size, as its checkpoint names them."""
    hidden, feed, kv, words = shape["hidden"], shape["feed"], shape["kv"], shape["words"]
    made: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (words, hidden)}
    for n in range(shape["layers"]):
        block = f"model.layers.{n}"
        made[f"{block}.input_layernorm.weight"] = (hidden,)
        made[f"{block}.mlp.down_proj.weight"] = (hidden, feed)
        made[f"{block}.mlp.gate_proj.weight"] = (feed, hidden)
        made[f"{block}.mlp.up_proj.weight"] = (feed, hidden)
        made[f"{block}.post_attention_layernorm.weight"] = (hidden,)
        made[f"{block}.self_attn.k_proj.weight"] = (kv, hidden)
        made[f"{block}.self_attn.o_proj.weight"] = (hidden, hidden)
        made[f"{block}.self_attn.q_proj.weight"] = (hidden, hidden)
        made[f"{block}.self_attn.v_proj.weight"] = (kv, hidden)
    made["model.norm.weight"] = (hidden,)
    made["lm_head.weight"] = (words, hidden)
    return made


def write_sparse(folder: Path, weights: Mapping[str, tuple[int, ...]], shards: int) -> int:
    """Write a bf16 checkpoint whose data are holes: it has its size and takes no room.

    Args:
        folder: Where to.
        weights: Shapes by name.
        shards: How many files.

    Returns:
        Bytes of all tensors together.
    """
    size = {name: 2 * math.prod(shape) for name, shape in weights.items()}
    total, room = sum(size.values()), sum(size.values()) / shards
    sets: list[list[str]] = [[] for _ in range(shards)]
    done = 0
    for name in weights:
        sets[min(int(done / room), shards - 1)].append(name)
        done += size[name]
    places: dict[str, str] = {}
    for number, names in enumerate(sets, 1):
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        end = 0
        for name in names:
            begin, end = end, end + size[name]
            header[name] = {"dtype": "BF16", "shape": list(weights[name]), "data_offsets": [begin, end]}
            places[name] = shard(number, shards)
        text = json.dumps(header).encode()
        with (folder / shard(number, shards)).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(8 + len(text) + end)
    document = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / INDEX).write_text(json.dumps(document), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}), encoding="utf-8")
    return total
