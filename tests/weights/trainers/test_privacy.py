"""What a header says about its owner is found, and can be taken out without what users need."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.weights.trainers.labels import label_findings
from lorry.weights.trainers.privacy import private_fields, without_private

_TAGS = json.dumps({"10_tok woman": {"tok woman": 12, "red dress": 4}})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ss_tag_frequency", _TAGS),
        ("ss_dataset_dirs", json.dumps({"10_tok": {"n_repeats": 10, "img_count": 12}})),
        ("ss_datasets", json.dumps([{"subsets": [{"image_dir": "10_tok"}]}])),
        ("ot_config", json.dumps({"workspace_dir": "run"})),
        ("ss_training_comment", "second try for Ann"),
        ("note", "trained in C:/Users/ann/pictures"),
        ("ss_sd_model_name", r"D:\models\sdxl.safetensors"),
        ("ss_sd_model_name", r"C:\Users\Ann Smith\sdxl.safetensors"),
        ("ss_sd_model_name", r"\\nas\models\sdxl.safetensors"),
        ("ss_vae_name", "/home/ann/vae.safetensors"),
        ("ss_vae_name", "/Users/ann/vae.safetensors"),
        ("ss_vae_name", "/Volumes/Photos/vae.safetensors"),
        ("ss_vae_name", "~/vae.safetensors"),
        ("link", "file:///srv/pictures"),
        ("config", json.dumps({"root": r"C:\Users\ann"})),
        ("config", r'{"root": "\/home\/ann\/x"}'),
        ("/home/ann/notes", "x"),
        ("token", "hf_" + "a" * 34),
    ],
)
def test_private_fields_are_found_and_taken_out(name: str, value: str) -> None:
    """Captions, folders, paths of any system, user names and access tokens never stay."""
    metadata = {"format": "pt", name: value}
    assert private_fields(metadata) == (name,)
    clean = without_private(metadata)
    assert clean["format"] == "pt"
    assert not private_fields(clean)
    assert "ann" not in json.dumps(clean).lower()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "pt"),
        ("ss_network_dim", "16"),
        ("ss_tag_frequency", json.dumps({"1_tok": {"tok": 1}})),
        ("ss_tag_frequency", "{}"),
        ("ss_dataset_dirs", "None"),
        ("modelspec.license", "https://example.org/home/data/x"),
        ("modelspec.date", "2026-01-02T03:04:05"),
        ("modelspec.description", "ratio 1:2, and/or w/o a/b; 4:/ is no drive"),
        ("modelspec.implementation", "https://github.com/kohya-ss/sd-scripts"),
        ("ss_resolution", "(1024, 1024)"),
        ("lora_adapter_metadata", json.dumps({"transformer.target_modules": r"^(?:.*\\.\d+\\.attn\.to_q)$"})),
        ("template", json.dumps({"chat": "Q:\nWhat is it?\nA:\nx"})),
    ],
)
def test_ordinary_fields_are_nobodys_secret(name: str, value: str) -> None:
    """Addresses, sizes, patterns and ai-toolkit's bare trigger word stay as they are."""
    assert private_fields({name: value}) == ()
    assert without_private({name: value}) == {name: value}


def test_what_users_need_stays() -> None:
    """After stripping, base, rank, alpha, steps and the trigger word are still there."""
    adapter = {
        "transformer.r": 16,
        "transformer.lora_alpha": 8,
        "transformer.base_model_name_or_path": "/home/ann/flux",
    }
    metadata = {
        "ss_sd_model_name": r"C:\Users\ann\models\flux1-dev.safetensors",
        "ss_network_dim": "16",
        "ss_network_alpha": "8",
        "ss_steps": "2000",
        "ss_base_model_version": "flux1",
        "ss_tag_frequency": _TAGS,
        "lora_adapter_metadata": json.dumps(adapter),
    }
    assert without_private(metadata) == {
        "ss_sd_model_name": "flux1-dev.safetensors",
        "ss_network_dim": "16",
        "ss_network_alpha": "8",
        "ss_steps": "2000",
        "ss_base_model_version": "flux1",
        "lora_adapter_metadata": json.dumps(adapter | {"transformer.base_model_name_or_path": "flux"}),
        "modelspec.trigger_phrase": "tok woman",
    }


def test_a_folder_that_is_no_caption_is_no_trigger() -> None:
    """A folder's name is private unless the captions use it, so it isn't brought back as a trigger."""
    metadata = {"ss_tag_frequency": json.dumps({"10_ann at home": {"a woman": 3}})}
    assert without_private(metadata) == {}


def test_a_finding_names_the_fields_and_shows_no_token() -> None:
    """The sentence has numbers and a path; an access token is counted, never shown."""
    token = "hf_" + "b" * 34
    [found] = label_findings({"ss_tag_frequency": _TAGS, "a": "/home/ann/x y", "t": token}, "tok")
    assert found.message == (
        "The header contains 2 caption tags and the path /home/ann/x and 1 access token "
        "and the fields ss_tag_frequency, a, t."
    )
    assert found.evidence["fields"] == ["ss_tag_frequency", "a", "t"]
    assert token not in str(found.as_dict())


_PIECE = st.sampled_from(
    [
        r"C:\Users\ann",
        "C:/Users/ann/x",
        "/home/ann",
        "/home/ann/m.safetensors",
        r"\\nas\x",
        "~/x",
        "tok",
        "1_tok",
        "{",
        "}",
        "[",
        '"',
        "\\",
        "/",
        " ",
        "\n",
        ",",
        ":",
        "file:///x",
        "hf_" + "c" * 20,
        "sdxl",
        "None",
        "�",
        "/home//home/ann",
        "%APPDATA%",
        "C:\\\\Users\\\\ann\\\\x.pt",
    ]
)
_TEXT = st.one_of(st.lists(_PIECE, max_size=5).map("".join), st.text(max_size=12))
_JSON = st.recursive(
    st.one_of(_TEXT, st.integers(), st.none(), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXT, inner, max_size=3)),
    max_leaves=6,
)
_NAME = st.one_of(
    st.sampled_from(
        [
            "ss_tag_frequency",
            "ss_dataset_dirs",
            "ot_config",
            "ss_sd_model_name",
            "trained_words",
            "modelspec.trigger_phrase",
            "lora_adapter_metadata",
            "captions",
        ]
    ),
    _TEXT,
)
_METADATA = st.dictionaries(_NAME, st.one_of(_TEXT, _JSON.map(json.dumps)), max_size=5)


@given(_METADATA)
def test_after_stripping_nothing_private_is_reported(metadata: dict[str, str]) -> None:
    """Whatever a header holds, what is left says nothing private, and stripping twice changes nothing."""
    clean = without_private(metadata)
    assert private_fields(clean) == ()
    assert not [found for found in label_findings(clean, "tok") if found.code == "PRIVACY_META"]
    assert without_private(clean) == clean
    kept = set(metadata) - set(private_fields(metadata)) - {"modelspec.trigger_phrase"}
    assert {name: clean.get(name) for name in kept} == {name: metadata[name] for name in kept}
