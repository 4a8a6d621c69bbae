"""Settings: one reader, a fixed precedence, all problems at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorry.errors import SettingInvalid
from lorry.settings import read_settings


def test_the_defaults_need_nothing(tmp_path: Path) -> None:
    """Without environment and file there are settings that work."""
    settings = read_settings(environ={}, folder=tmp_path)
    assert settings.home.is_absolute()
    assert (settings.engine_url, settings.renderer, settings.threads) == (None, "onnx", None)


def test_precedence_is_option_then_environment_then_file(tmp_path: Path) -> None:
    """A command's option beats the environment, which beats lorry.toml."""
    (tmp_path / "lorry.toml").write_text('home = "/from/file"\nrenderer = "diffusers"\nthreads = 3\n')
    environ = {"LORRY_HOME": "/from/environment", "LORRY_THREADS": "2"}
    settings = read_settings(Path("/from/option"), environ=environ, folder=tmp_path)
    assert (settings.home, settings.renderer, settings.threads) == (Path("/from/option"), "diffusers", 2)
    assert read_settings(environ=environ, folder=tmp_path).home == Path("/from/environment")
    assert read_settings(environ={}, folder=tmp_path).home == Path("/from/file")


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    """Every setting that can't be used is named in one error, with where it came from."""
    (tmp_path / "lorry.toml").write_text('colour = "red"\nrenderer = "gpu"\n')
    environ = {"LORRY_ENGINE_URL": "localhost:1", "LORRY_THREADS": "many"}
    with pytest.raises(SettingInvalid) as caught:
        read_settings(environ=environ, folder=tmp_path)
    said = caught.value.message
    assert all(
        word in said for word in ("colour", "renderer", "lorry.toml", "LORRY_ENGINE_URL", "LORRY_THREADS")
    )
    assert len(caught.value.evidence["problems"]) == 4


def test_a_file_that_is_no_toml_is_an_error(tmp_path: Path) -> None:
    """A broken lorry.toml is never read as an empty one."""
    (tmp_path / "lorry.toml").write_text("home = ")
    with pytest.raises(SettingInvalid, match=r"lorry\.toml can't be read"):
        read_settings(environ={}, folder=tmp_path)


def test_an_empty_variable_is_no_variable(tmp_path: Path) -> None:
    """`LORRY_ENGINE_URL=` in a shell script means: not set."""
    assert read_settings(environ={"LORRY_ENGINE_URL": ""}, folder=tmp_path).engine_url is None


def test_addresses_lose_their_trailing_slash(tmp_path: Path) -> None:
    """An address with or without a trailing slash is the same address."""
    environ = {"LORRY_ENGINE_URL": "http://127.0.0.1:9/"}
    assert read_settings(environ=environ, folder=tmp_path).engine_url == "http://127.0.0.1:9"


def test_names_of_other_programs_are_the_weakest(tmp_path: Path) -> None:
    """`HF_TOKEN` and `HF_ENDPOINT` count only where nothing was said to Lorry itself, in whatever way."""
    other = {"HF_TOKEN": "hf_other", "HF_ENDPOINT": "http://127.0.0.1:9/"}
    settings = read_settings(environ=other, folder=tmp_path)
    assert (settings.hub_token, settings.hub_url) == ("hf_other", "http://127.0.0.1:9")
    (tmp_path / "lorry.toml").write_text('hub_token = "hf_file"\n')
    assert read_settings(environ=other, folder=tmp_path).hub_token == "hf_file"  # noqa: S105 - made up
    own = {**other, "LORRY_HUB_TOKEN": "hf_own", "LORRY_HUB_URL": "https://hub.example"}
    settings = read_settings(environ=own, folder=tmp_path)
    assert (settings.hub_token, settings.hub_url) == ("hf_own", "https://hub.example")
    assert read_settings(environ={}, folder=tmp_path / "none").hub_url == "https://huggingface.co"


def test_a_token_is_never_shown(tmp_path: Path) -> None:
    """A token appears neither in what settings print as nor in the error about it."""
    assert "hf_secret" not in repr(read_settings(environ={"HF_TOKEN": "hf_secret"}, folder=tmp_path))
    with pytest.raises(SettingInvalid) as caught:
        read_settings(environ={"HF_TOKEN": "hf_secret\x00x"}, folder=tmp_path)
    assert "HF_TOKEN" in caught.value.message
    assert "hf_secret" not in str(caught.value.as_dict())


@pytest.mark.parametrize(("said", "allowed"), [("true", True), ("1", True), ("No", False), ("false", False)])
def test_a_truth_is_said_in_words(tmp_path: Path, said: str, allowed: bool) -> None:
    """A truth value is read from the usual words; anything else is a problem."""
    environ = {"LORRY_ALLOW_PRIVATE_ADDRESSES": said}
    assert read_settings(environ=environ, folder=tmp_path).allow_private_addresses is allowed
    (tmp_path / "lorry.toml").write_text(f"allow_private_addresses = {str(allowed).lower()}\n")
    assert read_settings(environ={}, folder=tmp_path).allow_private_addresses is allowed
    with pytest.raises(SettingInvalid, match="true or false"):
        read_settings(environ={"LORRY_ALLOW_PRIVATE_ADDRESSES": "maybe"}, folder=tmp_path)
