"""A full checkpoint is read by the headers of all its files, and everything wrong is said at once."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.weights.bases.families import layer_names
from lorry.weights.checkpoint.check import check_checkpoint, opener
from lorry.weights.checkpoint.index import find_checkpoint, read_index
from lorry.weights.checkpoint.names import looks_like_checkpoint, recognised
from lorry.weights.checkpoint.settings import read_checkpoint_config
from lorry.weights.files.header import Tensor, read_header
from lorry.weights.files.listing import MemoryListing
from lorry.weights.files.source import MemorySource
from lorry.weights.origins.folder import FolderListing
from tests.weights.checkpoint.folders import (
    INDEX,
    LLAMA_8B,
    Files,
    checked,
    checkpoint,
    codes,
    edited,
    llama_weights,
    shard,
    write_sparse,
)
from tests.weights.files import build, noise

UP = "model.layers.1.mlp.up_proj.weight"


def test_a_sound_checkpoint_has_no_finding() -> None:
    """Shards, index and configuration that agree give facts and no finding."""
    found = checked(checkpoint())
    assert found.findings == ()
    assert (found.tensors, found.parameters, dict(found.dtypes)) == (6, 96, {"F32": 6})
    assert found.config.architecture == "LlamaForCausalLM"
    report = found.report("folder")
    assert report.ok
    assert report.summary.kind == "checkpoint"
    assert report.summary.size_bytes == sum(
        len(data) for name, data in checkpoint().items() if "-of-" in name
    )
    json.dumps(report.as_dict(), allow_nan=False)


def _drop(*names: str) -> Callable[[], Files]:
    return lambda: {name: data for name, data in checkpoint().items() if name not in names}


def _moved(place: object) -> Files:
    return edited(checkpoint(), lambda index: index["weight_map"].update({UP: place}))


FAULTS: dict[str, tuple[str, str, Callable[[], Files]]] = {
    "a shard is missing": ("SHARD_MISSING", "1 of 3 shards are not there", _drop(shard(2))),
    "the index is missing": ("SHARD_INDEX", "3 shards lie without their", _drop(INDEX)),
    "all shards are missing": ("SHARD_MISSING", "3 of 3 shards", _drop(shard(1), shard(2), shard(3))),
    "the index is no JSON": ("SHARD_INDEX", "no JSON", lambda: {**checkpoint(), INDEX: b"{"}),
    "the index has no map": ("SHARD_INDEX", "no weight_map", lambda: {**checkpoint(), INDEX: b"[]"}),
    "a name climbs": (
        "SHARD_INDEX", "can't lie beside it: ../../secret.safetensors",
        lambda: _moved("../../secret.safetensors"),
    ),
    "a name is absolute": (
        "SHARD_INDEX", "can't lie beside it",
        lambda: _moved("/etc/x.safetensors"),
    ),
    "a name is no name": (
        "SHARD_INDEX", "no file's name",
        lambda: _moved(7),
    ),
    "too many files": (
        "SHARD_INDEX", "501 files",
        lambda: edited(
            checkpoint(),
            lambda index: index.update(weight_map={f"t{n}": f"m{n}.safetensors" for n in range(501)}),
        ),
    ),
    "a tensor is in no file": (
        "SHARD_MISMATCH", "1 tensor of the index are in no file",
        lambda: edited(checkpoint(), lambda index: index["weight_map"].update(ghost=shard(1))),
    ),
    "a tensor is elsewhere": (
        "SHARD_MISMATCH", "lie in another file",
        lambda: _moved(shard(2)),
    ),
    "a tensor is not named": (
        "SHARD_MISMATCH", "does not name them",
        lambda: edited(checkpoint(), lambda index: index["weight_map"].pop(UP)),
    ),
    "a tensor lies twice": (
        "SHARD_MISMATCH", "in more than one file",
        lambda: {**checkpoint(), shard(2): checkpoint()[shard(1)]},
    ),
    "an index of another save": (
        "SHARD_MISMATCH", "counts 192 bytes",
        lambda: edited(checkpoint(), lambda index: index["metadata"].update(total_size=192)),
    ),
    "no configuration": ("CHECKPOINT_CONFIG", "without its config.json", _drop("config.json")),
    "an odd configuration": (
        "CHECKPOINT_CONFIG", "names the model_type llama alone",
        lambda: {**checkpoint(), "config.json": b'{"model_type": "llama"}'},
    ),
    "a cut shard": (
        "DATA_TRUNCATED", shard(2), lambda: {**checkpoint(), shard(2): checkpoint()[shard(2)][:-9]},
    ),
    "a pointer": (
        "FILE_LFS_POINTER", shard(3),
        lambda: {**checkpoint(), shard(3): b"version https://git-lfs.github.com/spec/v1\nsize 9\n"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_gets_its_code_and_its_numbers(fault: str) -> None:
    """Each fault of a checkpoint has its code and a sentence that names what is concerned."""
    code, said, make = FAULTS[fault]
    found = checked(make())
    assert any(each.code == code and said in each.message for each in found.findings), found.findings
    json.dumps(found.report("x").as_dict(), allow_nan=False)


def test_faults_of_all_shards_are_said_at_once() -> None:
    """One cut shard, one pointer and a missing one are three findings, each with its shard's name."""
    files = checkpoint(4)
    files[shard(1, 4)] = files[shard(1, 4)][:-5]
    files[shard(2, 4)] = b"version https://git-lfs.github.com/spec/v1\nsize 9\n"
    del files[shard(3, 4)]
    found = checked(files)
    assert sorted(codes(found)) == ["DATA_TRUNCATED", "FILE_LFS_POINTER", "SHARD_MISSING"]
    for code, name in (
        ("DATA_TRUNCATED", shard(1, 4)),
        ("FILE_LFS_POINTER", shard(2, 4)),
        ("SHARD_MISSING", shard(3, 4)),
    ):
        assert name in next(each.message for each in found.findings if each.code == code)


def test_a_clone_without_its_large_files_is_one_finding() -> None:
    """Many shards with the same fault are one sentence with their number."""
    files = checkpoint(9)
    for number in range(1, 10):
        files[shard(number, 9)] = b"version https://git-lfs.github.com/spec/v1\nsize 9\n"
    [found] = [each for each in checked(files).findings if each.code == "FILE_LFS_POINTER"]
    assert "8 other shards" in found.message
    assert found.evidence["count"] == 9


def test_no_name_outside_the_folder_is_opened() -> None:
    """Whatever an index says, only files of the listing are opened."""
    files = _moved("../../secret.safetensors")
    listing = MemoryListing("checkpoint", files)
    asked: list[str] = []

    def another(path: str) -> MemorySource:
        asked.append(path)
        return MemorySource(path, files[path])

    found = find_checkpoint(listing)
    assert found is not None
    check_checkpoint(listing, found, another)
    assert set(asked) <= set(files)


def test_an_index_may_name_its_files_as_it_likes() -> None:
    """Files without numbers in their names are read when the index names them."""
    files = checkpoint()
    files["first.safetensors"] = files.pop(shard(1))
    files[INDEX] = files[INDEX].replace(shard(1).encode(), b"first.safetensors")
    found = checked(files)
    assert found.tensors == 6
    assert found.findings == ()


def test_a_single_file_is_a_checkpoint_beside_its_configuration() -> None:
    """`model.safetensors` alone may be a LoRA; with config.json it is a checkpoint."""
    alone = {"model.safetensors": build({"a.weight": noise(2, 2)})}
    assert find_checkpoint(MemoryListing("x", alone)) is None
    found = checked({**alone, "config.json": b'{"architectures": ["X"]}'})
    assert found.findings == ()
    assert not found.files.sharded
    assert find_checkpoint(MemoryListing("x", {"lora.safetensors": b""})) is None


def test_a_pipelines_folder_leads_to_its_denoiser() -> None:
    """Beside model_index.json the transformer's folder is the checkpoint."""
    files = {f"transformer/{name}": data for name, data in checkpoint().items()} | {"model_index.json": b"{}"}
    found = find_checkpoint(MemoryListing("pipeline", files))
    assert found is not None
    assert found.folder == "transformer/"


def test_an_index_too_large_is_not_parsed() -> None:
    """An index that lists more than any checkpoint has is refused before it takes memory."""
    content = b'{"weight_map": {"a": [' + b"0," * 500_000 + b"0]}}"
    found = read_index("x", MemorySource("x", content))
    assert [each.code for each in found.findings] == ["SHARD_INDEX"]
    nested = b'{"weight_map": ' + b'{"":' * 60_000
    assert [each.code for each in read_index("x", MemorySource("x", nested)).findings] == ["SHARD_INDEX"]


@given(st.binary(max_size=300))
def test_any_bytes_as_index_or_configuration_give_a_result(data: bytes) -> None:
    """Whatever the two text files hold, nothing is raised."""
    found = checked({**checkpoint(), INDEX: data, "config.json": data})
    assert codes(found)
    read_checkpoint_config(data.decode("utf-8", "replace"))


@given(
    st.dictionaries(
        st.text(max_size=8), st.one_of(st.text(max_size=30), st.integers(), st.none()), max_size=6
    )
)
def test_any_map_gives_a_result(places: dict[str, object]) -> None:
    """Whatever the index says lies where, nothing is raised."""
    checked(edited(checkpoint(), lambda index: index.update(weight_map=places)))


def test_twenty_gigabytes_take_little_memory(tmp_path: Path) -> None:
    """A checkpoint of 16 GB in 4 sparse shards is Llama 3 8B, found by less than 10 MB of memory."""
    total = write_sparse(tmp_path, llama_weights(LLAMA_8B), 4)
    listing = FolderListing(tmp_path)
    files = find_checkpoint(listing)
    assert files is not None
    tracemalloc.start()
    with ExitStack() as stack:
        found = check_checkpoint(listing, files, opener(tmp_path, stack))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.findings == ()
    assert found.parameters == 8_030_261_248
    assert found.dtype == "bf16"
    assert found.size_bytes > total == 16_060_522_496
    assert found.model is not None
    assert found.model.family is not None
    assert found.model.family.key == "llama-3-8b"
    assert found.model.coverage == 1.0
    assert peak < 10_000_000


def whole(layers: list[tuple[str, int, int]], prefix: str = "") -> list[Tensor]:
    """Give the entries of whole weights."""
    return [Tensor(f"{prefix}{name}.weight", "BF16", (o, i), 0, 2 * i * o) for name, i, o in layers]


@pytest.mark.parametrize(
    ("key", "prefix"),
    [
        ("flux1", ""),
        ("flux1", "model.diffusion_model."),
        ("sdxl", "unet."),
        ("qwen-image", "transformer."),
        ("z-image", ""),
    ],
)
def test_a_picture_checkpoint_is_recognised_by_its_names(key: str, prefix: str) -> None:
    """Whole weights of a family's layers are a checkpoint of it, whatever stands before their names."""
    from lorry.weights import family

    known = family(key)
    assert known is not None
    found = recognised(whole(list(layer_names(known)), prefix))
    assert found is not None
    assert found.family is known
    assert found.coverage == 1.0


def test_the_original_names_of_flux_are_recognised() -> None:
    """FLUX.1 as its makers save it: fused projections in double and single blocks."""
    layers = [
        layer
        for n in range(19)
        for side in ("img", "txt")
        for layer in (
            (f"double_blocks.{n}.{side}_attn.qkv", 3072, 9216),
            (f"double_blocks.{n}.{side}_attn.proj", 3072, 3072),
            (f"double_blocks.{n}.{side}_mlp.0", 3072, 12288),
            (f"double_blocks.{n}.{side}_mlp.2", 12288, 3072),
            (f"double_blocks.{n}.{side}_mod.lin", 3072, 18432),
        )
    ] + [
        layer
        for n in range(38)
        for layer in (
            (f"single_blocks.{n}.linear1", 3072, 21504), (f"single_blocks.{n}.linear2", 15360, 3072),
            (f"single_blocks.{n}.modulation.lin", 3072, 9216),
        )
    ]  # fmt: skip
    found = recognised(whole(layers, "model.diffusion_model."))
    assert found is not None
    assert found.family is not None
    assert found.family.key == "flux1"
    assert "FLUX.1" in str(found)


def test_few_or_unknown_weights_are_told_apart() -> None:
    """An unknown model is a checkpoint without a family; a handful of weights is none."""
    many = whole([(f"block.{n}.thing", 8, 8) for n in range(40)])
    found = recognised(many)
    assert found is not None
    assert found.family is None
    few = read_header(MemorySource("x", build({"emb.weight": noise(4, 8)})))
    assert looks_like_checkpoint(few) is None
