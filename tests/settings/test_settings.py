"""Settings: one reader, a fixed precedence, all problems at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorry.errors import SettingInvalid
from lorry.settings import read_settings, secrets_around, tg_login


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


def test_the_limits_of_the_platform_are_numbers_above_zero(tmp_path: Path) -> None:
    """How much Together is asked can be set; nothing, everything and no number at all are refused."""
    settings = read_settings(environ={"LORRY_TOGETHER_PER_SECOND": "0.5"}, folder=tmp_path)
    assert (settings.together_at_once, settings.together_per_second) == (16, 0.5)
    for wrong in ("0", "-1", "inf", "nan", "many"):
        environ = {"LORRY_TOGETHER_AT_ONCE": wrong, "LORRY_TOGETHER_PER_SECOND": wrong}
        with pytest.raises(SettingInvalid) as caught:
            read_settings(environ=environ, folder=tmp_path)
        assert len(caught.value.evidence["problems"]) == 2


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


def test_together_is_found_under_either_name(tmp_path: Path) -> None:
    """Lorry's own variables win over those of the official client, and those over the defaults alone."""
    other = {
        "TOGETHER_API_KEY": "tgp_other",
        "TOGETHER_BASE_URL": "https://other.example/",
        "TOGETHER_PROJECT_ID": "proj_o",
    }
    settings = read_settings(environ=other, folder=tmp_path)
    assert settings.together_key == "tgp_other"
    assert settings.together_url == "https://other.example"
    assert settings.together_project == "proj_o"
    own = {
        "LORRY_TOGETHER_KEY": "tgp_own",
        "LORRY_TOGETHER_URL": "http://127.0.0.1:9",
        "LORRY_TOGETHER_PROJECT": "proj_l",
    }
    settings = read_settings(environ={**other, **own}, folder=tmp_path)
    assert (settings.together_key, settings.together_url) == ("tgp_own", "http://127.0.0.1:9")
    assert settings.together_project == "proj_l"
    settings = read_settings(environ={}, folder=tmp_path)
    assert (settings.together_key, settings.together_project, settings.rehearse) == (None, None, False)
    assert settings.together_url == "https://api.together.ai"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://api.together.ai/v1", "leave /v1 out"),
        ("https://api.together.ai/v1/", "leave /v1 out"),
        ("https://api.together.ai/v2", "leave /v2 out"),
        ("https://api.together.ai/api", "without a path"),
        ("https://api.together.ai?key=x", "without a path"),
        ("https://ann:secret@api.together.ai", "a login does not belong"),
        ("api.together.ai", "no http address"),
        ("https://", "no http address"),
        ("https://[::1", "no http address"),
        ("https://h:99999", "no http address"),
    ],
)
@pytest.mark.parametrize("variable", ["LORRY_TOGETHER_URL", "TOGETHER_BASE_URL"])
def test_the_root_of_the_api_is_the_root(tmp_path: Path, variable: str, address: str, said: str) -> None:
    """The client of today adds `/v1` itself: an address with it would ask `/v1/v1/...`, so it is refused."""
    with pytest.raises(SettingInvalid) as caught:
        read_settings(environ={variable: address}, folder=tmp_path)
    assert variable in caught.value.message
    assert said in caught.value.message
    assert "secret" not in str(caught.value.as_dict())


@pytest.mark.parametrize("variable", ["LORRY_TOGETHER_KEY", "TOGETHER_API_KEY", "LORRY_ENGINE_KEY"])
@pytest.mark.parametrize("key", ["tgp secret", "tgp\nsecret", "tgp-sécret-clé"])
def test_a_key_that_can_stand_in_no_header_is_refused_unseen(tmp_path: Path, variable: str, key: str) -> None:
    """A key with a blank, a line end or an accent in it is told by its variable, not by its value."""
    with pytest.raises(SettingInvalid) as caught:
        read_settings(environ={variable: key}, folder=tmp_path)
    assert variable in caught.value.message
    assert key not in str(caught.value.as_dict())


def test_every_secret_around_is_known(tmp_path: Path) -> None:
    """All keys that are set are hidden, those that lose against another too, and in settings that fail."""
    (tmp_path / "lorry.toml").write_text('together_key = "from-the-file"\ncolour = "red"\n')
    environ = {
        "TOGETHER_API_KEY": "from-the-other",
        "LORRY_TOGETHER_KEY": "from-the-own",
        "HF_TOKEN": "hf_x ",
    }
    found = secrets_around(environ, tmp_path)
    assert set(found) == {"from-the-file", "from-the-other", "from-the-own", "hf_x"}
    assert secrets_around({}, tmp_path / "none") == ()


def test_the_place_of_a_stored_login_is_that_of_the_official_command_line(tmp_path: Path) -> None:
    """It is looked for where `tg login` writes it, and only to say that it is there."""
    from together.lib.cli.auth import credentials_path

    assert tg_login() == credentials_path()  # set by conftest
    assert tg_login({"XDG_CONFIG_HOME": "/c", "HOME": "/h"}) == Path("/c/together/credentials.json")
    assert tg_login({"HOME": "/h"}) == Path("/h/.config/together/credentials.json")
