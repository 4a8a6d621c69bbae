"""A verdict follows from the report and the profile alone, says why, and names the command that helps."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.cli.main import build
from lorry.errors import OptionInvalid
from lorry.model.report import Finding, RankSpan, WeightsReport, WeightsSummary
from lorry.model.verdict import Outcome, Prediction, Reason, Runs, Verdict
from lorry.platforms.profiles import (
    LOADERS,
    ROUTES,
    BaseStatus,
    Fact,
    Profile,
    ServedBase,
    Source,
    profile,
    profiles,
)
from lorry.platforms.verdicts import as_data, judge, verdicts
from lorry.weights.bases.families import families
from lorry.weights.catalogue import entries, finding
from lorry.weights.loaders.tables import loaders

SOURCE = Source("a test", date(2026, 11, 25))
LAYERS = 494
FLUX = "black-forest-labs/FLUX.1-dev"


def load(loader: str, outcome: Outcome = Outcome.OK, modules: int = LAYERS) -> Prediction:
    """Say what a loader does."""
    return Prediction(loader, outcome, modules, LAYERS, f"{loader}: {outcome}, {modules} of {LAYERS} layers.")


ALL_LOAD = tuple(load(loader) for loader in ("engine", "diffusers", "comfyui", "peft", "vllm"))


def picture(*findings: Finding, **changes: Any) -> WeightsReport:
    """Report on a FLUX.2-dev LoRA that every loader applies, with some of it changed."""
    summary = WeightsSummary(
        path="style.safetensors",
        file="style.safetensors",
        size_bytes=172_000_000,
        format="safetensors",
        layout="diffusers",
        algorithm="lora",
        family="flux2-dev",
        base="black-forest-labs/FLUX.2-dev",
        rank=RankSpan(16, 16, 16),
        dtype="bf16",
        kind="image-lora",
        loads=ALL_LOAD,
    )
    return WeightsReport(replace(summary, **changes), findings)


def text(*findings: Finding, **changes: Any) -> WeightsReport:
    """Report on a sound adapter for Llama 3.1 8B, with some of it changed."""
    usual: dict[str, Any] = {
        "path": "adapter",
        "file": "adapter/adapter_model.safetensors",
        "layout": "peft",
        "family": "llama-3-8b",
        "base": "meta-llama/Llama-3.1-8B-Instruct",
        "kind": "text-lora",
    }
    return picture(*findings, **{**usual, **changes})


def says(report: WeightsReport, target: str | Profile, code: str) -> Reason:
    """Judge, and give the one reason with a code."""
    known = profile(target) if isinstance(target, str) else target
    (found,) = (reason for reason in judge(report, known).reasons if reason.code == code)
    return found


def on(report: WeightsReport, target: str) -> Verdict:
    """Judge for a route or loader by its name."""
    return judge(report, profile(target))


def where(report: WeightsReport, runs: Runs = Runs.YES) -> list[str]:
    """List the targets with a verdict."""
    return [verdict.target for verdict in verdicts(report, ["all"]) if verdict.runs is runs]


# What runs where


def test_a_lora_that_all_loaders_apply_runs_where_its_base_is() -> None:
    """FLUX.2-dev: by its address, in a container, in both loaders for pictures; nowhere for text."""
    assert where(picture()) == ["together-url", "together-container", "diffusers", "comfyui"]
    assert where(picture(), Runs.CONVERTED) == []


def test_the_embedded_base_runs_on_the_local_route() -> None:
    """Its LoRAs run in the engine; what ComfyUI does with them nobody knows."""
    loads = (load("engine"), load("diffusers"), load("comfyui", Outcome.UNKNOWN, 0))
    report = picture(family="flux-icons-64", base="lorry/flux-icons-64", loads=loads)
    assert "local" in where(report)
    assert "comfyui" in where(report, Runs.NO)


def test_an_adapter_for_text_runs_where_text_is_served() -> None:
    """Attached, merged, and in both loaders for text; v1 is closed."""
    assert where(text()) == ["together-attached", "together-merged", "peft", "vllm"]


def test_a_text_checkpoint_runs_merged_alone_and_one_for_pictures_nowhere() -> None:
    """Only one open route takes whole models, and those for text."""
    assert where(text(kind="checkpoint", algorithm=None, rank=None, loads=())) == ["together-merged"]
    assert where(picture(kind="checkpoint", algorithm=None, rank=None, loads=())) == []


def test_verdicts_come_in_the_order_of_the_tables() -> None:
    """Routes first, then loaders, whatever the order in which they were asked for."""
    assert [verdict.target for verdict in verdicts(picture(), ["all"])] == [*ROUTES, *LOADERS]
    assert [verdict.target for verdict in verdicts(picture(), ["peft", "local"])] == ["local", "peft"]
    with pytest.raises(OptionInvalid):
        verdicts(picture(), ["nowhere"])


# Laws


@pytest.mark.parametrize("known", profiles().values(), ids=lambda known: str(known.target))
@pytest.mark.parametrize(
    "report",
    [
        picture(),
        picture(loads=(load("diffusers", Outcome.IGNORED, 0), load("comfyui", Outcome.PARTIAL, 3))),
        picture(loads=(), family=None, base=None),
        picture(finding("VAL_NAN", "1 value is NaN.")),
        picture(finding("DATA_TRAILING", "1 byte too many.")),
        text(loads=(load("peft", Outcome.IGNORED, 0), load("vllm", Outcome.REFUSED, 0))),
        text(finding("PEFT_CONFIG_MISSING", "No adapter_config.json.")),
        WeightsReport(WeightsSummary("x", "x", 0), (finding("FILE_EMPTY", "x is empty."),)),
    ],
)
def test_a_verdict_follows_from_its_reasons(report: WeightsReport, known: Profile) -> None:
    """It runs without a blocking reason, after conversion when all can be mended, else not; worst first."""
    verdict = judge(report, known)
    blocking = [reason for reason in verdict.reasons if reason.blocks]
    wanted = Runs.NO if any(reason.mend is None for reason in blocking) else Runs.CONVERTED
    assert verdict.runs is (wanted if blocking else Runs.YES)
    assert list(verdict.reasons[: len(blocking)]) == blocking
    assert (verdict.command is not None) == (verdict.runs is Runs.CONVERTED)
    assert (verdict.modules is None) or verdict.runs is not Runs.NO
    assert {reason.code for reason in verdict.reasons} <= set(entries())
    assert all(reason.sentence.endswith(".") for reason in verdict.reasons)


@pytest.mark.parametrize("code", ["VAL_NAN", "PAIR_MISSING", "ALPHA_ZERO", "SHAPE_MODULE", "DATA_TRUNCATED"])
def test_what_is_wrong_with_the_file_itself_blocks_everywhere(code: str) -> None:
    """No loader gets over a broken file, and no conversion mends it."""
    for report in (picture(finding(code, "It is broken.")), text(finding(code, "It is broken."))):
        assert where(report) == []
        assert where(report, Runs.CONVERTED) == []


@pytest.mark.parametrize(
    "code",
    [
        "KEYS_PREFIX",
        "ALPHA_DROPPED",
        "ALPHA_META_CONFLICT",
        "META_JSON",
        "ALGO_LOKR",
        "BUNDLED_EMBEDDING",
        "TE_T5",
    ],
)
def test_a_finding_about_loaders_counts_only_through_a_loader(code: str) -> None:
    """The loader's own prediction says that it gets over it: so the file runs."""
    assert where(picture(finding(code, "So it is."))) == where(picture())


def test_a_file_error_that_convert_mends_names_the_layout_of_the_target() -> None:
    """Trailing bytes: the same mend, and for each loader its own layout."""
    report = picture(finding("DATA_TRAILING", "3 bytes too many.", mend=entries()["DATA_TRAILING"].mend))
    assert on(report, "diffusers").command == (
        "lorry convert style.safetensors -o style-diffusers.safetensors --to diffusers"
    )
    assert on(report, "comfyui").command == (
        "lorry convert style.safetensors -o style-comfyui.safetensors --to comfyui"
    )


@given(
    st.sampled_from(["image-lora", "text-lora", "checkpoint", "vae", None]),
    st.sampled_from([*(known.key for known in families()), None]),
    st.sampled_from(["lora", "lokr", "dora", "oft", None]),
    st.integers(1, 2000),
    st.sampled_from(["bf16", "f64", "f8_e4m3", "i8", "mixed", None]),
    st.lists(st.sampled_from(sorted(entries())), max_size=4, unique=True),
    st.lists(
        st.builds(load, st.sampled_from(["engine", "diffusers", "comfyui", "vllm"]), st.sampled_from(Outcome))
    ),
)
def test_any_report_gets_a_verdict(
    kind: str | None,
    family: str | None,
    algorithm: str | None,
    rank: int,
    dtype: str | None,
    codes: list[str],
    loads: list[Prediction],
) -> None:
    """Whatever is combined: ten verdicts, no exception, and errors of the file never run as they are."""
    changes = {"kind": kind, "family": family, "base": None, "algorithm": algorithm, "dtype": dtype}
    found = [finding(code, "So it is.") for code in codes]
    report = picture(*found, rank=RankSpan(rank, rank, rank), loads=tuple(loads), **changes)
    given_verdicts = verdicts(report, ["all"])
    assert len(given_verdicts) == len(ROUTES) + len(LOADERS)
    if "VAL_NAN" in codes:
        assert {verdict.runs for verdict in given_verdicts} == {Runs.NO}


# Loaders


@pytest.mark.parametrize("outcome", [Outcome.IGNORED, Outcome.REFUSED, Outcome.RANDOM, Outcome.PARTIAL])
def test_what_a_loader_does_not_apply_runs_after_conversion(outcome: Outcome) -> None:
    """A plain LoRA can be spelled anew, without loss; the layers that will be changed are told."""
    modules = 19 if outcome is Outcome.PARTIAL else 0
    verdict = on(picture(loads=(load("comfyui", outcome, modules),)), "comfyui")
    assert verdict.runs is Runs.CONVERTED
    assert verdict.modules == LAYERS
    assert verdict.reasons[0].code == "LOADER_LIMIT"
    assert verdict.reasons[0].mend == "--to comfyui"


@pytest.mark.skipif("diffusers" not in loaders(), reason="the table of diffusers is not written yet")
def test_diffusers_gets_its_own_layout() -> None:
    """The same for the other loader, and for the routes behind which it stands."""
    for target in ("diffusers", "together-url", "together-container"):
        verdict = on(picture(loads=(load("diffusers", Outcome.IGNORED, 0),)), target)
        assert verdict.reasons[0].mend == "--to diffusers"


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        ("ALGO_LOKR", "--to comfyui --rank 128 --lossy"),
        ("ALGO_LOHA", "--to comfyui --rank 128 --lossy"),
        ("ALGO_DORA", None),
        ("ALGO_OFT", None),
    ],
)
def test_what_is_no_plain_lora_is_mended_with_loss_or_not_at_all(code: str, mend: str | None) -> None:
    """LoKr and LoHa become a LoRA with loss; DoRA needs its base, and OFT can't be one."""
    report = picture(finding(code, "So it is."), loads=(load("comfyui", Outcome.REFUSED, 0),))
    assert says(report, "comfyui", "LOADER_LIMIT").mend == mend
    assert on(report, "comfyui").runs is (Runs.CONVERTED if mend else Runs.NO)


def test_what_nobody_has_tried_is_not_said_to_run() -> None:
    """Neither as it is, nor after a conversion to a layout that nobody has tried either."""
    report = picture(loads=(), family="flux-icons-64", base="lorry/flux-icons-64")
    verdict = on(report, "comfyui")
    assert verdict.runs is Runs.NO
    assert says(report, "comfyui", "LOADER_LIMIT").sentence.startswith("Nobody has tried")
    assert on(text(family=None, base=None, loads=(load("vllm", Outcome.UNKNOWN, 0),)), "vllm").runs is Runs.NO


def test_a_dropped_alpha_blocks_only_where_it_changes_the_strength() -> None:
    """Without the finding alpha equals the rank, and nothing is lost."""
    dropped = (load("diffusers", Outcome.ALPHA_DROPPED),)
    assert on(picture(loads=dropped), "diffusers").runs is Runs.YES
    assert on(picture(loads=dropped, alpha=16.0), "diffusers").runs is Runs.YES
    assert on(picture(loads=dropped, alpha=8.0), "diffusers").runs is not Runs.YES
    told = finding("ALPHA_DROPPED", "It would act at 200% of the trained strength.")
    assert on(picture(told, loads=dropped), "diffusers").runs is not Runs.YES


def test_an_adapter_under_another_name_has_to_be_renamed() -> None:
    """PEFT, vLLM and Together look for adapter_model.safetensors, and for nothing else."""
    report = text(path="out/llama.safetensors", file="out/llama.safetensors")
    for target in ("peft", "vllm", "together-attached", "together-merged"):
        verdict = on(report, target)
        assert verdict.command == "lorry convert out/llama.safetensors -o llama-peft --to peft"


@pytest.mark.parametrize(("alpha", "option"), [(32.0, "--alpha 32"), (None, "--alpha N")])
def test_a_missing_configuration_asks_for_alpha(alpha: float | None, option: str) -> None:
    """It is written from the shapes, and alpha is in none of them."""
    report = text(finding("PEFT_CONFIG_MISSING", "There is no adapter_config.json."), alpha=alpha)
    assert on(report, "peft").command == f"lorry convert adapter -o adapter-peft --to peft {option}"


@pytest.mark.parametrize("code", ["PEFT_MODULES_TO_SAVE", "PEFT_TARGETS"])
def test_vllm_stumbles_where_peft_does_not(code: str) -> None:
    """What servers of adapters refuse runs merged into its base."""
    assert where(text(finding(code, "So it is."))) == ["together-merged", "peft"]


# Every code of a limit


def test_kind_limit() -> None:
    """The kind of model decides before anything else; what can't be told is none."""
    assert says(picture(), "peft", "KIND_LIMIT").sentence == (
        "It takes adapters for text; this is a LoRA for pictures."
    )
    assert "can't be told" in says(picture(kind=None), "diffusers", "KIND_LIMIT").sentence
    wan = next(known.name for known in families() if known.key == "wan-14b")
    assert says(picture(family="wan-14b", base=None), "together-url", "KIND_LIMIT").sentence == (
        f"It serves models for image; {wan} is one for video."
    )


def test_base_limit() -> None:
    """Another base is not served; of several with the same layers it is said which are."""
    other = picture(family="qwen-image", base="Qwen/Qwen-Image")
    assert says(other, "together-url", "BASE_LIMIT").sentence == (
        "It serves black-forest-labs/FLUX.2-dev; this file is for Qwen/Qwen-Image."
    )
    served = ServedBase(FLUX, FLUX, "flux1", BaseStatus.SUPPORTED, "for a test", SOURCE)
    dev = replace(profile("together-url"), bases=(served,))
    unnamed = says(picture(family="flux1", base=None), dev, "BASE_LIMIT")
    assert not unnamed.blocks
    assert unnamed.sentence.endswith(f"the file names none; it takes {FLUX} only.")
    schnell = says(picture(family="flux1", base="black-forest-labs/FLUX.1-schnell"), dev, "BASE_LIMIT")
    assert schnell.blocks
    assert "--base overrules" in schnell.sentence
    assert judge(picture(family="flux1", base=FLUX), dev).runs is Runs.YES


def test_base_limit_of_a_base_that_ends() -> None:
    """Nothing new goes to a deprecated base, whichever of its family the file is for."""
    for base in (FLUX, None, "black-forest-labs/FLUX.1-schnell"):
        reason = says(picture(family="flux1", base=base), "together-url", "BASE_LIMIT")
        assert reason.blocks
        assert "deprecated" in reason.sentence


def test_base_limit_of_families() -> None:
    """A target that has only some families says so for the others."""
    only = replace(profile("comfyui"), families=Fact(("sdxl",), SOURCE))
    assert says(picture(), only, "BASE_LIMIT").blocks


def test_rank_limit() -> None:
    """Above the limit a plain LoRA can be reduced, with loss; below a server's setting it is named."""
    low = replace(profile("comfyui"), max_rank=Fact(8, SOURCE))
    reason = says(picture(), low, "RANK_LIMIT")
    assert (reason.sentence, reason.mend) == ("Rank 16; it takes at most 8.", "--rank 8 --lossy")
    assert judge(picture(), low).command == (
        "lorry convert style.safetensors -o style-comfyui.safetensors --to comfyui --rank 8 --lossy"
    )
    assert says(picture(algorithm="lokr"), low, "RANK_LIMIT").mend is None
    high = text(rank=RankSpan(8, 64, 64))
    assert says(high, "vllm", "RANK_LIMIT") == Reason(
        "RANK_LIMIT", "Rank 64 needs --max-lora-rank 64; without it the limit is 16.", False
    )
    assert says(text(rank=RankSpan(600, 600, 600)), "vllm", "RANK_LIMIT").mend == "--rank 512 --lossy"


@pytest.mark.parametrize(
    ("dtype", "code", "mend"),
    [("f8_e4m3", "DTYPE_FP8", "--to diffusers"), ("f6_e2m3", "DTYPE_F6F4", None)],
)
def test_dtype_limit(dtype: str, code: str, mend: str | None) -> None:
    """8-bit floats become bfloat16, smaller ones are not converted; ComfyUI reads 8-bit ones as they are."""
    report = picture(finding(code, "988 of 988 tensors are odd."), dtype=dtype)
    assert says(report, "diffusers", "DTYPE_LIMIT").mend == mend
    assert (on(report, "comfyui").runs is Runs.YES) == (code == "DTYPE_FP8")


def test_dtype_limit_of_a_mixed_file_and_of_unknown_readers() -> None:
    """Of a mixed file the finding tells the types; where no list is documented odd ones are not promised."""
    mixed = finding("DTYPE_MIXED", "Two types.", found={"BF16": 900, "F8_E4M3": 88})
    eight = finding("DTYPE_FP8", "88 of 988 tensors are F8_E4M3.")
    assert "f8_e4m3" in says(picture(mixed, eight, dtype="mixed"), "diffusers", "DTYPE_LIMIT").sentence
    assert on(picture(mixed, eight, dtype="mixed"), "comfyui").runs is Runs.YES
    assert says(text(eight, dtype="f8_e4m3"), "vllm", "DTYPE_LIMIT").blocks
    assert on(text(dtype="f32"), "vllm").runs is Runs.YES


def test_size_limit() -> None:
    """Too large by less than half: bfloat16 helps, but only what is wider."""
    small = replace(profile("comfyui"), max_bytes=Fact(100_000_000, SOURCE))
    assert says(picture(), small, "SIZE_LIMIT").mend is None
    assert says(picture(dtype="f32"), small, "SIZE_LIMIT").mend == "--dtype bf16"
    assert judge(picture(dtype="f32"), small).command == (
        "lorry convert style.safetensors -o style-comfyui.safetensors --to comfyui --dtype bf16"
    )


def test_parts_limit() -> None:
    """What diffusers leaves out is said and blocks nothing; ComfyUI applies it."""
    report = picture(family="flux1", base=FLUX, parts=("clip", "t5"))
    reason = says(report, "diffusers", "PARTS_LIMIT")
    assert not reason.blocks
    assert "T5" in reason.sentence
    assert on(report, "diffusers").runs is Runs.YES
    assert "PARTS_LIMIT" not in {reason.code for reason in on(report, "comfyui").reasons}
    assert (
        len([r for r in on(picture(parts=("clip", "t5")), "diffusers").reasons if r.code == "PARTS_LIMIT"])
        == 2
    )


def test_adapters_limit() -> None:
    """How many it takes at once is said, and no verdict on one file."""
    reason = says(picture(), "together-url", "ADAPTERS_LIMIT")
    assert (reason.sentence, reason.blocks) == ("It takes at most 2 adapters in one request.", False)


def test_licence_limit() -> None:
    """A non-commercial base is named with its licence, and with what that means there; a free one is not."""
    reason = says(picture(), "together-container", "LICENCE_LIMIT")
    assert not reason.blocks
    assert reason.sentence.startswith("black-forest-labs/FLUX.2-dev is under FLUX Non-Commercial License")
    free = picture(family="qwen-image", base="Qwen/Qwen-Image")
    assert "LICENCE_LIMIT" not in {reason.code for reason in on(free, "together-container").reasons}


def test_loader_limit() -> None:
    """The sentence is the loader's own prediction, with the numbers in it."""
    report = picture(loads=(load("comfyui", Outcome.PARTIAL, 19),))
    assert says(report, "comfyui", "LOADER_LIMIT").sentence == "comfyui: partial, 19 of 494 layers."


@pytest.mark.parametrize(
    "target", ["together-attached", "together-merged", "together-url", "together-container"]
)
def test_route_unproved(target: str) -> None:
    """No open route of Together was tried yet, and each says so without blocking."""
    report = picture() if target in ("together-url", "together-container") else text()
    assert not says(report, target, "ROUTE_UNPROVED").blocks


def test_route_closed() -> None:
    """The code of the refusal and what replaces the route are named; no conversion opens it."""
    reason = says(text(), "together-v1", "ROUTE_CLOSED")
    assert "403 endpoints_v1_create_access_disabled" in reason.sentence
    assert "together-attached" in reason.sentence
    assert on(text(), "together-v1").runs is Runs.NO


# The command


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("my style/flux lora.safetensors", "'flux lora-comfyui.safetensors'"),
        ("out/tok", "tok-comfyui.safetensors"),
        ("out/tok/pytorch_lora_weights.safetensors", "tok-comfyui.safetensors"),
        ("trained_model.tar.gz", "trained_model-comfyui.safetensors"),
        ("ann/flux-tok@main:lora.safetensors", "flux-tok-comfyui.safetensors"),
        ("https://example.org/a/tok.safetensors?token=x", "tok-comfyui.safetensors"),
    ],
)
def test_the_result_is_named_after_the_model(path: str, out: str) -> None:
    """Quoted for a shell; a name that says nothing gives way to the folder's or the repository's."""
    report = picture(path=path, loads=(load("comfyui", Outcome.IGNORED, 0),))
    command = on(report, "comfyui").command
    assert command is not None
    assert f" -o {out} --to comfyui" in command


def test_one_command_mends_everything() -> None:
    """Layout, rank and loss of several reasons become one command, each option once."""
    low = replace(profile("comfyui"), max_rank=Fact(8, SOURCE))
    report = picture(
        finding("DATA_TRAILING", "1 byte too many."),
        finding("ALGO_DIFF", "2 modules contain full differences."),
        loads=(load("comfyui", Outcome.PARTIAL, 3),),
    )
    command = judge(report, low).command
    assert command is not None
    assert command.endswith("--to comfyui --rank 8 --lossy")
    assert command.count("--to") == 1


def test_of_two_ranks_the_lower_is_asked_for() -> None:
    """What one reason cuts to 128 and another to 8 is cut to 8."""
    low = replace(profile("comfyui"), max_rank=Fact(8, SOURCE))
    report = picture(finding("ALGO_LOKR", "LoKr factors."), loads=(load("comfyui", Outcome.REFUSED, 0),))
    assert (judge(report, low).command or "").endswith("--to comfyui --rank 8 --lossy")
    trailing = finding("DATA_TRAILING", "1 byte too many.")
    both = picture(trailing, finding("ALGO_LOKR", "LoKr."), loads=(load("comfyui", Outcome.REFUSED, 0),))
    assert (on(both, "comfyui").command or "").endswith("--to comfyui --rank 128 --lossy")


def test_the_parser_takes_the_command() -> None:
    """Every option that a verdict names is one of `lorry convert`."""
    low = replace(profile("comfyui"), max_rank=Fact(8, SOURCE), max_bytes=Fact(100_000_000, SOURCE))
    commands = [
        judge(picture(dtype="f32"), low).command,
        on(text(finding("PEFT_CONFIG_MISSING", "None there."), alpha=32.0), "peft").command,
    ]
    for command in commands:
        assert command is not None
        words = shlex.split(command)[1:]
        _, bound, _ = build().parse_args([*words, "--json"])
        assert bound.arguments["out"] == Path(words[3])


def test_verdicts_are_data() -> None:
    """JSON values with the fields that the reference page describes."""
    (row,) = as_data(verdicts(picture(loads=(load("comfyui", Outcome.IGNORED, 0),)), ["comfyui"]))
    assert set(row) == {"target", "kind", "runs", "reasons", "command", "modules"}
    assert row["runs"] == "runs after conversion"
    assert set(row["reasons"][0]) == {"code", "sentence", "blocks", "mend"}


# The cost


def test_a_check_without_targets_reads_no_profile() -> None:
    """What `--for` needs is imported with `--for` alone, and nothing of it is heavy."""
    script = (
        "import sys\nfrom lorry.cli.main import run\nrun(['check', 'no-such-file'])\n"
        "assert not [name for name in sys.modules if name.startswith('lorry.platforms')]\n"
        "import lorry.platforms.verdicts, lorry.cli.verdicts\n"
        "assert not {'together', 'httpx', 'numpy', 'torch', 'diffusers', 'peft', 'rich'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
