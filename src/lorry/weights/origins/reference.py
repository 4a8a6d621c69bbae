"""Read what the user named, once: a path, a Hub repository, or an address."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lorry.errors import OptionInvalid, SourceNotFound
from lorry.weights.origins.access import Access, without_secrets

_FORMS = (
    "Name a file, a folder, an archive (.zip, .tar, .tar.gz), a Hub repository "
    "(`owner/name[@revision][:file]`) or an https address."
)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
#: What has one of these endings and two parts is a path with a mistake in it rather than a repository.
_FILES = (
    ".safetensors", ".zip", ".tar", ".tgz", ".gz", ".json", ".pt", ".pth", ".bin", ".ckpt", ".gguf",
)  # fmt: skip
_PLACES = ("resolve", "blob", "raw", "tree")


@dataclass(frozen=True, slots=True)
class LocalPath:
    """A path on this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class HubPlace:
    """A repository of the Hub, or a folder or file in it.

    Attributes:
        repo: `owner/name`.
        revision: Branch, tag or commit; the main branch when `None`.
        file: The weights' path; to be chosen when `None`.
        folder: Where to look for them; empty for the whole repository.
        short: Whether it was written as `owner/name`, which could have been meant as a path.
    """

    repo: str
    revision: str | None = None
    file: str | None = None
    folder: str = ""
    short: bool = False


@dataclass(frozen=True, slots=True)
class WebAddress:
    """An address of a file or an archive."""

    url: str


Reference = LocalPath | HubPlace | WebAddress


def parse(source: str, access: Access, *, exists: Callable[[str], bool] = os.path.lexists) -> Reference:
    """Read what the user named; a path that exists wins over a Hub repository of the same name.

    Args:
        source: As written on the command line.
        access: Which Hub is meant, and what may be asked.
        exists: Tells whether there is something at a path.

    Raises:
        OptionInvalid: It can't name anything, or an address of a kind that is not fetched.
        SourceNotFound: It is a path, and nothing is there.
    """
    if not source.strip() or "\0" in source:
        raise OptionInvalid("No source was named.", fix=_FORMS, evidence={"source": source})
    scheme = _SCHEME.match(source)
    if scheme:
        return _address(source, scheme[1].lower(), access)
    if exists(source):
        return LocalPath(Path(source))
    place = _place(source)
    if place is None:
        message = f"There is no file or folder {source}."
        raise SourceNotFound(message, fix=_FORMS, evidence={"path": source})
    return place


def _place(source: str) -> HubPlace | None:
    """Read `owner/name[@revision][:file]`; `None` when it is something else."""
    front, colon, file = source.partition(":")
    repo, at, revision = front.partition("@")
    if not is_repo(repo) or (repo.lower().endswith(_FILES) and not at and not colon):
        return None
    if (at and not _is_revision(revision)) or (colon and not _is_inside(file)):
        message = f"{source} looks like a Hub repository, but what follows {repo} names no revision or file."
        raise OptionInvalid(message, fix="Write `owner/name@revision:file`.", evidence={"source": source})
    return HubPlace(repo, revision or None, file or None, short=True)


def _address(source: str, scheme: str, access: Access) -> Reference:
    shown = without_secrets(source)
    evidence = {"source": shown}
    if scheme not in ("https", "http"):
        message = f"{shown} is an address of the kind {scheme}, which is not fetched."
        raise OptionInvalid(message, fix=_FORMS, evidence=evidence)
    try:
        parts = urlsplit(source)
        is_hub = access.is_hub(source)
    except ValueError as error:
        raise OptionInvalid(f"{shown} is no address.", fix=_FORMS, evidence=evidence) from error
    if "@" in parts.netloc:
        message = f"{shown} was given with a user name or password, which is not sent."
        raise OptionInvalid(message, fix="Leave out what stands before the @.", evidence=evidence)
    if is_hub:
        return _linked(parts.path.removeprefix(access.hub_path), shown)
    if scheme == "http" and not access.allow_private:
        message = f"{shown} is not encrypted: anybody on the way could exchange the file."
        fix = "Use https; http is for private networks, with the setting `allow_private_addresses`."
        raise OptionInvalid(message, fix=fix, evidence=evidence)
    return WebAddress(source.partition("#")[0])


def _linked(path: str, shown: str) -> HubPlace:
    """Read the path of a link to the Hub.

    It is `/owner/name`, alone or with `/tree/rev`, `/tree/rev/folder`, `/blob/rev/file`, `/resolve/rev/file`.
    """
    parts = [unquote(part) for part in path.strip("/").split("/")]
    repo, rest = "/".join(parts[:2]), parts[2:]
    if parts[0] in ("datasets", "spaces", "api") or not is_repo(repo):
        message = f"{shown} leads to no model repository of the Hub."
        fix = "Give the link of a model: https://huggingface.co/owner/name, or of a file in it."
        raise OptionInvalid(message, fix=fix, evidence={"source": shown})
    if not rest:
        return HubPlace(repo)
    kind, revision, inside = rest[0], rest[1] if len(rest) > 1 else "", "/".join(rest[2:])
    if (
        kind not in _PLACES
        or not _is_revision(revision)
        or (inside and not _is_inside(inside))
        or (kind != "tree" and not inside)
    ):
        message = f"{shown} leads to no folder or file of {repo}."
        fix = f"Give the link of a file, or write `{repo}@revision:file`."
        raise OptionInvalid(message, fix=fix, evidence={"source": shown})
    return HubPlace(repo, revision, None, inside) if kind == "tree" else HubPlace(repo, revision, inside)


def is_repo(text: str) -> bool:
    """Tell whether a text can be the id of a repository (the Hub's rules for names).

    Args:
        text: What may be `owner/name`.
    """
    owner, slash, name = text.partition("/")
    parts = (owner, name)
    return bool(slash) and all(_NAME.fullmatch(part) and not {"--", ".."} & _pairs(part) for part in parts)


def _pairs(text: str) -> set[str]:
    return {text[index : index + 2] for index in range(len(text) - 1)}


def _is_revision(text: str) -> bool:
    """Tell whether git would take a name: no spaces, controls or signs that mean something to it."""
    return (
        bool(text)
        and len(text) <= 255
        and ".." not in text
        and not re.search(r"[\s~^:?*\[\\\x00-\x1f]", text)
    )


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return len(path) <= 1024 and path.isprintable() and not {"", ".", ".."} & set(parts)
