"""The small text files around a weights file: cards, settings, states, read within bounds.

YAML is read without types (every scalar is a text) and only when it is neither deep nor built of aliases, so
no document grows when it is read; of what is refused or broken, the plain `name: value` lines are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lorry.weights.files.listing import Listing
from lorry.weights.trainers.concepts import read_object
from lorry.weights.trainers.names import home_of

_DEEPEST = 64  # levels of brackets in a YAML document; a training configuration has 6
_SCALAR = re.compile(r"^[ \t]*(?:-[ \t]+)?([A-Za-z_][\w-]{0,80})[ \t]*:[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_FIRST_OF_LIST = re.compile(
    r"^[ \t]*([A-Za-z_][\w-]{0,80})[ \t]*:[ \t]*\r?\n[ \t]*-[ \t]+(.*?)[ \t\r]*$", re.MULTILINE
)
_JSON_SCALAR = re.compile(r'"([A-Za-z_]\w{0,80})"\s{0,9}:\s{0,9}(-?\d{1,18}(?:\.\d{1,18})?)(?=[\s,}])')
_ANCHOR = re.compile(r"(?:^|[\s\[,{])&[\w-]+(?=\s|$)", re.MULTILINE)
_ALIAS = re.compile(r"(?:^|[\s\[,{])\*[\w-]+(?=[\s,\]}:]|$)", re.MULTILINE)
_STAIRS = re.compile(r"^\s*(?:[-?:][ \t]+){32}", re.MULTILINE)
_BRACKET = re.compile(r"[\[\]{}]")
_CAPTIONS = 50  # captions that are read; more say nothing new


@dataclass(frozen=True, slots=True)
class Documents:
    """What the text files around a weights file say; what is missing or broken is empty.

    Attributes:
        metadata: The header's metadata.
        listing: Where the files lie.
        inside: The weights file in the listing.
        home: The training's folder, above its steps and saves.
        folders: The folders that count: its own, the training's, the root.
        paths: Every path of the listing.
        readme: The front matter of README.md.
        card: The text of README.md.
        config: config.yaml (ai-toolkit) or training_config.yaml (Lightricks).
        settings: config.json beside the weights, or OneTrainer's in the header or in config/.
        adapter: adapter_config.json, or diffusers' copy of it in the header.
        lycoris: lycoris_config.json.
        state: training_state.json (SimpleTuner) or trainer_state.json (transformers).
        sidecar: NAME.json of the A1111 interface.
        civitai: NAME.civitai.info.
    """

    metadata: Mapping[str, str]
    listing: Listing
    inside: str
    home: str = ""
    folders: tuple[str, ...] = ()
    paths: Mapping[str, int] = field(default_factory=dict)
    readme: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    adapter: Mapping[str, Any] = field(default_factory=dict)
    lycoris: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    sidecar: Mapping[str, Any] = field(default_factory=dict)
    civitai: Mapping[str, Any] = field(default_factory=dict)

    @property
    def process(self) -> Mapping[str, Any]:
        """The process of ai-toolkit's configuration, where everything is."""
        found = dig(self.config, "config", "process", 0)
        return found if isinstance(found, dict) else {}

    @property
    def tags(self) -> frozenset[str]:
        """The tags of the card, in small letters."""
        tags = self.readme.get("tags")
        return (
            frozenset(tag.lower() for tag in tags if isinstance(tag, str))
            if isinstance(tags, list)
            else frozenset()
        )


def read_documents(metadata: Mapping[str, str], inside: str, listing: Listing) -> Documents:
    """Read the text files that belong to a weights file.

    Args:
        metadata: The header's metadata.
        inside: The weights file in the listing.
        listing: What lies around it.
    """
    paths = {entry.path: entry.size for entry in listing.entries}
    own = inside.rpartition("/")[0]
    home = home_of(inside)
    folders = tuple(dict.fromkeys([own, home, ""]))

    def first(*names: str) -> str:
        """Give the first file of these names, the nearest folder first."""
        for folder in folders:
            for name in names:
                path = f"{folder}/{name}" if folder else name
                if path in paths:
                    return listing.text(path).removeprefix("\ufeff")
        return ""

    matter, card = _parted(first("README.md"))
    stem = inside[: -len(".safetensors")] if inside.lower().endswith(".safetensors") else inside
    return Documents(
        metadata,
        listing,
        inside,
        home,
        folders,
        paths,
        readme=read_yaml(matter),
        card=card,
        config=read_yaml(first("config.yaml", "training_config.yaml")),
        settings=_settings(metadata, first("config.json"), paths, home, listing),
        adapter=_adapter(metadata) or read_object(first("adapter_config.json")),
        lycoris=read_object(first("lycoris_config.json")),
        state=_state(first("training_state.json", "trainer_state.json")),
        sidecar=read_object(listing.text(f"{stem}.json")) if f"{stem}.json" in paths else {},
        civitai=read_object(listing.text(f"{stem}.civitai.info")) if f"{stem}.civitai.info" in paths else {},
    )


def captions_of(documents: Documents) -> list[str]:
    """Read the captions that a trainer packed beside the weights (Replicate's `captions/`).

    Args:
        documents: The files around the weights.
    """
    places = tuple(f"{folder}/captions/" if folder else "captions/" for folder in documents.folders)
    names = [path for path in documents.paths if path.endswith(".txt") and path.startswith(places)]
    return [documents.listing.text(path) for path in names[:_CAPTIONS]]


def dig(document: Any, *keys: str | int) -> Any:
    """Go down into a document; None where there is no such place.

    Args:
        document: Any value.
        *keys: Names of fields and places in lists.
    """
    for key in keys:
        if isinstance(document, Mapping) and isinstance(key, str):
            document = document.get(key)
        elif isinstance(document, list) and isinstance(key, int) and -len(document) <= key < len(document):
            document = document[key]
        else:
            return None
    return document


def read_yaml(text: str) -> dict[str, Any]:
    """Read a YAML mapping, all scalars as text; of what is refused or broken, its plain lines.

    Args:
        text: The document.
    """
    if not text.strip():
        return {}
    if not _safe(text):
        return read_scalars(text)
    import yaml  # here, because most checks meet no YAML

    try:
        # BaseLoader makes texts, lists and mappings and nothing else, whatever the tags say
        document = yaml.load(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506
        if "OrderedDict" in text:
            document = _ordered(document)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return read_scalars(text)
    return document if isinstance(document, dict) else read_scalars(text)


def read_scalars(text: str) -> dict[str, Any]:
    """Read the `name: value` lines of YAML, the first of each name; of a list, its first item.

    Args:
        text: The document, or its beginning.
    """
    found: dict[str, Any] = {}
    for name, raw in (*_SCALAR.findall(text), *_FIRST_OF_LIST.findall(text)):
        quoted = re.match(r"""(["'])(.*?)\1""", raw)
        value = quoted[2] if quoted else raw.partition(" #")[0].strip()
        if quoted or value not in ("", "null", "~", "|", ">"):
            found.setdefault(name, value)
    return found


def _safe(text: str) -> bool:
    """Refuse what grows or nests when it is read: aliases of anchors, deep brackets, stairs of dashes."""
    if _STAIRS.search(text) or (_ANCHOR.search(text) and _ALIAS.search(text)):
        return False
    depth = 0
    for found in _BRACKET.finditer(text):
        depth += 1 if found[0] in "[{" else -1
        if depth > _DEEPEST:
            return False
    return True


def _ordered(value: Any) -> Any:
    """Undo how Python writes an OrderedDict in YAML: a list with one list of pairs (ai-toolkit may)."""
    if isinstance(value, dict):
        return {key: _ordered(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    pairs = value[0] if len(value) == 1 and isinstance(value[0], list) else []
    if pairs and all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs
    ):
        return {pair[0]: _ordered(pair[1]) for pair in pairs}
    return [_ordered(item) for item in value]


def _parted(text: str) -> tuple[str, str]:
    """Part a card into its front matter and its text."""
    if not text.startswith("---") or "\n---" not in text:
        return "", text
    matter, _, card = text.partition("\n---")
    return matter.removeprefix("---"), card


def _settings(
    metadata: Mapping[str, str],
    beside: str,
    paths: Mapping[str, int],
    home: str,
    listing: Listing,
) -> dict[str, Any]:
    """OneTrainer's settings from the header; config.json beside; the last of OneTrainer's config/ folder."""
    found = read_object(metadata.get("ot_config", "")) or read_object(beside)
    if found:
        return found
    place = f"{home}/config/".removeprefix("/")
    names = [path for path in paths if path.startswith(place) and path.lower().endswith(".json")]
    return read_object(listing.text(max(names))) if names else {}


def _adapter(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Diffusers keeps the configuration in the header, a set of fields for each part (`transformer.r`)."""
    fields = read_object(metadata.get("lora_adapter_metadata", ""))
    first: dict[str, Any] = {}
    for name, value in sorted(fields.items(), key=lambda item: item[0].startswith("text_encoder")):
        first.setdefault(name.rpartition(".")[2], value)
    return first


def _state(text: str) -> dict[str, Any]:
    """Read a state; a long log makes it longer than what is read, and the numbers before the log count."""
    return read_object(text) or dict(reversed(_JSON_SCALAR.findall(text)))
