"""What a header says about its owner's machine and pictures, and a header without it.

How it works: some fields hold nothing but captions, folders and settings; they go as a whole. In every other
field a path is cut to the file's or the model's own name, and text around a path or an access token goes.
Sources: LoRA formats dossier, sections 4 and 6 (what trainers write; `PRIVACY_META`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from lorry.model.report import Finding
from lorry.weights.catalogue import counted, finding, some
from lorry.weights.trainers.concepts import captioned_concept, folders_of, said

#: Fields that are captions, folders or settings of the training machine, whatever their content.
PRIVATE_FIELDS = frozenset(
    {
        "ss_tag_frequency",
        "ss_dataset_dirs",
        "ss_reg_dataset_dirs",
        "ss_datasets",
        "ss_bucket_info",
        "ss_training_comment",
        "ss_sample_prompts",
        "ot_config",
        "captions",
        "hostname",
        "username",
    }
)
#: A folder that only a machine has: a drive, a share, a home, or a place where rented machines keep data.
PATH = re.compile(
    r"""(?<![A-Za-z0-9])[A-Za-z]:(?:\\+|/(?!/))[^\s"',;\\/]              # a drive, and no https://
      | (?<![\w\\])\\{2,4}[A-Za-z][\w.$-]*\\+[^\s"',;\\]                # a share
      | (?<![\w.:/-])/(?:home|Users|root|mnt|media|workspace|content|data|Volumes|kaggle|tmp|scratch)
        /[^\s"',;/]
      | (?<![\w.:/-])~/[^\s"',;/]
      | %(?:USERPROFILE|HOMEPATH|APPDATA)%
      | file:///[^\s"',;/]
    """,
    re.VERBOSE,
)
#: Access tokens of the Hub, of GitHub, of Replicate and of OpenAI, by their documented prefixes.
_TOKEN = re.compile(r"(?<![A-Za-z0-9_])(?:hf_|ghp_|github_pat_|r8_|sk-)[A-Za-z0-9]{20,200}")
_HOMES = frozenset({"home", "users", "documents and settings"})
_MODEL_FILES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".sft")
_MODEL_FIELD = re.compile(r"model|name_or_path|vae|dit|unet|checkpoint", re.IGNORECASE)
_SHOWN = re.compile(r"""[^\s"',;]{1,100}""")  # as much of a path as a sentence shows
_DEEP = 40  # levels of a JSON value that are looked at; deeper values go as a whole


def private_fields(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """List the fields that say something private: captions, folders, machine paths, user names, tokens.

    Args:
        metadata: The header's metadata.
    """
    return tuple(name for name, value in metadata.items() if _is_private(name, value, metadata))


def private_paths(metadata: Mapping[str, str], limit: int = 5) -> tuple[str, ...]:
    """List the first machine path of each field that has one, for a sentence.

    Args:
        metadata: The header's metadata.
        limit: How many to give at most.
    """
    found: list[str] = []
    for name in private_fields(metadata):
        start = PATH.search(metadata[name])
        if start is not None and len(found) < limit:
            shown = _SHOWN.match(metadata[name], start.start())
            found.append((shown or start)[0].replace("\\\\", "\\"))
    return tuple(found)


def privacy_finding(metadata: Mapping[str, str]) -> Finding | None:
    """Report what the header would show when it is published.

    Args:
        metadata: The header's metadata.
    """
    fields = list(private_fields(metadata))
    if not fields:
        return None
    paths = list(private_paths(metadata))
    tags = sum(len(tags) for tags in folders_of(metadata).values()) if "ss_tag_frequency" in fields else 0
    tokens = sum(_TOKEN.search(value) is not None for value in metadata.values())
    parts = [counted(tags, "caption tag")] if tags else []
    parts += [f"the path {paths[0]}"] if paths else []
    parts += [counted(tokens, "access token")] if tokens else []
    message = f"The header contains {' and '.join([*parts, f'the fields {some(fields)}'])}."
    return finding("PRIVACY_META", message, subject=fields[0], fields=fields, paths=paths)


def without_private(metadata: Mapping[str, str]) -> dict[str, str]:
    """Copy a header's metadata without what is private; base, rank, alpha, steps and trigger stay.

    Args:
        metadata: The header's metadata.

    Returns:
        The fields in their order. A path is cut to its last name where that is a model's, so that the base
        model is still known. The trigger word that only a private field held gets a field of its own.
    """
    kept: dict[str, str] = {}
    for name, value in metadata.items():
        if not _is_private(name, value, metadata):
            kept[name] = value
        elif name not in PRIVATE_FIELDS and not _speaks(name):
            clean = _clean_field(name, value)
            if clean is not None:
                kept[name] = clean
    trigger = captioned_concept(metadata)
    named = any(said(metadata.get(name)) for name in ("trained_words", "modelspec.trigger_phrase"))
    if trigger is not None and not named and "ss_tag_frequency" not in kept and not _speaks(trigger):
        kept["modelspec.trigger_phrase"] = trigger
    return kept


def _is_private(name: str, value: str, metadata: Mapping[str, str]) -> bool:
    if name in PRIVATE_FIELDS and not (name == "ss_tag_frequency" and _only_trigger(metadata)):
        return said(value) is not None
    return _speaks(name) or _field_speaks(value)


def _only_trigger(metadata: Mapping[str, str]) -> bool:
    """Tell ai-toolkit's `{"1_tok": {"tok": 1}}`, which names the trigger and no caption."""
    tags = {"ss_tag_frequency": metadata["ss_tag_frequency"]}
    trigger = captioned_concept(tags)
    return trigger is not None and [list(found) for found in folders_of(tags).values()] == [[trigger]]


def _speaks(text: str) -> bool:
    return PATH.search(text) is not None or _TOKEN.search(text) is not None


def _field_speaks(value: str) -> bool:
    r"""Look into JSON text by text: its escapes look like paths (`"Q:\nA"`) or hide one (`"\/home\/ann"`)."""
    if not _speaks(value) and "\\/" not in value and "\\u00" not in value:
        return False
    document = _document(value)
    return _speaks(value) if document is None else _document_speaks(document, _DEEP)


def _document(value: str) -> dict[str, Any] | list[Any] | None:
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict | list) else None


def _document_speaks(value: Any, levels: int) -> bool:
    if isinstance(value, str):
        return _speaks(value)
    if not isinstance(value, dict | list) or not value:
        return False
    if levels == 0:
        return True
    if isinstance(value, dict) and any(_speaks(key) for key in value):
        return True
    items = value.values() if isinstance(value, dict) else value
    return any(_document_speaks(item, levels - 1) for item in items)


def _clean_field(name: str, value: str) -> str | None:
    """Clean one field; inside JSON every text is cleaned alone, so that the document stays one."""
    document = _document(value)
    if document is None:
        return _clean_text(name, value)
    return json.dumps(_clean_document(name, document, _DEEP))


def _clean_document(name: str, value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return _clean_text(name, value) or ""
    if isinstance(value, dict | list) and levels == 0:
        return None
    if isinstance(value, dict):
        return {
            key: _clean_document(key, item, levels - 1) for key, item in value.items() if not _speaks(key)
        }
    if isinstance(value, list):
        return [_clean_document(name, item, levels - 1) for item in value]
    return value


def _clean_text(name: str, text: str) -> str | None:
    """Keep a text that says nothing private, and of a path the model's name; None when nothing is left."""
    if not _speaks(text):
        return text
    if PATH.match(text.strip()) is None or "\n" in text:
        return None
    parts = [part for part in re.split(r"[\\/]+", text.strip()) if part]
    home = max((place for place, part in enumerate(parts) if part.lower() in _HOMES), default=-1)
    least = home + 2 if home >= 0 else 2  # the home and whose it is; a drive or a mount and one folder
    last = parts[-1] if len(parts) > least else ""
    model = last.lower().endswith(_MODEL_FILES) or _MODEL_FIELD.search(name) is not None
    return last if last and model and not _speaks(last) else None
