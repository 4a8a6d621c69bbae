"""The profiles are data that can be trusted: complete, dated, sourced, and told in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorry.platforms.profiles import BaseStatus, RouteProfile, profiles

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "platforms.md"


def test_the_routes_of_this_version_are_there() -> None:
    """Two routes take image LoRAs; only the local one takes their files."""
    found = profiles()
    assert list(found) == ["local", "together-url"]
    assert [found[route].upload for route in found] == [True, False]
    assert all(profile.pictures for profile in found.values())


def test_the_local_route_serves_the_base_that_ships() -> None:
    """The one base of the engine, of every rank, in the three data types that the renderer reads."""
    local = profiles()["local"]
    assert [(base.id, base.status) for base in local.bases] == [("lorry/flux-icons-64", BaseStatus.SUPPORTED)]
    assert local.dtypes == ("bf16", "f16", "f32")
    assert local.max_rank is None


@pytest.mark.parametrize("profile", profiles().values(), ids=lambda profile: str(profile.route))
def test_every_profile_has_sources_no_newer_than_its_check(profile: RouteProfile) -> None:
    """A fact without a source, or checked before it was known, is no fact."""
    assert profile.sources
    assert all(source.origin and source.fact and source.date <= profile.checked for source in profile.sources)
    assert profile.bases
    assert profile.per_request == 2


@pytest.mark.parametrize("status", BaseStatus)
def test_every_status_has_a_sentence(status: BaseStatus) -> None:
    """A state of an enum is told in words too."""
    assert status.sentence.endswith(".")


@pytest.mark.parametrize("profile", profiles().values(), ids=lambda profile: str(profile.route))
def test_the_page_tells_what_the_profile_says(profile: RouteProfile) -> None:
    """The reference page names each route, its sentence and all its bases, as the data has them."""
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"`{profile.route}`" in page
    assert profile.says in page
    assert str(profile.checked) in page
    for base in profile.bases:
        assert f"| `{base.id}` | {base.status} | {base.note} |" in page
