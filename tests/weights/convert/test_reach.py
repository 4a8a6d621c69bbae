"""What a conversion would do is told from the header alone, and is what a conversion then does."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorry.errors import ConversionRefused
from lorry.model.report import Finding, Mend, Severity, WeightsReport, WeightsSummary
from lorry.weights import check
from lorry.weights.adapter.modules import read_adapter
from lorry.weights.bases.identify import identify
from lorry.weights.convert.conversion import convert
from lorry.weights.convert.mending import mend, mends
from lorry.weights.convert.options import Layout, Options
from lorry.weights.convert.reach import Way, way_to
from lorry.weights.files.header import read_header
from lorry.weights.files.source import MemorySource
from tests.weights.convert.deltas import KOHYA, pair, save, stored
from tests.weights.files import Tensors, build, icons, joined, noise, scalar

FILES: dict[str, Tensors] = {
    "kohya": pair("lora_unet_double_blocks_0_img_attn_qkv", 3072, 9216, alpha=1.0, words=KOHYA),
    "high rank": pair("transformer.transformer_blocks.0.attn.to_q", 3072, 3072, rank=96),
    "lokr": {
        "diffusion_model.double_blocks.0.img_attn.qkv.lokr_w1": stored([[1.0] * 16] * 16),
        "diffusion_model.double_blocks.0.img_attn.qkv.lokr_w2": noise(576, 192),
        "diffusion_model.double_blocks.0.img_attn.qkv.alpha": scalar(1.0),
    },
    "stray": joined([icons(), {"stray": noise(3)}]),
    "dora": joined(
        [icons(), {"transformer.transformer_blocks.0.attn.to_q.lora_magnitude_vector": noise(256)}]
    ),
    "unknown and flat": pair("lora_unet_nothing_like_it", 8, 8, words=KOHYA, alpha=1.0),
}


def way(tensors: Tensors, layout: Layout, rank: int | None = None) -> Way:
    """Ask for the way of a file to a layout, with its header alone."""
    header = read_header(MemorySource("x.safetensors", build(tensors)))
    adapter = read_adapter(header)
    return way_to(layout, header, adapter, identify(adapter).best, {}, rank=rank)


@pytest.mark.parametrize(
    ("name", "rank", "mend", "option"),
    [
        ("kohya", None, Mend.CONVERT, "--to diffusers"),
        ("high rank", None, Mend.CONVERT, "--to diffusers"),
        ("high rank", 32, Mend.LOSSY, "--to diffusers --lossy --rank 32"),
        ("lokr", None, Mend.LOSSY, "--to diffusers --lossy --rank 64"),
        ("stray", None, Mend.LOSSY, "--to diffusers --lossy"),
        ("dora", None, Mend.NO, None),
        ("unknown and flat", None, Mend.NO, None),
    ],
)
def test_the_way_to_diffusers(
    tmp_path: Path, name: str, rank: int | None, mend: Mend, option: str | None
) -> None:
    """Whether something would get lost, what to say, and why not; and the conversion agrees."""
    found = way(FILES[name], Layout.DIFFUSERS, rank)
    assert (found.mend, found.option) == (mend, option)
    assert bool(found.reasons) == (mend is not Mend.CONVERT)
    source = save(tmp_path / "x.safetensors", FILES[name])
    if mend is Mend.CONVERT:
        assert convert(source, tmp_path / "out").layers == found.modules
        return
    with pytest.raises(ConversionRefused):
        convert(source, tmp_path / "out", Options(rank=rank))
    if option is not None:
        lossy = Options(lossy=True, rank=int(option.rpartition(" ")[2]) if "--rank" in option else None)
        assert convert(source, tmp_path / "out", lossy).layers == found.modules


@pytest.mark.parametrize("layout", list(Layout))
def test_every_layout_is_reached_from_kohyas(layout: Layout) -> None:
    """A plain LoRA of a known family can be written in each layout without a loss."""
    found = way(FILES["kohya"], layout)
    assert found.mend is Mend.CONVERT
    assert found.modules == (1 if layout in (Layout.KOHYA, Layout.COMFYUI) else 3)


def test_what_only_the_user_knows_is_asked() -> None:
    """An adapter for text without a configuration can be converted once its alpha is said."""
    names = [f"model.layers.{n}.self_attn.q_proj" for n in (0, 1)]
    found = way(joined(pair(name, 4096, 4096) for name in names), Layout.PEFT)
    assert (found.mend, found.option) == (Mend.CONVERT, "--to peft --alpha ALPHA")
    assert "alpha" in found.reasons[0]


def report(*found: tuple[str, Severity, Mend]) -> WeightsReport:
    """Make a report of findings."""
    findings = tuple(Finding(code, severity, "x", "y", mend=mended) for code, severity, mended in found)
    return WeightsReport(WeightsSummary("x", "x", 1), findings)


def test_when_a_conversion_is_all_that_is_needed() -> None:
    """Only when every error is mended without loss and without a question; and when there is need at all."""
    layout = ("KEYS_PREFIX", Severity.ERROR, Mend.CONVERT)
    dropped = ("ALPHA_DROPPED", Severity.WARNING, Mend.CONVERT)
    assert not mends(report())
    assert not mends(report(("PRIVACY_META", Severity.WARNING, Mend.CONVERT)))
    assert mends(report(layout))
    assert mends(report(dropped))
    assert not mends(report(layout, ("VAL_NAN", Severity.ERROR, Mend.NO)))
    assert not mends(report(layout, ("ALGO_LOKR", Severity.ERROR, Mend.LOSSY)))
    assert not mends(report(("META_JSON", Severity.ERROR, Mend.CONVERT)))


def test_mending_makes_a_file_sound(tmp_path: Path) -> None:
    """A file whose layout is ignored is converted into a folder, and passes the check there."""
    bare = {name.removeprefix("transformer."): made for name, made in icons().items()}
    source = save(tmp_path / "x.safetensors", bare)
    found = check(source)
    assert not found.ok
    assert mends(found)
    done = mend(found, tmp_path / "mended")
    assert check(tmp_path / "mended").ok
    assert done.file.parent == tmp_path / "mended"
    assert done.after.modules == 30
