"""The profiles are data that can be trusted: complete, dated, sourced, and told in the documentation."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from lorry.engine.renderers.adapter_file import LARGEST_RANK
from lorry.engine.together.bases import catalog
from lorry.errors import OptionInvalid
from lorry.platforms import profiles as room
from lorry.platforms.profiles import (
    LOADERS,
    ROUTES,
    BaseStatus,
    Profile,
    Ranks,
    Source,
    chosen,
    profile,
    profiles,
    read_profile,
)
from lorry.weights.bases.families import base_named, families
from lorry.weights.catalogue import entries
from lorry.weights.loaders.tables import table

EACH = pytest.mark.parametrize("known", profiles().values(), ids=lambda known: str(known.target))
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "routes.md"
#: What a profile's file may hold; a limit under any other name would be read by nobody.
WORDS = {
    *("target", "kind", "platform", "says", "checked", "loader", "text_loader", "to", "note"),
    *("kinds", "modalities", "upload", "by_url", "files", "dtypes", "max_rank", "ranks"),
    *("max_bytes", "adapters", "parts", "stumbles", "bases", "families", "licence", "closed", "unproved"),
}


def sources(value: object) -> Iterator[Source]:
    """Find every source in a value, however deep; those of the loader behind a route are its own affair."""
    if isinstance(value, Source):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from sources(item)
    elif is_dataclass(value):
        for field in fields(value):
            if field.name != "through":
                yield from sources(getattr(value, field.name))


def written(target: str) -> dict[str, Any]:
    """Read a profile's file as it is written."""
    return tomllib.loads(resources.files(room).joinpath(f"{target}.toml").read_text(encoding="utf-8"))


def test_every_route_of_the_design_and_every_loader_has_a_profile() -> None:
    """No more files than names, and each file says its own name and kind."""
    files = {file.name for file in resources.files(room).iterdir() if file.name.endswith(".toml")}
    assert files == {f"{target}.toml" for target in (*ROUTES, *LOADERS)}
    assert [(known.target, known.kind) for known in profiles().values()] == [
        *((route, "route") for route in ROUTES),
        *((loader, "loader") for loader in LOADERS),
    ]


@EACH
def test_every_fact_has_a_source_no_newer_than_the_check(known: Profile) -> None:
    """A fact without a source, or checked before it was known, is no fact."""
    found = list(sources(known))
    assert found
    assert all(source.origin and date(2025, 1, 1) < source.date <= known.checked for source in found)


@EACH
def test_a_file_holds_nothing_that_is_not_read(known: Profile) -> None:
    """A misspelt limit would silently be no limit."""
    assert set(written(known.target)) <= WORDS


@EACH
def test_a_fact_without_its_source_or_date_is_refused(known: Profile) -> None:
    """Whoever adds a number has to say where it comes from."""
    for word in ("from", "date"):
        torn = written(known.target)
        del torn["kinds"][word]
        with pytest.raises(KeyError):
            read_profile(torn)


@EACH
def test_a_profile_names_only_what_lorry_knows(known: Profile) -> None:
    """Families, bases, codes, layouts and loaders are those of the other rooms."""
    keys = {family.key for family in families()}
    assert {base.family for base in known.bases} <= keys
    assert all(base_named(base.model) for base in known.bases)
    assert {key for rule in known.parts for key in rule.families} <= keys
    assert {stumble.code for stumble in known.stumbles} <= set(entries())
    assert known.layout in {"diffusers", "comfyui", "peft"}
    assert set(known.kinds.value) <= {"image-lora", "text-lora", "checkpoint"}
    assert set(known.modalities.value) <= {"image", "video", "text"}


def test_comfyui_is_told_for_every_family_of_pictures() -> None:
    """Each family has rules, and rules name only layers that the family has."""
    rules = table("comfyui")
    assert rules is not None
    for family in families():
        if family.modality != "text":
            known = {*family.layers, *family.native}
            for entry in rules.families[family.key].layouts.values():
                assert set(entry.skips) <= known, family.key


def test_only_the_local_route_takes_pictures_as_files() -> None:
    """Together hosts no image weights: they come by an address, or in a worker of one's own."""
    takes = [
        known.target for known in profiles().values() if "image-lora" in known.kinds.value and known.upload
    ]
    assert [profile(target).upload.value for target in takes] == [True, False, False]  # type: ignore[union-attr]
    assert takes == ["local", "together-url", "together-container"]


def test_the_local_route_serves_the_bases_of_the_engine() -> None:
    """The two bases of the engine, up to the rank and in the data types that the renderer reads."""
    local = profile("local")
    assert [base.id for base in local.bases] == [base.name for base in catalog().bases]
    assert {base.status for base in local.bases} == {BaseStatus.SUPPORTED}
    assert local.dtypes is not None
    assert local.dtypes.value == ("bf16", "f16", "f32", "f64")
    assert local.max_rank is not None
    assert local.max_rank.value == LARGEST_RANK


def test_the_limits_that_others_documented() -> None:
    """Two adapters for a picture; 16 or 5 on a v1 endpoint; the ranks that vLLM can be started with."""
    assert [count.value for count in profile("together-url").adapters] == [2]
    assert [count.value for count in profile("together-v1").adapters] == [16, 5]
    ranks = profile("vllm").ranks
    assert ranks is not None
    assert ranks.values == (1, 8, 16, 32, 64, 128, 256, 320, 512)


@pytest.mark.parametrize(
    ("rank", "needed"), [(1, 1), (2, 8), (16, 16), (17, 32), (300, 320), (512, 512), (513, None)]
)
def test_the_smallest_setting_that_lets_a_rank_in(rank: int, needed: int | None) -> None:
    """A limit of rank is a setting: any rank up to it fits."""
    source = Source("a test", date(2026, 11, 25))
    ranks = Ranks((1, 8, 16, 32, 64, 128, 256, 320, 512), "--max-lora-rank", 16, source)
    assert ranks.needed(rank) == needed


def test_targets_are_chosen_by_name_in_our_order() -> None:
    """`all` means all; a name given twice counts once; order is ours, not the user's."""
    assert [known.target for known in chosen(["all"])] == [*ROUTES, *LOADERS]
    assert [known.target for known in chosen(["vllm", "local", "vllm"])] == ["local", "vllm"]


def test_every_wrong_name_is_told_at_once() -> None:
    """The error lists all strangers and all that can be named."""
    with pytest.raises(OptionInvalid) as caught:
        chosen(["local", "togther-url", "a1111"])
    assert caught.value.evidence["unknown"] == ["a1111", "togther-url"]
    assert set(caught.value.evidence["known"]) == {*ROUTES, *LOADERS}


@pytest.mark.parametrize("status", BaseStatus)
def test_every_status_has_a_sentence(status: BaseStatus) -> None:
    """A state of an enum is told in words too."""
    assert status.sentence.endswith(".")


@EACH
def test_the_page_tells_what_the_profile_says(known: Profile) -> None:
    """The reference page has every sentence, every source and every base, as the data has them."""
    page = PAGE.read_text(encoding="utf-8")
    assert f"### `{known.target}`" in page
    assert known.says in page
    assert all(f"| {source.origin} | {source.date} |" in page for source in sources(known))
    assert all(f"| `{base.id}` | {base.status} | {base.note} |" in page for base in known.bases)
