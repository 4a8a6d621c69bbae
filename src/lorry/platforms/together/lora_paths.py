"""The form in which the platform wants to be told of a LoRA that it fetches (Together API dossier 3.3).

It takes the address of a Hub repository, of a file in one, of a download at Civitai, of a model at Replicate,
and any address that ends in `.safetensors`. What people copy from their browser is often a page beside it;
where the right address follows from the page's, it is put right, and where it does not, the sentence says
what to copy.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from lorry.errors import OptionInvalid

#: The most adapters of one picture (dossier 3.3).
MOST_LORAS = 2

_HUBS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_CIVITAI = frozenset({"civitai.com", "www.civitai.com", "civitai.red"})
_REPLICATE = frozenset({"replicate.com", "www.replicate.com"})
_SUFFIX = ".safetensors"
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILE = re.compile(rf"({_REPO.pattern})/([\w./-]+\{_SUFFIX})")
#: Weights in other forms, which are not taken; an address without any suffix may lead to the right one.
_OTHER_FORMS = (".pt", ".pth", ".ckpt", ".bin", ".gguf", ".zip", ".tar", ".gz", ".html")
_TAKES = (
    "It takes a Hub repository, a .safetensors file in one, a download at Civitai "
    "(civitai.com/api/download/…), a model at Replicate, or any address of a .safetensors file."
)


def lora_path(given: str) -> str:
    """Put a LoRA's address into the form that the platform takes.

    Args:
        given: An address, a Hub repository as `owner/name`, or a file in one as `owner/name/FILE`.

    Returns:
        The address to send.

    Raises:
        OptionInvalid: It is a page from which the file's address does not follow, or another kind of file.
    """
    address = given.strip()
    if _REPO.fullmatch(address):
        return f"https://huggingface.co/{address}"
    if file := _FILE.fullmatch(address):
        return f"https://huggingface.co/{file[1]}/resolve/main/{file[2]}"
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _wrong(given, "is no http address and no repository")
    host = parts.hostname.lower()
    if host in _HUBS:
        return _hub(given, parts)
    if host in _CIVITAI:
        return _civitai(given, parts)
    if host in _REPLICATE:
        return _replicate(given, parts)
    if parts.path.lower().endswith(_OTHER_FORMS):
        raise _wrong(given, f"is no {_SUFFIX} file")
    return address


def _hub(given: str, parts: SplitResult) -> str:
    """Take a repository or a file; the page of a file (`blob`) becomes the file (`resolve`)."""
    steps = _steps(parts)
    if len(steps) < 2 or steps[0] in {"datasets", "spaces"}:
        raise _wrong(given, "names no model repository")
    if len(steps) == 2:
        return urlunsplit(("https", "huggingface.co", f"/{steps[0]}/{steps[1]}", "", ""))
    if steps[2] == "tree":
        # A revision can only be told together with a file; the main one is what the repository means.
        if steps[3:] in ([], ["main"]):
            return urlunsplit(("https", "huggingface.co", f"/{steps[0]}/{steps[1]}", "", ""))
        raise _wrong(given, "names a folder, not a file")
    if steps[2] in {"blob", "resolve"} and len(steps) > 4 and steps[-1].endswith(_SUFFIX):
        path = "/".join([*steps[:2], "resolve", *steps[3:]])
        return urlunsplit(("https", "huggingface.co", f"/{path}", "", ""))
    raise _wrong(given, f"names no {_SUFFIX} file")


def _civitai(given: str, parts: SplitResult) -> str:
    """Take a download; a model's page with its version tells the download, one without does not."""
    steps = _steps(parts)
    if steps[:3] == ["api", "download", "models"] and len(steps) == 4:
        return urlunsplit(parts)
    version = re.search(r"(?:^|&)modelVersionId=(\d+)", parts.query)
    if steps[:1] == ["models"] and version:
        return f"https://civitai.com/api/download/models/{version[1]}"
    raise _wrong(given, "is a page, and not the download of one version")


def _replicate(given: str, parts: SplitResult) -> str:
    """Take a model; what stands behind its name, such as `/versions`, are pages about it."""
    steps = _steps(parts)
    if len(steps) < 2:
        raise _wrong(given, "names no model")
    return f"https://replicate.com/{steps[0]}/{steps[1]}"


def _steps(parts: SplitResult) -> list[str]:
    return [step for step in parts.path.split("/") if step]


def _wrong(given: str, why: str) -> OptionInvalid:
    shown = given.partition("?")[0]
    return OptionInvalid(
        f"{shown} {why}, so the platform can't fetch a LoRA from it.", fix=_TAKES, evidence={"path": shown}
    )
