"""The sample pictures that a trainer left: those of the file's own step, in order, with their prompts.

Source of the names: LoRA formats dossier, section 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lorry.weights.trainers.concepts import said
from lorry.weights.trainers.documents import Documents, dig
from lorry.weights.trainers.progress import Progress

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".mp4")
_PLACES = ("samples/", "sample/", "assets/", "images/")
_AT_MOST = 64
_AI_TOOLKIT = re.compile(r"^samples/(\d{1,20})__(?P<step>\d{9})_(?P<place>\d{1,6})$")
_KOHYA = re.compile(
    r"^sample/.*_(?:e(?P<epoch>\d{6})|(?P<step>\d{6}))_(?P<place>\d{2,4})_\d{14}(?:_\d{1,20})?$"
)
_ONETRAINER = re.compile(
    r"^samples/(?P<place>\d{1,6}) - (?P<prompt>[^/]*)/.*-training-sample-(?P<step>\d{1,9})-\d{1,9}-\d{1,9}$"
)
_LIGHTRICKS = re.compile(r"^samples/step_(?P<step>\d{1,9})_(?P<place>\d{1,6})$")
_SIMPLETUNER = re.compile(r"^assets/image_(?P<place>\d{1,6})_\d{1,6}$")
_DIFFUSERS = re.compile(r"^image_(?P<place>\d{1,6})$")
_PATTERNS = (_AI_TOOLKIT, _KOHYA, _ONETRAINER, _LIGHTRICKS, _SIMPLETUNER, _DIFFUSERS)
_DIGITS = re.compile(r"(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture or a short film that the trainer drew, and the prompt where it is stated."""

    path: str
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    step: int | None
    epoch: int | None
    place: int
    prompt: str | None


def samples_of(documents: Documents, progress: Progress, trigger: str | None) -> tuple[Sample, ...]:
    """List the sample pictures of the file's step, at most 64, in the order of their prompts.

    Args:
        documents: The files around the weights.
        progress: The step and the epoch that the file is of.
        trigger: The trigger word, which ai-toolkit's prompts write as `[trigger]`.
    """
    prompts = _prompts(documents, trigger)
    cards = _cards(documents)
    found = list(_pictures(documents))
    chosen = [
        *(each for each in found if each.step is None and each.epoch is None),
        *_of_moment([each for each in found if each.step is not None], progress.step, steps=True),
        *_of_moment([each for each in found if each.epoch is not None], progress.epoch, steps=False),
    ]
    chosen.sort(key=lambda each: (each.place, _natural(each.path)))
    return tuple(
        Sample(each.path, each.prompt or cards.get(each.path) or _at(prompts, each))
        for each in chosen[:_AT_MOST]
    )


def _pictures(documents: Documents) -> Iterable[_Found]:
    start = f"{documents.home}/" if documents.home else ""
    stem = documents.inside.rpartition("/")[2].rpartition(".")[0]
    for path in documents.paths:
        if not path.lower().endswith(_ENDINGS) or not path.startswith(start):
            continue
        inner = path[len(start) :].rpartition(".")[0]
        if "/" in inner and not inner.startswith(_PLACES):
            continue
        match = next((found for pattern in _PATTERNS if (found := pattern.match(inner))), None)
        fields = match.groupdict() if match else {}
        preview = inner in (stem, f"{stem}.preview")
        step, epoch, place = (fields.get(name) for name in ("step", "epoch", "place"))
        yield _Found(
            path,
            int(step) if step else None,
            int(epoch) if epoch else None,
            -1 if preview else int(place) if place else len(documents.paths),
            said(fields.get("prompt")),
        )


def _of_moment(found: list[_Found], now: int | None, *, steps: bool) -> list[_Found]:
    """Keep the pictures of the last moment that is not after the file's own; later ones are not its own."""
    moments = {(each.step if steps else each.epoch) or 0 for each in found}
    before = [moment for moment in moments if now is None or moment <= now]
    if not before:
        return []
    last = max(before)
    return [each for each in found if ((each.step if steps else each.epoch) or 0) == last]


def _prompts(documents: Documents, trigger: str | None) -> list[str | None]:
    """Read the prompts of the configuration; their places are the places of the pictures."""
    sample = documents.process.get("sample")
    choices = (
        dig(sample, "prompts") or dig(sample, "samples") or dig(documents.config, "validation", "prompts")
    )
    if not isinstance(choices, list):
        return []
    texts = [said(dig(each, "prompt") if isinstance(each, dict) else each) for each in choices[:1000]]
    return [text.replace("[trigger]", trigger) if text and trigger else text for text in texts]


def _at(prompts: list[str | None], each: _Found) -> str | None:
    first = 1 if _LIGHTRICKS.search(_inner(each.path)) else 0  # Lightricks counts from one
    place = each.place - first
    return prompts[place] if each.step is not None and 0 <= place < len(prompts) else None


def _inner(path: str) -> str:
    return "/".join(path.rpartition(".")[0].split("/")[-2:])


def _cards(documents: Documents) -> dict[str, str]:
    """Read the card's widget: a prompt, and the picture that it made."""
    widget = documents.readme.get("widget")
    cards: dict[str, str] = {}
    for row in widget if isinstance(widget, list) else []:
        url, text = dig(row, "output", "url"), said(dig(row, "text"))
        if isinstance(url, str) and text is not None:
            for folder in documents.folders:
                cards.setdefault(f"{folder}/{url.removeprefix('./')}".removeprefix("/"), text)
    return cards


def _natural(path: str) -> list[tuple[bool, int, str]]:
    """Sort numbers as numbers."""
    parts = _DIGITS.split(path)
    return [(part.isdigit(), int(part) if part.isdigit() and part.isascii() else 0, part) for part in parts]
