"""What a training was: the trainer, the trigger word, the base model, the rank, the steps, the samples.

How it works: the small text files around the weights are read once (documents.py); then each question has a
list of places in the order of trust, and the first that answers counts. What is missing, broken or strange
answers nothing; nothing here raises. Source of the orders: LoRA formats dossier, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lorry.weights.catalogue import printable
from lorry.weights.files.listing import Listing
from lorry.weights.trainers.concepts import common_tag, concept_folder, said
from lorry.weights.trainers.documents import Documents, captions_of, dig, read_documents
from lorry.weights.trainers.progress import progress_of, stated_rank, stated_resolution
from lorry.weights.trainers.samples import Sample, samples_of
from lorry.weights.trainers.signs import UNKNOWN, trainer_of

_LONGEST = 500  # characters of a trigger or a label; more is no name


@dataclass(frozen=True, slots=True)
class Training:
    """What is known about how a file was trained; `None` where nothing says it.

    Attributes:
        trainer: One of `signs.TRAINERS`, or `unknown`.
        reason: By what the trainer was recognised, one sentence.
        trigger: The trigger word.
        trigger_source: Where it was found.
        bases: What the base model is called, most trusted first.
        rank: The rank that the trainer states.
        alpha: The alpha that the trainer states with it.
        resolution: Edge of the training pictures in pixels, `WxH`, or several edges.
        step: Training steps behind the file.
        epoch: Epochs behind the file.
        total_steps: Steps that were planned.
        total_epochs: Epochs that were planned.
        finished: Whether the file is the end of the training.
        samples: Sample pictures of this step, in order.
    """

    trainer: str = UNKNOWN
    reason: str = ""
    trigger: str | None = None
    trigger_source: str | None = None
    bases: tuple[str, ...] = ()
    rank: float | None = None
    alpha: float | None = None
    resolution: str | None = None
    step: int | None = None
    epoch: int | None = None
    total_steps: int | None = None
    total_epochs: int | None = None
    finished: bool | None = None
    samples: tuple[Sample, ...] = ()


def recognise(metadata: Mapping[str, str], inside: str, listing: Listing) -> Training:
    """Say what the header and the files around the weights tell about the training.

    Args:
        metadata: The header's metadata.
        inside: The weights file, by its path in the listing.
        listing: What lies around it.
    """
    documents = read_documents(metadata, inside, listing)
    trainer, reason = trainer_of(documents)
    trigger, source = find_trigger(documents)
    rank, alpha = stated_rank(documents)
    progress = progress_of(documents)
    return Training(
        trainer,
        printable(reason),
        trigger,
        source,
        base_names(documents),
        rank,
        alpha,
        stated_resolution(documents),
        progress.step,
        progress.epoch,
        progress.total_steps,
        progress.total_epochs,
        progress.finished,
        samples_of(documents, progress, trigger),
    )


def find_trigger(documents: Documents) -> tuple[str | None, str | None]:
    """Find the trigger word, and say where it was.

    Args:
        documents: The header's metadata and the files around the weights.
    """
    metadata, settings = documents.metadata, documents.settings
    choices = (
        (documents.process.get("trigger_word"), "trigger_word in config.yaml"),
        (documents.config.get("trigger_word"), "trigger_word in config.yaml"),
        (settings.get("trigger_word") or settings.get("trigger_phrase"), "the trigger in config.json"),
        (metadata.get("trained_words", "").split(",")[0], "the header's trained_words"),
        (metadata.get("modelspec.trigger_phrase"), "the header's modelspec.trigger_phrase"),
        (documents.readme.get("instance_prompt"), "instance_prompt in README.md"),
        (concept_folder(metadata), "the name of the training folder"),
        (documents.sidecar.get("activation text"), "the activation text beside the weights"),
        (dig(documents.civitai, "trainedWords", 0), "trainedWords in the .civitai.info file"),
    )
    for word, source in choices:
        found = _name(word)
        if found is not None:
            return found, source
    common = _name(common_tag(metadata, captions_of(documents)))
    return common, "nearly every caption" if common else None


def base_names(documents: Documents) -> tuple[str, ...]:
    """List what the base model is called, most trusted first, each name once.

    Args:
        documents: The header's metadata and the files around the weights.
    """
    metadata, config = documents.metadata, documents.config
    card = documents.readme.get("base_model")
    choices = (
        *(card if isinstance(card, list) else [card]),
        documents.adapter.get("base_model_name_or_path"),
        dig(documents.process, "model", "name_or_path"),
        config.get("name_or_path"),
        dig(config, "model", "model_path"),
        dig(config, "model", "model_source"),
        documents.settings.get("base_model_name"),
        documents.settings.get("pretrained_model_name_or_path"),
        metadata.get("modelspec.architecture", "").partition("/")[0],
        metadata.get("ss_base_model_version"),
        metadata.get("ss_sd_model_name"),
        documents.civitai.get("baseModel"),
        documents.sidecar.get("sd version"),
    )
    names = (_name(choice) for choice in choices)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _name(value: Any) -> str | None:
    text = said(value)
    return printable(text) if text is not None and len(text) <= _LONGEST else None
