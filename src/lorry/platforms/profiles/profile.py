"""What a profile says: facts about one route or one loader, each with its source and its date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class BaseStatus(StrEnum):
    """How far a base can be relied on; `sentence` says each in words."""

    SUPPORTED = "supported"
    UNPROVED = "unproved"
    DEPRECATED = "deprecated"

    @property
    def sentence(self) -> str:
        """Say the status in words a user understands."""
        return _SENTENCES[self]


_SENTENCES = {
    BaseStatus.SUPPORTED: "It takes adapters, and every delivery proves it anew.",
    BaseStatus.UNPROVED: "Its documentation says that it takes adapters; nobody has shown that they act.",
    BaseStatus.DEPRECATED: "It is announced to end; nothing new should go there.",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact comes from, and of when it is."""

    origin: str
    date: date


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """One number, list or sentence, with its source."""

    value: T
    source: Source


@dataclass(frozen=True, slots=True)
class Count:
    """How many adapters it takes at once.

    Attributes:
        value: The number.
        unit: At once where: `in one request`, `on one endpoint`.
        of: For which bases it holds; empty for all.
        source: Where that comes from.
    """

    value: int
    unit: str
    of: str
    source: Source

    @property
    def sentence(self) -> str:
        """Say it in words."""
        noun = "adapter" if self.value == 1 else "adapters"
        return f"at most {self.value} {noun} {self.unit}{f' ({self.of})' if self.of else ''}"


@dataclass(frozen=True, slots=True)
class Ranks:
    """The limits of rank that a server can be started with.

    Attributes:
        values: The limits that its setting takes, smallest first; a file's rank may be any up to the limit.
        setting: The name of the setting.
        default: The limit without the setting.
        source: Where that comes from.
    """

    values: tuple[int, ...]
    setting: str
    default: int
    source: Source

    def needed(self, rank: int) -> int | None:
        """Give the smallest limit that lets a rank in; `None` when there is none.

        Args:
            rank: The file's largest rank.
        """
        return next((value for value in self.values if value >= rank), None)


@dataclass(frozen=True, slots=True)
class PartRule:
    """What becomes of a file's text-encoder part.

    Attributes:
        part: `clip` or `t5`.
        applied: Whether it is applied; otherwise it is left out without an error.
        families: For which families of base models; empty for all that no earlier rule names.
        source: Where that comes from.
    """

    part: str
    applied: bool
    families: tuple[str, ...]
    source: Source


@dataclass(frozen=True, slots=True)
class Stumble:
    """A finding that keeps a file from acting here, while other loaders get over it.

    Attributes:
        code: A code of the catalogue of findings.
        says: What happens.
        source: Where that comes from.
    """

    code: str
    says: str
    source: Source


@dataclass(frozen=True, slots=True)
class ServedBase:
    """A base model of a route.

    Attributes:
        id: The id that a request names.
        model: The id of the base model itself, where the route calls it otherwise.
        family: Key of its family (`flux2-dev`).
        status: How far it can be relied on.
        note: What else to know.
        source: Where that comes from.
        cents_per_megapixel: What a picture costs, US cents; `None` where nobody publishes it.
    """

    id: str
    model: str
    family: str
    status: BaseStatus
    note: str
    source: Source
    cents_per_megapixel: float | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What one route or one loader takes; `None` and an empty tuple mean that no limit is documented.

    Attributes:
        target: The route (`together-url`) or the loader (`comfyui`).
        kind: `route` or `loader`.
        platform: Who serves a route; `None` for a loader.
        says: One sentence for a person.
        checked: When the facts were last gone over.
        loader: The loader whose rules decide over layouts: a key of the tables in `lorry.weights.loaders`.
        text_loader: The same for adapters for text, where it is another one.
        through: That loader's own profile, whose limits hold where this one has none; `None` for a loader.
        to: The layout to convert to; of a loader.
        note: What else to know.
        kinds: `image-lora`, `text-lora`, `checkpoint`.
        modalities: `image`, `video`, `text`.
        upload: Whether files are uploaded to it.
        by_url: Whether it fetches an adapter from an address.
        files: The exact names of the files of an adapter for text.
        dtypes: Data types that it reads.
        max_rank: Largest rank that it takes.
        ranks: Limits of rank that it can be started with.
        max_bytes: Largest file that it takes, bytes.
        adapters: How many it takes at once.
        parts: What becomes of text-encoder parts; the first rule that fits holds.
        stumbles: Findings that keep a file from acting.
        bases: Base models that it serves.
        families: Families of base models that it has, where it has not all.
        licence: What the licence of the base model means here.
        closed: Why nothing new can go there.
        unproved: What nobody has shown yet.
    """

    target: str
    kind: str
    platform: str | None
    says: str
    checked: date
    loader: str
    text_loader: str | None
    through: Profile | None
    to: str | None
    note: str
    kinds: Fact[tuple[str, ...]]
    modalities: Fact[tuple[str, ...]]
    upload: Fact[bool] | None
    by_url: Fact[bool] | None
    files: Fact[tuple[str, ...]] | None
    dtypes: Fact[tuple[str, ...]] | None
    max_rank: Fact[int] | None
    ranks: Ranks | None
    max_bytes: Fact[int] | None
    adapters: tuple[Count, ...]
    parts: tuple[PartRule, ...]
    stumbles: tuple[Stumble, ...]
    bases: tuple[ServedBase, ...]
    families: Fact[tuple[str, ...]] | None
    licence: Fact[str] | None
    closed: Fact[str] | None
    unproved: Fact[str] | None

    def loader_for(self, kind: str | None) -> str:
        """Say whose rules decide over the layouts of a kind of model.

        Args:
            kind: `image-lora`, `text-lora` or `checkpoint`; `None` when it can't be told.
        """
        return self.text_loader if self.text_loader and kind == "text-lora" else self.loader

    @property
    def layout(self) -> str | None:
        """The layout to convert a file to, so that it runs here."""
        return self.to or (self.through.layout if self.through else None)

    @property
    def reads_dtypes(self) -> Fact[tuple[str, ...]] | None:
        """The data types that it reads, its loader's where it states none."""
        return self.dtypes or (self.through.dtypes if self.through else None)

    @property
    def stumbles_over(self) -> tuple[Stumble, ...]:
        """The findings that keep a file from acting, its loader's where it states none."""
        return self.stumbles or (self.through.stumbles if self.through else ())

    def part_rule(self, part: str, family: str | None) -> PartRule | None:
        """Find what becomes of a text-encoder part.

        Args:
            part: `clip` or `t5`.
            family: Key of the file's family.
        """
        rules = self.parts or (self.through.parts if self.through else ())
        fitting = (rule for rule in rules if rule.part == part)
        return next((rule for rule in fitting if not rule.families or family in rule.families), None)
