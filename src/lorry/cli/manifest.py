"""A manifest: the models of a batch in one TOML file, with what is common to them under `[defaults]`."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from lorry.errors import NameInvalid, OptionInvalid, SourceNotFound
from lorry.model.batch import Order, name_from, same_names
from lorry.model.names import parse_name
from lorry.model.options import ShipOptions, problems_of

_TABLES = ("defaults", "model")

#: Fields of a model beside the options of `lorry ship`, and their types.
_OWN: dict[str, type | tuple[type, ...]] = {"source": str, "name": str, "route": str, "rehearse": bool}
_KINDS: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
}


def read_manifest(file: Path, routes: tuple[str, ...]) -> tuple[Order, ...]:
    """Read the models of a batch, or name everything that is wrong with them.

    Args:
        file: The manifest; relative sources begin at its folder.
        routes: Names of the routes that there are.

    Raises:
        SourceNotFound: It can't be read.
        OptionInvalid: With every problem at once; `evidence` has them as a list.
    """
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceNotFound(
            f"{file} can't be read: {error.strerror}.", evidence={"file": str(file)}
        ) from error
    except ValueError as error:
        raise OptionInvalid(f"{file} is no TOML: {error}.", evidence={"file": str(file)}) from error
    problems: list[str] = []
    orders = _orders(table, file.parent, routes, problems)
    problems += same_names(orders)
    if problems:
        raise OptionInvalid(
            f"{file} has {len(problems)} problem{'s' if len(problems) > 1 else ''}: {'; '.join(problems)}.",
            fix="Correct what is named; nothing was sent.",
            evidence={"file": str(file), "problems": problems},
        )
    return tuple(orders)


def _orders(
    table: Mapping[str, Any], folder: Path, routes: tuple[str, ...], problems: list[str]
) -> list[Order]:
    problems += [
        f"{_unknown(key, ('defaults', 'model'))}" for key in table if key not in ("defaults", "model")
    ]
    defaults = table.get("defaults", {})
    models = table.get("model", [])
    if not isinstance(defaults, dict):
        problems.append("defaults is no table")
        defaults = {}
    if not isinstance(models, list) or not models or not all(isinstance(each, dict) for each in models):
        problems.append("there is no model: begin each with [[model]]")
        return []
    common = _checked(defaults, "defaults", problems)
    orders = []
    for number, model in enumerate(models, start=1):
        where = f"model {number}"
        order = _order({**common, **_checked(model, where, problems)}, where, folder, routes, problems)
        if order is not None:
            orders.append(order)
    return orders


def _checked(given: Mapping[str, Any], where: str, problems: list[str]) -> dict[str, Any]:
    """Keep the fields that exist and have the right type, by the names of `ShipOptions`."""
    known = {**_OWN, **_options()}
    kept = {}
    for written, value in given.items():
        name = written.replace("-", "_")
        if name not in known:
            problems.append(f"{where}: {_unknown(written, known)}")
        elif not isinstance(value, known[name]) or (isinstance(value, bool) and known[name] is not bool):
            problems.append(f"{where}: {written} is {value!r}, which is of another type")
        else:
            kept[name] = value
    return kept


def _order(
    given: dict[str, Any], where: str, folder: Path, routes: tuple[str, ...], problems: list[str]
) -> Order | None:
    source, name, route = given.pop("source", None), given.pop("name", None), given.pop("route", "local")
    rehearse = given.pop("rehearse", None)
    if "max_replicas" not in given and "min_replicas" in given:
        given["max_replicas"] = max(1, given["min_replicas"])
    options = ShipOptions(**given)
    problems += [f"{where}: {problem}" for problem in problems_of(options)]
    if route not in routes:
        problems.append(f"{where}: {_unknown(route, routes, 'route')}")
    if not source:
        problems.append(f"{where} has no source")
        return None
    here = folder / source
    source = str(here) if "://" not in source and here.exists() else source
    try:
        return Order(source, parse_name(name) if name else name_from(source), route, rehearse, options)
    except NameInvalid as error:
        problems.append(f"{where}: {error.message.rstrip('.')}")
        return None


def _options() -> dict[str, type | tuple[type, ...]]:
    return {each.name: _KINDS[str(each.type).partition(" ")[0]] for each in fields(ShipOptions)}


def _unknown(name: str, known: Any, what: str = "setting") -> str:
    near = difflib.get_close_matches(name.replace("-", "_"), list(known), n=1)
    return f"there is no {what} {name!r}" + (f" (there is {near[0]!r})" if near else "")
