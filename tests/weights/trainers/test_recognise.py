"""Every trainer is known by what it leaves, and its answers are found where it writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.weights.files.listing import MemoryListing
from lorry.weights.trainers.choice import Choice, choose
from lorry.weights.trainers.documents import read_yaml
from lorry.weights.trainers.recognise import Training, recognise
from lorry.weights.trainers.signs import TRAINERS
from tests.weights.trainers.tree import Tree
from tests.weights.trainers.trees import AI_TOOLKIT, KOHYA, SIMPLETUNER, TREES

_WEIGHTS = "tok.safetensors"


def training(metadata: Mapping[str, str], inside: str = _WEIGHTS, **content: str) -> Training:
    """Recognise a file among files; `readme` stands for README.md, `config` for config.yaml."""
    names = {
        "readme": "README.md",
        "config": "config.yaml",
        "sidecar": "tok.json",
        "civitai": "tok.civitai.info",
    }
    files = {names.get(name, name): text.encode() for name, text in content.items()}
    return recognise(metadata, inside, MemoryListing("tok", {inside: b"", **files}))


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.trainer)
def test_each_trainers_folder_is_understood(tree: Tree) -> None:
    """The file, the trainer, trigger, bases, rank, resolution, steps and samples, all from one folder."""
    choice = choose(tree.listing)
    assert isinstance(choice, Choice)
    assert choice.path == tree.chosen
    found = recognise(tree.metadata, choice.path, tree.listing)
    assert found.trainer == tree.trainer
    assert found.reason.endswith(".")
    assert found.trigger == tree.trigger
    assert (found.trigger_source is None) == (tree.trigger is None)
    assert found.bases == tree.bases
    assert (found.rank, found.alpha) == tree.rank
    assert found.resolution == tree.resolution
    assert (found.step, found.total_steps) == tree.steps
    assert found.finished is tree.finished
    assert tuple((sample.path, sample.prompt) for sample in found.samples) == tree.samples


def test_every_trainer_has_a_folder_here() -> None:
    """No trainer is claimed to be known without its folder being tested."""
    assert tuple(tree.trainer for tree in TREES) == TRAINERS


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.trainer)
def test_the_place_of_a_folder_does_not_matter(tree: Tree) -> None:
    """The same folder inside another one, as in an archive, gives the same answers."""
    inner = MemoryListing("all", {f"a/b/{path}": text.encode() for path, text in tree.content.items()})
    found = recognise(tree.metadata, f"a/b/{tree.chosen}", inner)
    assert (found.trainer, found.trigger, found.bases) == (tree.trainer, tree.trigger, tree.bases)
    assert tuple(sample.path.removeprefix("a/b/") for sample in found.samples) == tuple(
        path for path, _ in tree.samples
    )


def test_a_step_has_its_own_samples_and_is_not_the_end() -> None:
    """The file of an earlier step shows what that step drew."""
    metadata = dict(AI_TOOLKIT.metadata) | {"training_info": '{"step": 500, "epoch": 6}'}
    found = recognise(metadata, "tok_000000500.safetensors", AI_TOOLKIT.listing)
    assert found.finished is False
    assert [sample.path for sample in found.samples] == [
        "samples/1700000000000__000000500_0.jpg",
        "samples/1700000000001__000000500_1.jpg",
    ]


def test_without_a_plan_the_names_tell_the_end() -> None:
    """A file without a number beside numbered ones is the end, and a numbered one beside it is not."""
    bare = {"format": "pt"}
    assert recognise(bare, "tok.safetensors", KOHYA.listing).finished is True
    assert recognise(bare, "tok-000002.safetensors", KOHYA.listing).finished is False
    assert recognise(bare, "tok.safetensors", MemoryListing("x", {"tok.safetensors": b""})).finished is None


def test_a_checkpoint_folder_has_its_own_state() -> None:
    """Steps and epoch of a save come from the state that lies with it."""
    found = recognise({}, "checkpoint-500/pytorch_lora_weights.safetensors", SIMPLETUNER.listing)
    assert (found.step, found.epoch, found.finished) == (500, 3, False)
    assert found.bases == ("black-forest-labs/FLUX.1-dev",)


_TAGS = json.dumps({"1_tok creature": {"a dog": 4, "grass": 2}})
_CARD = "---\ninstance_prompt: a photo of tok\n---\n"
_EMPTY_CARD = "---\ninstance_prompt:\n---\n"
_COMMON = {
    "ss_tag_frequency": json.dumps({"img": {"tok": 19, "a dog": 4}}),
    "ss_dataset_dirs": json.dumps({"img": {"n_repeats": 1, "img_count": 20}}),
}


@pytest.mark.parametrize(
    ("metadata", "content", "word"),
    [
        ({"modelspec.trigger_phrase": "tok"}, {}, "tok"),
        ({"trained_words": "tok, toks"}, {}, "tok"),
        ({"ss_tag_frequency": _TAGS}, {}, "tok creature"),
        ({"ss_tag_frequency": json.dumps({"1_a": {}, "1_b": {}})}, {}, None),
        ({"ss_tag_frequency": "no JSON"}, {}, None),
        ({"trained_words": "tok"}, {"config": "trigger_word: first\n"}, "first"),
        ({"trained_words": "tok", "modelspec.trigger_phrase": "other"}, {}, "tok"),
        ({"ss_tag_frequency": _TAGS}, {"readme": _CARD}, "a photo of tok"),
        ({}, {"sidecar": '{"activation text": "tok"}'}, "tok"),
        ({}, {"civitai": '{"trainedWords": ["tok", "dog"]}'}, "tok"),
        (_COMMON, {}, "tok"),
        ({}, {f"captions/{number}.txt": f"tok, {number}" for number in range(4)}, "tok"),
        ({}, {f"captions/{number}.txt": f"tok, {number}" for number in range(2)}, None),
        ({"modelspec.trigger_phrase": "  "}, {}, None),
        ({"modelspec.trigger_phrase": "None", "trained_words": ""}, {"readme": _EMPTY_CARD}, None),
        ({}, {}, None),
    ],
)  # fmt: skip
def test_the_trigger_word_has_an_order_of_sources(
    metadata: dict[str, str], content: dict[str, str], word: str | None
) -> None:
    """Configuration, then the header, the card, the folder, files beside, captions; unset values are none."""
    found = training(metadata, **content)
    assert found.trigger == word
    assert (found.trigger_source is None) == (word is None)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("---\nbase_model: x\ninstance_prompt: tok\n---\n# Tok\n", "tok"),
        ('---\ninstance_prompt: "a: tok # 1"  # note\n---\n', "a: tok # 1"),
        ("---\ninstance_prompt: photo of tok: a dog\n---\n", "photo of tok: a dog"),
        ("\ufeff---\r\ninstance_prompt: tok\r\n---\r\n", "tok"),
        ("---\ninstance_prompt: null\n---\n", None),
        ("---\ninstance_prompt:\nother: tok\n---\n", None),
        ("# no front matter\ninstance_prompt: tok\n", None),
        ("---\ninstance_prompt: tok\n", None),
    ],
)
def test_the_front_matter_of_a_card_names_the_trigger(text: str, word: str | None) -> None:
    """`instance_prompt` counts only inside the front matter, quoted or not, in sound YAML or not."""
    assert training({}, readme=text).trigger == word


def test_bases_come_from_everywhere_most_trusted_first() -> None:
    """The card comes before the configuration, that before the header; a card may list several."""
    found = training(
        {
            "modelspec.architecture": "flux-1-dev/lora",
            "ss_sd_model_name": "None",
            "ss_base_model_version": "flux1",
        },
        readme="---\nbase_model:\n- lorry/flux-icons-64\n- other\n---\n",
        config="name_or_path: lorry/flux-icons-64\n",
        civitai='{"baseModel": "Flux.1 D"}',
    )
    assert found.bases == ("lorry/flux-icons-64", "other", "flux-1-dev", "flux1", "Flux.1 D")


def test_a_configuration_written_by_python_is_understood() -> None:
    """ai-toolkit dumps an OrderedDict, which YAML writes as a tag with a list of pairs."""
    text = (
        "!!python/object/apply:collections.OrderedDict\n- - - job\n    - extension\n  - - config\n"
        "    - !!python/object/apply:collections.OrderedDict\n      - - - process\n"
        "          - - trigger_word: tok\n"
        "              train: !!python/object/apply:collections.OrderedDict\n              - - - steps\n"
        "                  - 7\n"
    )
    found = training({}, config=text)
    assert (found.trainer, found.trigger, found.total_steps) == ("ai-toolkit", "tok", 7)


_BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)


@pytest.mark.parametrize(
    "text",
    [
        _BOMB + "trigger_word: tok\n",
        "trigger_word: tok\nx: " + "[" * 30_000,
        "trigger_word: tok\n" + "- " * 30_000,
        "trigger_word: tok\n" + "? " * 30_000,
        "trigger_word: tok\nx: !!python/object/apply:os.system ['exit 1'",
        "trigger_word: tok\nx: {unhashable: {{a: b}: c}}\n",
        "trigger_word: tok\n\x00",
        "trigger_word: tok\nx: '\ud800",
    ],
    ids=["aliases", "brackets", "dashes", "questions", "tags", "keys", "nul", "surrogate"],
)
def test_a_hostile_document_is_read_by_its_plain_lines(text: str) -> None:
    """Aliases that multiply and nesting that overflows are refused before they are parsed; nothing is run."""
    assert read_yaml(text)["trigger_word"] == "tok"


def test_broken_documents_say_nothing() -> None:
    """Documents that are binary, deep or of the wrong kind are as good as missing."""
    found = recognise(
        {"training_info": "[1]", "ss_steps": "9" * 400, "ss_network_dim": "nan", "ss_resolution": "x"},
        _WEIGHTS,
        MemoryListing(
            "tok",
            {
                "config.yaml": b"\xff\xfe\x00",
                "README.md": b"---\n- a\n- b\n---\n",
                "adapter_config.json": b"[" * 50_000,
                "tok.json": b'{"activation text": ["x"]}',
                "config.json": b'{"lora_rank": true, "epochs": "many"}',
            },
        ),
    )
    assert found.trainer == "ai-toolkit"  # the header has training_info, whatever is in it
    assert found == Training("ai-toolkit", found.reason)


def test_a_stranger_stays_unknown() -> None:
    """No sign, no name: the sentence says so instead of guessing."""
    found = training({"format": "pt"})
    assert found.trainer == "unknown"
    assert found.reason == "Neither the header nor the files beside the weights name a trainer."


@pytest.mark.parametrize(
    ("inside", "trainer"),
    [
        ("tok_000000500.safetensors", "ai-toolkit"),
        ("tok-step00000500.safetensors", "kohya"),
        ("tok-000004.safetensors", "kohya"),
        ("lora_weights_step_00500.safetensors", "lightricks"),
        ("2026-01-02_03-04-05-save-500-5-0.safetensors", "onetrainer"),
    ],
)
def test_a_name_alone_is_a_last_sign(inside: str, trainer: str) -> None:
    """A bare file without metadata still has its trainer's way of writing steps."""
    assert training({}, inside).trainer == trainer


_FIELDS = st.sampled_from(
    [
        "software",
        "training_info",
        "ss_steps",
        "ss_tag_frequency",
        "ss_dataset_dirs",
        "ot_config",
        "lora_adapter_metadata",
        "trained_words",
        "ss_resolution",
        "modelspec.architecture",
    ]
)
_VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from([value for tree in TREES for value in tree.metadata.values()]),
    st.recursive(
        st.one_of(st.text(max_size=5), st.integers(), st.none(), st.floats()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=5,
    ).map(json.dumps),
)
_TEXTS = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([text.encode()[:3000] for tree in TREES for text in tree.content.values() if text]),
    st.tuples(st.sampled_from([AI_TOOLKIT.content["config.yaml"]]), st.integers(0, 600)).map(
        lambda cut: cut[0][: cut[1]].encode()
    ),
)
_PATHS = st.one_of(
    st.sampled_from(
        sorted({path for tree in TREES for path in tree.content} | {"tok.civitai.info", "captions/a.txt"})
    ),
    st.text(max_size=12),
)


@given(st.dictionaries(_FIELDS, _VALUES, max_size=4), _PATHS, st.dictionaries(_PATHS, _TEXTS, max_size=6))
def test_nothing_strange_ever_raises(
    metadata: dict[str, str], inside: str, content: dict[str, bytes]
) -> None:
    """Any header, any name and any files give an answer of the known kinds."""
    found = recognise(metadata, inside, MemoryListing("x", content))
    assert found.trainer in (*TRAINERS, "unknown")
    assert found.trigger is None or found.trigger.isprintable()
    assert {sample.path for sample in found.samples} <= set(content)
