"""Where a model is, and how we know that it acts there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from lorry.model.options import DEFAULT_OPTIONS, ShipOptions

#: Of the difference of two pictures: the mean over all pixels and channels, in 8-bit levels.
PICTURE_UNIT = "of 255 levels"
#: Of the difference of two texts: the share of words that one has and the other has not.
TEXT_UNIT = "% of the words"


class PlacementState(StrEnum):
    """The states of a placement; `sentence` says each in words."""

    DELIVERING = "delivering"
    READY = "ready"
    FAILED = "failed"
    RETIRING = "retiring"
    RETIRED = "retired"
    HELD = "held"

    @property
    def sentence(self) -> str:
        """Say the state in words a user understands."""
        return _SENTENCES[self]


_SENTENCES = {
    PlacementState.DELIVERING: "It is on its way; `lorry resume` goes on with it after an interruption.",
    PlacementState.READY: "It answers, and its effect was proved.",
    PlacementState.FAILED: "Its delivery ended with an error.",
    PlacementState.RETIRING: "It is being removed.",
    PlacementState.HELD: "It waits for a person: `lorry resume` goes on, `lorry cancel --undo` removes it.",
    PlacementState.RETIRED: "Everything of it was removed from the platform.",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """Evidence that the adapter acts: one prompt and seed, with it and without it.

    Attributes:
        prompt: The prompt of everything that was compared.
        seed: Its seed.
        scale: Strength of the adapter where it acts.
        difference: How much the answers with and without it differ, in `unit`.
        noise: The same measure between two answers without it.
        threshold: What the difference had to exceed.
        passed: Whether it did.
        file_without: Path of the answer without it, a picture or a text; `None` when there was nothing to
            compare with.
        file_with: Path of the answer with it.
        kind: `picture` or `text`.
        unit: What `difference`, `noise` and `threshold` count.
    """

    prompt: str
    seed: int
    scale: float
    difference: float
    noise: float
    threshold: float
    passed: bool
    file_without: str | None
    file_with: str
    kind: str = "picture"
    unit: str = PICTURE_UNIT

    @property
    def compared(self) -> bool:
        """Whether there was an answer without the adapter to compare with."""
        return self.file_without is not None

    def as_dict(self) -> dict[str, Any]:
        """Give the proof as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ProviderIds:
    """What a platform calls the things that belong to one placement; `None` until each exists.

    Attributes:
        model: The model record.
        revision: The uploaded files.
        endpoint: The address, by id.
        endpoint_name: The address, as requests name it.
        deployment: The replicas.
        adapter_name: The adapter, as requests name it.
        attachment: The adapter on a deployment that others share.
        base_name: What answers without the adapter.
        job: The import of the files, or the legacy upload job.
        container: The dedicated container.
        address: Where the platform fetches the adapter from with each request.
        hub_repo: The repository on the Hub.
        hub_commit: Its commit.
    """

    model: str | None = None
    revision: str | None = None
    endpoint: str | None = None
    endpoint_name: str | None = None
    deployment: str | None = None
    adapter_name: str | None = None
    attachment: str | None = None
    base_name: str | None = None
    job: str | None = None
    container: str | None = None
    address: str | None = None
    hub_repo: str | None = None
    hub_commit: str | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """The record that a model is on a route.

    Attributes:
        model: Lorry's name of the model.
        route: Which route.
        state: Where it stands.
        step: The step of the delivery that ran last.
        ids: What the platform calls its parts.
        proof: Evidence of the effect, once proved.
        error: The error's data when `state` is failed.
        updated_at: Time of the last change, UTC.
        rehearsal: Whether the embedded engine plays the platform.
        options: What was asked for beyond the defaults (`lorry.model.options.ShipOptions`).
    """

    model: str
    route: str
    state: PlacementState
    step: str | None
    ids: ProviderIds
    proof: Proof | None
    error: dict[str, Any] | None
    updated_at: datetime
    rehearsal: bool = False
    options: ShipOptions = DEFAULT_OPTIONS

    def as_dict(self) -> dict[str, Any]:
        """Give the placement as JSON values."""
        return {
            **asdict(self),
            "state": str(self.state),
            "updated_at": self.updated_at.isoformat(),
            "options": self.options.given(),
        }


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What a user trained, as Lorry remembers it.

    Attributes:
        name: Lorry's name of it.
        source: Absolute path of the weights file it was shipped from.
        digest: SHA-256 of that file, hex.
        family: Key of its family of base models.
        base: Public id of its base model.
        trigger: Its trigger word, if any.
        modules: Base layers that it is expected to change.
        created_at: When Lorry first saw it, UTC.
        kind: `image-lora`, `text-lora` or `checkpoint`.
    """

    name: str
    source: str
    digest: str
    family: str
    base: str
    trigger: str | None
    modules: int
    created_at: datetime
    kind: str = "image-lora"

    def as_dict(self) -> dict[str, Any]:
        """Give the model as JSON values."""
        return {**asdict(self), "created_at": self.created_at.isoformat()}


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A model together with where it is; `placement` is `None` before its first delivery."""

    model: TrainedModel
    placement: Placement | None

    def as_dict(self) -> dict[str, Any]:
        """Give both as JSON values."""
        place = self.placement.as_dict() if self.placement else None
        return {"model": self.model.as_dict(), "placement": place}
