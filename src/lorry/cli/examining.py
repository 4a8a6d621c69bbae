"""What `lorry doctor` looks at on this machine: nothing is asked over a network, and nothing is changed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

from lorry.cli.printing import pairs
from lorry.redaction import shown
from lorry.settings import SECRETS, Settings, tg_login

#: Parts whose versions explain most faults.
_PARTS = ("together", "huggingface_hub", "dbos", "sqlalchemy", "httpx", "onnxruntime", "numpy", "safetensors")

#: Room that a delivery needs at least: a copy of a large LoRA, and the journal.
_SPACE = 1_000_000_000

_EXTRA = re.compile(r"^(?P<part>[A-Za-z0-9_.-]+).*;.*extra\s*==\s*['\"](?P<extra>[\w-]+)['\"]")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that will be in the way, and what to do about it."""

    sentence: str
    fix: str


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of one subject: label and value; of a secret only whether it is set."""

    title: str
    rows: tuple[tuple[str, str | bool], ...]


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found."""

    sections: tuple[Section, ...]
    problems: tuple[Problem, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            **{section.title: dict(section.rows) for section in self.sections},
            "problems": [{"message": each.sentence, "fix": each.fix} for each in self.problems],
        }

    def lines(self) -> list[str]:
        """Write it for people."""
        lines: list[str] = []
        for section in self.sections:
            lines += [section.title, *pairs((label, _said(value)) for label, value in section.rows), ""]
        for problem in self.problems:
            lines += [f"problem: {problem.sentence}", f"next: {problem.fix}"]
        return lines if self.problems else [*lines, "No problem found."]


def examine(settings: Settings) -> Examination:
    """Look at versions, home, settings, engine, extras and disk.

    Args:
        settings: The settings.
    """
    problems = [*_home_problems(settings.home)]
    sections = (
        Section("versions", tuple(_versions())),
        Section("home", tuple(_home(settings.home))),
        Section("settings", tuple(_settings(settings))),
        Section("platforms", tuple(_platforms(settings))),
        Section("extras", tuple(_extras())),
    )
    return Examination(sections, tuple(problems))


def _versions() -> Iterator[tuple[str, str]]:
    yield "lorry", _version("lorry")
    yield "python", f"{platform.python_version()} ({sys.executable})"
    yield "machine", f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores"
    for part in _PARTS:
        yield part, _version(part)


def _version(part: str) -> str:
    try:
        return metadata.version(part)
    except metadata.PackageNotFoundError:
        return "not installed"


def _home(home: Path) -> Iterator[tuple[str, str]]:
    there = _nearest(home)
    disk = shutil.disk_usage(there)
    yield "folder", str(home)
    yield "state", "in use" if home.is_dir() else "not made yet"
    yield "writable", "yes" if os.access(there, os.W_OK) else "no"
    yield "disk", f"{disk.free / 1e9:.1f} GB free of {disk.total / 1e9:.1f} GB"


def _home_problems(home: Path) -> Iterator[Problem]:
    there = _nearest(home)
    if not there.is_dir():
        yield Problem(
            f"{there} is a file, and the home has to be a folder.", "Choose another place with `--home`."
        )
    elif not os.access(there, os.W_OK):
        yield Problem(
            f"{there} can't be written.", "Correct the permissions, or choose another place with `--home`."
        )
    free = shutil.disk_usage(there).free
    if free < _SPACE:
        yield Problem(
            f"Only {free / 1e6:.0f} MB are free in {there}.", "Free some space, or use another `--home`."
        )


def _nearest(path: Path) -> Path:
    """Give the folder itself, or the nearest one above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())


def _said(value: str | bool) -> str:
    if isinstance(value, bool):
        return "set" if value else "not set"
    return value


def _settings(settings: Settings) -> Iterator[tuple[str, str | bool]]:
    for each in fields(settings):
        value = getattr(settings, each.name)
        if each.name in SECRETS:
            yield each.name, bool(value)
        elif each.name != "home":
            yield each.name, "not set" if value is None else shown(_written(value))


def _written(value: object) -> str:
    """Write a value as it stands in `lorry.toml`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _platforms(settings: Settings) -> Iterator[tuple[str, str]]:
    from lorry.engine.discovery import running

    engine = running(settings.home)
    yield (
        "engine",
        f"answers at {engine}" if engine else "does not run on this home (`lorry engine` starts it)",
    )
    key = "a key is set" if settings.together_key else "no key is set (TOGETHER_API_KEY)"
    yield "together", f"{shown(settings.together_url)}, {key}"
    login = tg_login()
    if login.exists():
        yield "tg login", f"{login} is there; Lorry does not use it"
    token = "a token is set" if settings.hub_token else "no token is set (HF_TOKEN)"
    yield "hub", f"{shown(settings.hub_url)}, {token}"


def _extras() -> Iterator[tuple[str, str]]:
    """Say which optional parts are installed, as the package's own metadata lists them."""
    parts: dict[str, list[str]] = {}
    for line in metadata.requires("lorry") or ():
        match = _EXTRA.match(line)
        if match and match["extra"] != "dev":
            parts.setdefault(match["extra"], []).append(match["part"])
    for extra, names in parts.items():
        missing = [name for name in names if _version(name) == "not installed"]
        yield extra, f"not installed ({', '.join(missing)})" if missing else "installed"
