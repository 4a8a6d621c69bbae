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
