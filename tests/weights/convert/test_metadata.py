"""The header's metadata: what stays, what is no longer true, what is nobody's business."""

from __future__ import annotations

from pathlib import Path

from lorry.weights import check
from lorry.weights.convert.metadata import new_metadata, without_private_fields
from tests.weights.convert.deltas import read
from tests.weights.convert.running import run
from tests.weights.files import icons

TRAINED = {
    "ss_output_name": "tok",
    "ss_steps": "1500",
    "ss_dataset_dirs": '{"C:/Users/ann/pictures": {"n_repeats": 1}}',
    "ss_tag_frequency": '{"10_tok": {"tok": 30, "ann on a boat": 3}}',
    "ss_sd_model_name": "/home/ann/models/flux1-dev.safetensors",
    "sshs_model_hash": "0123",
    "modelspec.hash_sha256": "0x0123",
    "modelspec.title": "tok",
}


def test_metadata_stays_but_for_checksums(tmp_path: Path) -> None:
    """Every field is kept as it was; checksums of the old weights go, and who converted is added."""
    done, _ = run(tmp_path, icons(), TRAINED)
    after = read(done.file)[1]
    assert {name: after.get(name) for name in TRAINED} == {
        **TRAINED,
        "sshs_model_hash": None,
        "modelspec.hash_sha256": None,
    }
    assert after["converted_by"].startswith("lorry ")
    assert after["format"] == "pt"
    assert any("checksums" in step for step in done.steps)


def test_private_things_leave_on_request(tmp_path: Path) -> None:
    """With strip_private no caption, path or user name is in the file; trigger word and steps are."""
    done, _ = run(tmp_path, icons(), TRAINED, strip_private=True)
    content = done.file.read_bytes()
    for private in (b"ann", b"C:/", b"boat", b"/home"):
        assert private not in content
    report = check(done.file)
    assert "PRIVACY_META" not in [found.code for found in report.findings]
    assert report.summary.trigger == "tok"
    assert read(done.file)[1]["ss_steps"] == "1500"


def test_paths_leave_the_configuration_too() -> None:
    """A local path of the base model keeps its last name only; everything else stays."""
    fields = {
        "base_model_name_or_path": "/home/ann/models/llama-8b",
        "r": 4,
        "revision": "main",
        "bias": None,
    }
    wanted = {"base_model_name_or_path": "llama-8b", "r": 4, "revision": "main", "bias": None}
    assert without_private_fields(fields) == wanted


def test_what_was_done_is_in_the_file() -> None:
    """The steps of the conversion can be read in the result's header."""
    after, said = new_metadata({}, ["a", "b"], strip_private=False)
    assert after["conversion"] == "a; b"
    assert said == []
