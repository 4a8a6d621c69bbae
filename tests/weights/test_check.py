"""The check as it is called: every kind of source, every kind of weights, what is told beside the bytes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lorry.model.report import Severity, WeightsReport
from lorry.model.verdict import Outcome
from lorry.weights import check
from lorry.weights.files.digest import Hashing
from lorry.weights.files.source import FileSource
from lorry.weights.origins.access import Access
from tests.weights.checkpoint.folders import checkpoint
from tests.weights.files import build, icons, lora, noise, pair, with_number
from tests.weights.origins.packing import tar, zipped
from tests.weights.origins.scripted import Server, answer, file, scripted
from tests.weights.test_codes import codes

SHA = "0123456789abcdef0123456789abcdef01234567"
LLAMA = [
    (f"model.layers.{n}.self_attn.{word}_proj", 2048, size)
    for n in range(16) for word, size in (("q", 2048), ("k", 512), ("v", 512), ("o", 2048))
]  # fmt: skip
CONFIG = {
    "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 4,
    "base_model_name_or_path": "meta-llama/Llama-3.2-1B",
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
}  # fmt: skip


def wrote(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def look(source: Path | str, **options: object) -> WeightsReport:
    """Check without asking the clock."""
    return check(source, clock=None, **options)  # type: ignore[arg-type]


# Kinds


def test_an_adapter_for_text_is_judged_as_one(tmp_path: Path) -> None:
    """Names under `layers` and a configuration make it text: PEFT and vLLM are asked, not diffusers."""
    files = {
        "adapter_model.safetensors": build(lora(LLAMA, "base_model.model.")),
        "adapter_config.json": json.dumps(CONFIG).encode(),
    }
    told = look(wrote(tmp_path, files))
    summary = told.summary
    assert (summary.kind, summary.family, summary.base) == (
        "text-lora",
        "llama-3.2-1b",
        "meta-llama/Llama-3.2-1B",
    )
    assert summary.alpha == 4.0
    assert [(load.loader, load.outcome, load.modules) for load in summary.loads] == [
        ("peft", Outcome.OK, 64),
        ("vllm", Outcome.OK, 64),
    ]
    assert codes(told) == ["INFO_SUMMARY"]


def test_an_adapter_for_text_without_its_configuration_is_refused(tmp_path: Path) -> None:
    """The weights alone can't be loaded by anything; all that is wrong is said at once."""
    bare = build(lora(LLAMA, ""))
    told = look(wrote(tmp_path, {"adapter_model.safetensors": bare}))
    assert {"PEFT_CONFIG_MISSING", "PEFT_PREFIX"} <= {found.code for found in told.errors}


def test_a_sharded_checkpoint_is_judged_by_all_its_headers(tmp_path: Path) -> None:
    """A folder of shards with an index is a checkpoint; a missing shard is an error that names it."""
    files = checkpoint()
    told = look(wrote(tmp_path / "whole", files))
    assert told.ok
    assert told.summary.kind == "checkpoint"
    [said] = [found.message for found in told.findings if found.code == "INFO_SUMMARY"]
    assert "3 shards" in said
    lost = sorted(name for name in files if name.startswith("model-"))[1]
    del files[lost]
    told = look(wrote(tmp_path / "torn", files))
    assert [found.subject for found in told.errors if found.code == "SHARD_MISSING"] == [lost]


def test_the_numbers_of_a_checkpoint_are_looked_at_when_that_is_asked(tmp_path: Path) -> None:
    """Without --deep only headers are read; with it a NaN in any shard is found."""
    files = checkpoint()
    name = sorted(name for name in files if name.startswith("model-"))[-1]
    tensors = {f"model.layers.3.mlp.{word}.weight": noise(4, 4) for word in ("up_proj", "down_proj")}
    spoiled = with_number(tensors["model.layers.3.mlp.up_proj.weight"], float("nan"))
    files[name] = build({**tensors, "model.layers.3.mlp.up_proj.weight": spoiled})
    folder = wrote(tmp_path, files)
    assert "VAL_NAN" not in codes(look(folder))
    assert "VAL_NAN" in codes(look(folder, deep=True))


def test_a_checkpoint_in_one_file_is_no_failed_lora(tmp_path: Path) -> None:
    """Whole weights under a family's names are a checkpoint of it, without an error."""
    known = [(f"transformer_blocks.{n}.attn.to_{w}", 3072, 3072) for n in range(19) for w in "qkv"]
    whole = {f"{name}.weight": noise(8, 8, dtype="BF16") for name, _, _ in known}
    path = tmp_path / "flux.safetensors"
    path.write_bytes(build(whole))
    told = look(path)
    assert told.summary.kind == "checkpoint"
    assert "LORA_NONE" not in codes(told)


# Sources


def test_an_archive_is_looked_into(tmp_path: Path) -> None:
    """A Replicate tar is judged by the one file that is meant, with its settings."""
    inner = "output/flux_train_replicate"
    content = {f"{inner}/lora.safetensors": build(icons()), f"{inner}/config.yaml": b"trigger_word: TOK\n"}
    path = tmp_path / "trained_model.tar"
    path.write_bytes(tar(content))
    told = look(path)
    assert told.ok
    assert (told.summary.trainer, told.summary.trigger) == ("replicate", "TOK")
    assert told.summary.file == f"{path}:{inner}/lora.safetensors"
    assert told.summary.digest == look(wrote(tmp_path / "out", content) / inner).summary.digest
    other = tmp_path / "notes.zip"
    other.write_bytes(zipped({"notes.txt": b"nothing"}))
    assert codes(look(other)) == ["FILE_MISSING"]


@pytest.fixture
def hub() -> object:
    """Give a server that is taken for the Hub."""
    with scripted() as server:
        yield server


def served(server: Server, files: dict[str, bytes]) -> Access:
    """Put files into the repository ann/tok."""
    rows = [{"rfilename": path, "size": len(content)} for path, content in files.items()]
    document = json.dumps({"id": "ann/tok", "sha": SHA, "siblings": rows}).encode()
    server.answers["/api/models/ann/tok/revision/main"] = answer(document)
    server.answers[f"/api/models/ann/tok/revision/{SHA}"] = answer(document)
    for path, content in files.items():
        for revision in ("main", SHA):
            server.answers[f"/ann/tok/resolve/{revision}/{path}"] = file(content, X_Repo_Commit=SHA)
    return Access(hub_url=server.url, patience=5)


def test_a_repository_is_judged_by_its_header(hub: Server) -> None:
    """One range of the weights is read; the report has the commit, and no number was looked at."""
    content = build(icons())
    access = served(hub, {"pytorch_lora_weights.safetensors": content})
    told = look("ann/tok", access=access)
    assert told.ok
    assert (told.summary.revision, told.summary.modules) == (SHA, 30)
    assert sum(path.endswith(".safetensors") for path in hub.paths) == 1


def test_deep_fetches_what_is_far_away(hub: Server) -> None:
    """With --deep the file is downloaded and every number looked at, under its own name."""
    tensors = icons()
    name = next(iter(tensors))
    tensors[name] = with_number(tensors[name], float("inf"))
    access = served(hub, {"pytorch_lora_weights.safetensors": build(tensors)})
    assert "VAL_INF" not in codes(look("ann/tok", access=access))
    told = look("ann/tok", access=access, deep=True)
    assert "VAL_INF" in codes(told)
    assert told.summary.path == "ann/tok"
    assert told.summary.digest


def test_alphas_that_were_not_fetched_are_not_guessed(hub: Server) -> None:
    """An alpha behind the first 256 kB is neither read nor called bad; the rest of the check goes on."""
    big = lora([("transformer_blocks.0.ff.net.0.proj", 256, 1024)], rank=128)
    tensors = {**big, "transformer.transformer_blocks.0.ff.net.0.proj.alpha": noise(1)}
    access = served(hub, {"x.safetensors": build(tensors)})
    told = look("ann/tok", access=access)
    assert told.summary.alpha is None
    assert not {"ALPHA_BAD", "ALPHA_ZERO"} & set(codes(told))


# What is told beside the bytes


def test_a_file_that_was_just_written_is_told_so(tmp_path: Path) -> None:
    """Within two seconds of its last change a file may still grow; a second later it counts as finished."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(build(icons()))
    os.utime(path, (1_000_000, 1_000_000))
    told = check(path, clock=lambda: 1_000_001.0)
    [found] = [each for each in told.findings if each.code == "FILE_STILL_WRITING"]
    assert found.severity is Severity.WARNING
    assert "FILE_STILL_WRITING" not in codes(check(path, clock=lambda: 1_000_003.0))
    path.write_bytes(b"Dear reader, these are no weights.")
    assert "FILE_STILL_WRITING" not in codes(check(path))


def test_what_was_shipped_before_is_told(tmp_path: Path) -> None:
    """The name of a model that was shipped from the same bytes is in the report."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(build(icons()))
    digest = look(path).summary.digest
    told = look(path, shipped={digest: "tok"}.get)
    assert [found.evidence["model"] for found in told.findings if found.code == "VAL_DUPLICATE"] == ["tok"]
    assert "VAL_DUPLICATE" not in codes(look(path, shipped=lambda _: None))


def test_half_of_a_pair_is_told(tmp_path: Path) -> None:
    """A LoRA for the high-noise half of Wan 2.2 alone draws half of the steps plain."""
    layers = [(f"blocks.{n}.self_attn.q", 5120, 5120) for n in range(40)]
    content = build(lora(layers, "diffusion_model.", rank=1))
    folder = wrote(tmp_path, {"tok_high_noise.safetensors": content})
    assert "WAN_PAIR" in codes(look(folder))
    wrote(tmp_path, {"tok_low_noise.safetensors": content})
    assert "WAN_PAIR" not in codes(look(folder))


def test_a_report_says_in_one_sentence_what_the_file_is(tmp_path: Path) -> None:
    """INFO_SUMMARY names kind, rank, base, trainer and trigger."""
    files = {"tok.safetensors": build(icons(), {"modelspec.trigger_phrase": "TOK"})}
    [said] = [each for each in look(wrote(tmp_path, files)).findings if each.code == "INFO_SUMMARY"]
    assert said.message.startswith("A LoRA of rank 2 for lorry/flux-icons-64: 60 tensors")
    assert "trigger word TOK" in said.message


def test_a_hash_that_was_begun_before_is_used_for_the_same_file_only(tmp_path: Path) -> None:
    """The digest is that of the bytes that were checked, whatever was hashed meanwhile."""
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    first.write_bytes(build(icons()))
    second.write_bytes(build({**icons(), **pair("transformer.x_embedder", 64, 256)}))
    packed = tmp_path / "c.tar"
    packed.write_bytes(tar({"a.safetensors": first.read_bytes()}))
    with FileSource(packed) as source, Hashing(source) as hashing:
        assert look(packed, hashing=hashing).summary.digest == look(first).summary.digest
    with FileSource(first) as source, Hashing(source) as hashing:
        assert look(first, hashing=hashing).summary.digest == look(first).summary.digest
        assert look(second, hashing=hashing).summary.digest == look(second).summary.digest


def test_without_the_numbers_there_is_no_digest(tmp_path: Path) -> None:
    """Only the header is read: whatever is in the data stays unseen, and the file has no digest."""
    tensors = icons()
    name = next(iter(tensors))
    path = tmp_path / "x.safetensors"
    path.write_bytes(build({**tensors, name: with_number(tensors[name], float("nan"))}))
    told = look(path, deep=False)
    assert told.summary.digest is None
    assert "VAL_NAN" not in codes(told)
