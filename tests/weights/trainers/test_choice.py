"""The file that is meant is found among everything that a trainer leaves, and the reason is said."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.model.report import Finding
from lorry.weights.files.listing import MemoryListing
from lorry.weights.trainers.choice import Choice, choose, judge_pair, partner_of


def listing(*paths: str, name: str = "tok") -> MemoryListing:
    """Lay empty files under these paths."""
    return MemoryListing(name, dict.fromkeys(paths, b""))


def chosen(*paths: str, name: str = "tok") -> Choice:
    """Choose, where a choice is expected."""
    found = choose(listing(*paths, name=name))
    assert isinstance(found, Choice), found
    return found


def refused(*paths: str, name: str = "tok") -> Finding:
    """Choose, where no choice is expected."""
    found = choose(listing(*paths, name=name))
    assert isinstance(found, Finding), found
    return found


_TIME = "2026-01-02_03-04-05"
_SAVED = "pytorch_lora_weights.safetensors"


@pytest.mark.parametrize(
    ("paths", "path"),
    [
        (["tok.safetensors", "README.md"], "tok.safetensors"),
        (["TOK.SAFETENSORS"], "TOK.SAFETENSORS"),
        (["tok.safetensors", "tok_000000500.safetensors", "tok_000001000.safetensors"], "tok.safetensors"),
        (["tok.safetensors", "tok-000004.safetensors"], "tok.safetensors"),
        (["tok.safetensors", "tok-step00000500.safetensors"], "tok.safetensors"),
        (
            ["last.safetensors", "epoch-000004.safetensors", "at-step00000500.safetensors"],
            "last.safetensors",
        ),
        (["tok-16.safetensors", "tok-16-000004.safetensors"], "tok-16.safetensors"),
        (
            [
                "checkpoint-500/pytorch_lora_weights.safetensors",
                "checkpoint-500/model.safetensors",
                "pytorch_lora_weights.safetensors",
                "tok_emb.safetensors",
            ],
            "pytorch_lora_weights.safetensors",
        ),
        (
            ["checkpoint-10/adapter_model.safetensors", "adapter_model.safetensors", "tokenizer.json"],
            "adapter_model.safetensors",
        ),
        (
            ["output/flux_train_replicate/lora.safetensors", "output/flux_train_replicate/config.yaml"],
            "output/flux_train_replicate/lora.safetensors",
        ),
        (
            [f"save/{_TIME}-save-500-5-0.safetensors", "models/tok.safetensors"],
            "models/tok.safetensors",
        ),
        (["tok.safetensors", "tok-state/model.safetensors"], "tok.safetensors"),
        (
            ["ema/pytorch_lora_weights.safetensors", "pytorch_lora_weights.safetensors"],
            "pytorch_lora_weights.safetensors",
        ),
        (["tok.safetensors", "optimizer.safetensors", "scheduler.safetensors"], "tok.safetensors"),
        (["tok.safetensors", "_latent_cache/a.safetensors", "cache/b.safetensors"], "tok.safetensors"),
        (["tok.safetensors", ".cache/tok.safetensors", "__MACOSX/._tok.safetensors"], "tok.safetensors"),
        (["tok.safetensors", "dog.safetensors.part", "cat.safetensors.incomplete"], "tok.safetensors"),
        (["tok.safetensors", "tok_comfy.safetensors", "tok-000004.safetensors"], "tok.safetensors"),
        (["tok.safetensors", "old/tok2.safetensors"], "tok.safetensors"),
        (["my_checkpoint_v2.safetensors"], "my_checkpoint_v2.safetensors"),
    ],
)
def test_the_result_comes_before_its_steps_and_states(paths: list[str], path: str) -> None:
    """What a trainer hands over is taken; saves during the training, states and caches are not."""
    found = chosen(*paths)
    assert found.path == path
    assert found.why.endswith(".")


@pytest.mark.parametrize(
    ("paths", "path", "said"),
    [
        (
            ["tok_000000500.safetensors", "tok_000001000.safetensors"],
            "tok_000001000.safetensors",
            "step 1,000",
        ),
        (["tok-000002.safetensors", "tok-000010.safetensors"], "tok-000010.safetensors", "epoch 10"),
        (
            [
                "checkpoints/lora_weights_step_02000.safetensors",
                "checkpoints/lora_weights_step_00500.safetensors",
            ],
            "checkpoints/lora_weights_step_02000.safetensors",
            "step 2,000",
        ),
        (
            [f"checkpoint-{step}/pytorch_lora_weights.safetensors" for step in (500, 1000, 900)],
            "checkpoint-1000/pytorch_lora_weights.safetensors",
            "step 1,000",
        ),
        (
            [
                f"save/{_TIME}-save-400-4-0.safetensors",
                f"backup/{_TIME}-backup-500-5-0/lora/lora.safetensors",
            ],
            f"backup/{_TIME}-backup-500-5-0/lora/lora.safetensors",
            "step 500",
        ),
        (
            [
                f"save/{_TIME}-save-500-5-0.safetensors",
                f"backup/{_TIME}-backup-500-5-0/lora/lora.safetensors",
            ],
            f"save/{_TIME}-save-500-5-0.safetensors",
            "step 500",
        ),
        (["epoch10/tok.safetensors", "epoch9/tok.safetensors"], "epoch10/tok.safetensors", "epoch 10"),
        ([f"checkpoint-500/{_SAVED}"], f"checkpoint-500/{_SAVED}", "step 500"),
        (["ema/pytorch_lora_weights.safetensors"], "ema/pytorch_lora_weights.safetensors", "EMA"),
    ],
)
def test_without_a_result_the_last_step_is_taken_and_said(paths: list[str], path: str, said: str) -> None:
    """Numbers count as numbers, not as text, and the sentence says that no final file is there."""
    found = chosen(*paths)
    assert found.path == path
    assert said in found.why
    assert "there" in found.why
    assert set(found.others) == set(paths) - {path}


@pytest.mark.parametrize(
    "paths",
    [
        ["a.safetensors", "b.safetensors"],
        ["tok.safetensors", "dog-000004.safetensors"],
        ["a/pytorch_lora_weights.safetensors", "b/pytorch_lora_weights.safetensors"],
        ["tok-000004.safetensors", "tok-step00000500.safetensors"],
        ["tok_high.safetensors", "tok_low.safetensors"],
        ["tok.safetensors", "tok_20260115.safetensors"],
    ],
)
def test_where_nothing_tells_the_files_are_listed(paths: list[str]) -> None:
    """A guess would ship the wrong file, so a doubt is a finding with every file in it."""
    found = refused(*paths)
    assert found.code == "NAME_MULTIPLE"
    assert found.evidence["files"] == sorted(paths)
    assert all(path in found.message for path in paths)


def test_several_trainings_are_listed_with_their_last_steps() -> None:
    """Of each training only the last step could be meant, and its number is said."""
    found = refused(*(f"{name}_00000{step}.safetensors" for name in "ab" for step in (1000, 2000)))
    assert found.evidence["steps"] == {
        "a_000002000.safetensors": "step 2,000",
        "b_000002000.safetensors": "step 2,000",
    }
    assert "holds 2 .safetensors files" in found.message


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ([], "nothing"),
        (["model.pt", "a.txt"], "model.pt, a.txt"),
        (["optimizer.safetensors"], "optimizer.safetensors"),
        (["a.txt", "tok.safetensors.part"], "tok.safetensors.part is not finished"),
    ],
)
def test_where_no_weights_are_it_says_what_is_there(paths: list[str], said: str) -> None:
    """The most telling names come first: an unfinished download, a pickle."""
    found = refused(*paths)
    assert found.code == "FILE_MISSING"
    assert said in found.message


@pytest.mark.parametrize("stem", ["model", "diffusion_pytorch_model.fp16"])
def test_of_shards_the_index_is_taken(stem: str) -> None:
    """Shards are one checkpoint, and its index stands for them; without an index nothing loads them."""
    index = f"{stem}.safetensors.index.json"
    if "." in stem:
        index = "diffusion_pytorch_model.safetensors.index.fp16.json"
    shards = [f"{stem}-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    if stem == "model":
        found = chosen(*shards, index, "consolidated.safetensors")
        assert found.path == index
        assert "index" in found.why
    assert refused(*shards).code == "SHARD_INDEX"
    assert "3 shards" in refused(*shards).message


def test_of_a_whole_pipeline_the_denoiser_is_taken() -> None:
    """A diffusers folder has a model in each component; an adapter belongs to the one that draws."""
    found = chosen(
        "model_index.json",
        "text_encoder/model.safetensors",
        "transformer/diffusion_pytorch_model-00001-of-00002.safetensors",
        "transformer/diffusion_pytorch_model-00002-of-00002.safetensors",
        "transformer/diffusion_pytorch_model.safetensors.index.json",
        "vae/diffusion_pytorch_model.safetensors",
    )
    assert found.path == "transformer/diffusion_pytorch_model.safetensors.index.json"


@pytest.mark.parametrize(
    ("high", "low"),
    [
        ("tok_high_noise.safetensors", "tok_low_noise.safetensors"),
        ("tok_HighNoise_Wan2.2.safetensors", "tok_LowNoise_Wan2.2.safetensors"),
        ("tok_000000500_high_noise.safetensors", "tok_000000500_low_noise.safetensors"),
        ("high_noise/lora.safetensors", "low_noise/lora.safetensors"),
        ("wan22-tok-high.safetensors", "wan22-tok-low.safetensors"),
        ("wan22/high/tok.safetensors", "wan22/low/tok.safetensors"),
    ],
)
def test_the_halves_of_wan_are_a_pair(high: str, low: str) -> None:
    """One half is taken, the other is named as its partner; no doubt, and nothing is missing."""
    found = chosen(high, low)
    assert (found.path, found.partner, found.others) == (high, low, ())
    assert low in found.why
    both = listing(high, low)
    assert (partner_of(high, both), partner_of(low, both)) == (low, high)
    assert judge_pair(high, both) is None


def test_the_halves_of_the_last_step_belong_together() -> None:
    """Where only steps are left, both halves are of the same step."""
    paths = [
        f"tok_00000{step}_{half}_noise.safetensors" for step in ("0500", "1000") for half in ("high", "low")
    ]
    found = chosen(*paths)
    assert found.path == "tok_000001000_high_noise.safetensors"
    assert found.partner == "tok_000001000_low_noise.safetensors"
    assert "step 1,000" in found.why


def test_a_half_alone_is_reported() -> None:
    """Half of a pair draws half of the steps with the plain base model."""
    found = judge_pair(
        "tok_low_noise.safetensors", listing("tok_low_noise.safetensors", "tok_high_noise.txt")
    )
    assert found is not None
    assert found.code == "WAN_PAIR"
    assert "high-noise half is not there" in found.message
    assert judge_pair("wan_high_quality.safetensors", listing("wan_high_quality.safetensors")) is None
    assert judge_pair("tok.safetensors", listing("tok.safetensors")) is None


def test_a_huge_listing_is_read_once() -> None:
    """A hundred thousand files are one choice: every path is read a fixed number of times."""
    steps = [f"tok-step{number:08}.safetensors" for number in range(100_000)]
    found = chosen(*steps)
    assert found.path == "tok-step00099999.safetensors"
    assert len(found.others) == 99_999
    many = refused(*(f"{number}.safetensors" for number in range(100_000)))
    assert "holds 100,000 .safetensors files" in many.message
    assert len(many.evidence["files"]) == 50


_PART = st.sampled_from(
    [
        "tok",
        "checkpoint-5",
        "ema",
        "save",
        f"{_TIME}-save-5-1-0",
        "last",
        "model-00001-of-00002",
        "high_noise",
        "wan_low",
        "cache",
        ".x",
        "optimizer",
        "_000000500",
        "-000004",
        "-step00000007",
        "\ud800",
        " ",
        "epoch2",
    ]
)
_END = st.sampled_from(["", ".safetensors", ".safetensors.index.json", ".part", ".json", ".SAFETENSORS"])
_PATH = st.builds(
    lambda folders, name, end: "/".join([*folders, "".join(name) + end]),
    st.lists(_PART, max_size=3),
    st.lists(_PART, max_size=3),
    _END,
)


@given(st.lists(st.one_of(_PATH, st.text(max_size=20)), max_size=12, unique=True))
def test_any_listing_has_an_answer(paths: list[str]) -> None:
    """Whatever lies there, the answer is a file of the listing with a sentence, or a finding."""
    around = listing(*paths)
    found = choose(around)
    if isinstance(found, Finding):
        assert found.code in {"FILE_MISSING", "NAME_MULTIPLE", "SHARD_INDEX"}
        return
    assert {found.path, *found.others} <= set(paths)
    assert found.path not in found.others
    assert found.partner is None or partner_of(found.path, around) == found.partner


@given(
    st.permutations(["tok.safetensors", "tok-000004.safetensors", "a/b.safetensors", "ema/tok.safetensors"])
)
def test_the_order_of_a_listing_does_not_matter(paths: list[str]) -> None:
    """The same files give the same choice."""
    assert chosen(*paths).path == "tok.safetensors"
    assert set(chain(paths)) == {chosen(*paths).path, *chosen(*paths).others}
