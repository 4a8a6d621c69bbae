"""A model's files on a page: what they are, what is wrong, where they run, and what mends them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from lorry.errors import BodyInvalid
from lorry.server.rooms import Rooms

#: Seconds that a check, a look at all routes, and a conversion may take.
CHECK_SECONDS, ROUTES_SECONDS, CONVERT_SECONDS = 120.0, 120.0, 900.0

#: Options of `lorry convert` that a verdict names, and what each may be.
_OPTIONS = {
    "--to": re.compile(r"diffusers|comfyui|kohya|peft"),
    "--dtype": re.compile(r"bf16|f16|f32"),
    "--rank": re.compile(r"\d{1,5}"),
    "--alpha": re.compile(r"\d{1,6}(\.\d{1,6})?"),
    "--lossy": None,
    "--strip-private": None,
    "--drop-text-encoders": None,
}


async def examined(rooms: Rooms, source: str, shown: str, base: str | None = None) -> dict[str, Any]:
    """Check files, and say where they run.

    Args:
        rooms: What the server works with.
        source: As `lorry` takes it.
        shown: What the page calls it.
        base: The base model that they are meant for, as somebody says.

    Raises:
        LorryError: They can't be looked at.
    """
    told = await rooms.desk.errand(
        ["check", source, "--for", "all", *(["--base", base] if base else [])], CHECK_SECONDS
    )
    verdicts = told["verdicts"]
    findings = told["findings"]
    worst = [row for row in findings if row["severity"] == "error"]
    return {
        "source": shown,
        "base": base,
        "summary": {**told["summary"], "path": shown, "file": told["summary"]["file"].rpartition("/")[2]},
        "findings": [row for row in findings if row["code"] != "INFO_SUMMARY"],
        "ok": not worst,
        "routes": [row for row in verdicts if row["kind"] == "route"],
        "loaders": [row for row in verdicts if row["kind"] == "loader"],
        "fixes": fixes_of(verdicts, findings),
    }


def fixes_of(
    verdicts: Sequence[Mapping[str, Any]], findings: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """List the conversions that help: the options of each, and what runs after it.

    Args:
        verdicts: Of all routes and loaders, as `lorry check --for all --json` gives them.
        findings: Of the check.
    """
    found: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict["command"]:
            found.setdefault(_options_in(verdict["command"]), []).append(verdict["target"])
    mends = {row["mend"] for row in findings}
    if not found and mends & {"convert", "lossy"}:
        found["" if "convert" in mends else "--lossy"] = []
    return [
        {"options": options, "targets": targets, "lossy": "--lossy" in options}
        for options, targets in found.items()
    ]


def _options_in(command: str) -> str:
    words = shlex.split(command)
    return shlex.join(words[words.index("-o") + 2 :])


def options_from(text: str) -> list[str]:
    """Read options of `lorry convert` that a page sent back.

    Raises:
        BodyInvalid: There is something else among them.
    """
    try:
        words, left = [], shlex.split(text)
    except ValueError:
        raise BodyInvalid(f"{text[:80]!r} are no options of `lorry convert`.") from None
    while left:
        name = left.pop(0)
        pattern = _OPTIONS.get(name)
        value = left.pop(0) if pattern is not None and left else None
        if name not in _OPTIONS or (pattern is not None and not pattern.fullmatch(value or "")):
            raise BodyInvalid(f"{text[:80]!r} are no options of `lorry convert`.")
        words += [name] if value is None else [name, value]
    return words
