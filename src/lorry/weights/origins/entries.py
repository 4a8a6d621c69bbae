"""What an archive may hold: names that stay inside, plain files, and no more than weights ever are.

Every limit has its reason beside it; all entries that break one are reported together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lorry.model.report import Finding
from lorry.weights.catalogue import finding, some
from lorry.weights.files.listing import Entry

#: A training folder with all its samples and captions has some thousand files.
ENTRIES_AT_MOST = 10_000
#: Weights shrink by a tenth, a LoRA that is half zeros to a half, captions to a fifth. Twenty is beyond all.
RATIO_AT_MOST = 20
#: Bytes that may come out whatever their ratio: text files and small test adapters are no bombs.
ALWAYS_ALLOWED = 64 << 20
#: Bytes in all. Adapters end at some 2 GB; several steps of one training fit.
UNPACKED_AT_MOST = 20 << 30

_DRIVE = re.compile(r"[A-Za-z]:")
_LISTED = 50  # bad entries that a finding's evidence names


@dataclass(frozen=True, slots=True)
class Stated:
    """An entry as an archive states it: its name; `file`, `folder` or what else it is; its unpacked bytes.

    The name is a stranger's until `danger` has judged it.
    """

    name: str
    kind: str
    size: int


def inside(name: str) -> str:
    """Write an entry's name without `./` and doubled slashes.

    Args:
        name: The name in the archive.
    """
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def danger(stated: Stated) -> str | None:
    """Say why an entry must not be unpacked; `None` for a plain file or folder that stays inside.

    Args:
        stated: The entry.
    """
    name = stated.name
    if stated.kind not in ("file", "folder"):
        return f"is {stated.kind}"
    if ".." in name.split("/"):
        return "climbs out of its folder"
    if name.startswith("/") or _DRIVE.match(name):
        return "names a place on the machine"
    if "\\" in name or "\0" in name:
        return "has a backslash or a zero in its name"
    if stated.kind == "file" and not inside(name):
        return "has no name"
    return None


def judge(stated: Iterable[Stated], archive: str, packed: int) -> tuple[list[Stated], list[Finding]]:
    """Judge all entries of an archive.

    Args:
        stated: The entries; at most one more than is allowed is taken.
        archive: What the archive is called.
        packed: Bytes of the archive itself.

    Returns:
        The plain files, and what speaks against unpacking any of them.
    """
    files: list[Stated] = []
    bad: list[tuple[str, str]] = []
    total = number = 0
    for number, entry in enumerate(stated, 1):
        if number > ENTRIES_AT_MOST:
            message = f"{archive} has more than {ENTRIES_AT_MOST:,} entries."
            return [], [*_unsafe(archive, bad), finding("ARCHIVE_BOMB", message, subject=archive)]
        why = danger(entry)
        if why is not None:
            bad.append((entry.name, why))
        elif entry.kind == "file":
            files.append(entry)
        total += entry.size
    bomb = unpacked_finding(archive, packed, total)
    return files, [*_unsafe(archive, bad), *([bomb] if bomb else [])]


def unpacked_finding(archive: str, packed: int, unpacked: int) -> Finding | None:
    """Report an archive that unpacks to more than weights ever do.

    Args:
        archive: What it is called.
        packed: Its own bytes.
        unpacked: The bytes that come out.
    """
    limit = min(max(ALWAYS_ALLOWED, RATIO_AT_MOST * packed), UNPACKED_AT_MOST)
    if unpacked <= limit:
        return None
    message = f"{archive} has {packed:,} bytes and unpacks to {unpacked:,} or more; {limit:,} are allowed."
    return finding("ARCHIVE_BOMB", message, subject=archive, packed=packed, unpacked=unpacked, limit=limit)


def numbered(count: int) -> str:
    """Write how many entries.

    Args:
        count: The number.
    """
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def visible(files: Iterable[Entry]) -> Iterator[Entry]:
    """Leave out what packers add of their own: hidden files and `__MACOSX`.

    Args:
        files: The files, by path.
    """
    for entry in files:
        if not any(part.startswith(".") or part == "__MACOSX" for part in entry.path.split("/")):
            yield entry


def _unsafe(archive: str, bad: list[tuple[str, str]]) -> list[Finding]:
    if not bad:
        return []
    shown = some([f"{name or '(no name)'} {why}" for name, why in bad])
    message = f"{archive} has {numbered(len(bad))} that must not be unpacked: {shown}."
    listed = [{"entry": name, "why": why} for name, why in bad[:_LISTED]]
    return [finding("ARCHIVE_UNSAFE", message, subject=bad[0][0] or archive, entries=listed, count=len(bad))]
