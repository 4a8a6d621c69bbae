"""Manifests: what is common to all models, what is each one's own, and everything that is wrong at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorry.cli.manifest import read_manifest
from lorry.errors import LorryError, OptionInvalid, SourceNotFound
from lorry.model.batch import Order
from lorry.model.options import ShipOptions

ROUTES = ("local", "together-merged")


def read(folder: Path, text: str) -> tuple[Order, ...]:
    """Read a manifest of this text."""
    file = folder / "ship.toml"
    file.write_text(text, encoding="utf-8")
    return read_manifest(file, ROUTES)


def problems(folder: Path, text: str) -> list[str]:
    """Give what is wrong with a manifest of this text."""
    with pytest.raises(OptionInvalid) as caught:
        read(folder, text)
    found: list[str] = caught.value.evidence["problems"]
    return found


def test_a_model_takes_the_defaults_and_overrides_them(tmp_path: Path) -> None:
    """Options are written with hyphens or underscores; sources begin at the manifest's folder."""
    (tmp_path / "lora.safetensors").write_text("x")
    orders = read(
        tmp_path,
        '[defaults]\nroute = "together-merged"\nmax-replicas = 3\ndeadline = 90\n'
        '[[model]]\nsource = "lora.safetensors"\n'
        '[[model]]\nsource = "owner/some_LoRA"\nname = "other"\nroute = "local"\nrehearse = true\n'
        "max_replicas = 1\n",
    )
    assert orders[1] == Order(
        "owner/some_LoRA", "other", "local", True, ShipOptions(max_replicas=1, deadline=90)
    )
    assert (orders[0].name, orders[0].route) == ("lora", "together-merged")
    assert orders[0].options == ShipOptions(max_replicas=3, deadline=90)
    assert orders[0].source == str(tmp_path / "lora.safetensors")


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Unknown words with the similar one, types, values, routes, missing sources and names that clash."""
    found = problems(
        tmp_path,
        'speed = 1\n[defaults]\nrout = "local"\n'
        '[[model]]\nname = "x1"\n'
        '[[model]]\nsource = "a"\nname = "twice"\nmin-replicas = "two"\n'
        '[[model]]\nsource = "b"\nname = "twice"\nweight = -1\nroute = "together-merge"\n'
        '[[model]]\nsource = "c"\nname = "Not A Name"\n',
    )
    text = "\n".join(found)
    for said in (
        "no setting 'speed'",
        "defaults: there is no setting 'rout' (there is 'route')",
        "model 1 has no source",
        "model 2: min-replicas is 'two'",
        "model 3: weight is -1",
        "model 3: there is no route 'together-merge' (there is 'together-merged')",
        "model 4: 'Not A Name' can't be a model's name",
        "2 models would be called twice: a, b",
    ):
        assert said in text


@pytest.mark.parametrize("text", ["", "[defaults]\n", "model = 3\n", "[[model]\n", "model = [1]\n"])
def test_a_manifest_without_models_is_none(tmp_path: Path, text: str) -> None:
    """Empty, of another shape, or no TOML at all."""
    with pytest.raises(OptionInvalid):
        read(tmp_path, text)


def test_a_manifest_that_is_not_there_is_told(tmp_path: Path) -> None:
    """By its path."""
    with pytest.raises(SourceNotFound, match=r"none\.toml"):
        read_manifest(tmp_path / "none.toml", ROUTES)


_VALUES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=8)
_FIELDS = st.sampled_from(
    ["source", "name", "route", "rehearse", "min-replicas", "weight", "endpoint", "odd"]
)


@given(models=st.lists(st.dictionaries(_FIELDS, _VALUES, max_size=5), max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_any_table_is_read_or_refused(tmp_path: Path, models: list[dict[str, object]]) -> None:
    """Whatever values stand there: orders with names that differ, or one of our errors."""
    lines = []
    for model in models:
        given = {name: value for name, value in model.items() if value is not None}
        lines += ["[[model]]", *(f"{name} = {_toml(value)}" for name, value in given.items())]
    try:
        orders = read(tmp_path, "\n".join(lines))
    except LorryError:
        return
    assert len({order.name for order in orders}) == len(orders) == len(models)


def _toml(value: object) -> str:
    return json.dumps(value) if not isinstance(value, float) else repr(value)
