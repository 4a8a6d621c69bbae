"""What can be served and on what, as data: base models, their configurations, hardware with prices.

`data/bases` has a file for each base model, `data/hardware` one for each set of hardware: what the engine
really has, and a rehearsal of Together's. A configuration belongs to one set; the others are known too, since
deployments that were made with them outlive a change of the engine's option.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from lorry.engine.together.identity import PUBLIC_PROJECT_ID
from lorry.errors import OptionInvalid
from lorry.settings import OWN_BASE

DATA = Path(__file__).parent / "data"

#: The hardware that the engine really has.
LOCAL = "local"

#: The adapter mode in which adapters are attached live.
DYNAMIC = "dynamic"


@dataclass(frozen=True, slots=True)
class InstanceType:
    """Hardware that one replica runs on.

    Attributes:
        id: Its id.
        name: How configurations and deployments call it: `1xnvidia-h100-80gb`.
        gpu_type: Kind of accelerator.
        count: How many of them one replica takes.
        memory_gib: Memory of each.
        cents_per_hour: Price of one running replica, US cents.
        region: Where it stands.
        says: What it is, in words.
        capacity: Replicas that fit; `None` for no limit.
        most_replicas: Most replicas of one deployment; `None` for no limit but the capacity.
    """

    id: str
    name: str
    gpu_type: str
    count: int
    memory_gib: int
    cents_per_hour: int
    region: str
    says: str
    capacity: int | None = None
    most_replicas: int | None = None


@dataclass(frozen=True, slots=True)
class ServingConfig:
    """One way to serve a base model, never changed once it is made.

    Attributes:
        id: Its id, `cr_…`.
        on: The set of hardware that it belongs to.
        hardware: Name of the instance type.
        optimization: `balanced`, `throughput` or `latency`.
        adapters: `dynamic` (attached live) or `disabled`.
        quantization: Numbers that the weights are held in.
        slots: Adapters that can be attached at once.
        largest_rank: Largest rank of an attached adapter.
        certified: Whether deployments may use it.
    """

    id: str
    on: str
    hardware: str
    optimization: str
    adapters: str
    quantization: str
    slots: int = 0
    largest_rank: int = 0
    certified: bool = True

    @property
    def resource(self) -> str:
        """Its resource name."""
        return f"projects/{PUBLIC_PROJECT_ID}/configs/{self.id}"


@dataclass(frozen=True, slots=True)
class Base:
    """A base model that the engine serves.

    Attributes:
        name: Its public id, under which requests reach it without an endpoint.
        model_id: Id of its model record, `ml_…`.
        revision_id: Id of its only revision.
        supported_id: Id of its catalog entry.
        display_name: What people call it.
        description: One sentence.
        kind: `image` or `chat`.
        architecture: Name of its class.
        tags: What a search finds it by.
        licence: An SPDX id.
        since: Date at which it came into the catalog.
        uploads: Kinds of weights that can be uploaded for it: `image-lora`, `text-lora`, `checkpoint`.
        configs: How it can be served.
        context_length: Most tokens of question and answer together; 0 for pictures.
        shape: What a full checkpoint's config.json has to say.
    """

    name: str
    model_id: str
    revision_id: str
    supported_id: str
    display_name: str
    description: str
    kind: str
    architecture: str
    tags: tuple[str, ...]
    licence: str
    since: str
    uploads: tuple[str, ...]
    configs: tuple[ServingConfig, ...]
    context_length: int = 0
    shape: Mapping[str, int] = field(default_factory=dict)

    @property
    def resource(self) -> str:
        """Resource name of its model record."""
        return f"projects/{PUBLIC_PROJECT_ID}/models/{self.model_id}"

    @property
    def draws(self) -> bool:
        """Whether it answers in pictures."""
        return self.kind == "image"


@dataclass(frozen=True, slots=True)
class Catalog:
    """All base models and hardware, and which set of hardware is offered.

    Attributes:
        bases: The base models that are served.
        hardware: The offered set.
        types: All instance types, by name.
        offered_types: Those of the offered set.
        asleep: Base models that records may name, and which this engine was not told to serve.
    """

    bases: tuple[Base, ...]
    hardware: str
    types: Mapping[str, InstanceType]
    offered_types: tuple[InstanceType, ...]
    asleep: tuple[Base, ...] = ()

    @property
    def drawn(self) -> str:
        """The name of the base that answers in pictures."""
        return next(base.name for base in self.bases if base.draws)

    @property
    def known(self) -> tuple[Base, ...]:
        """All bases that records may name."""
        return (*self.bases, *self.asleep)

    def base(self, key: str) -> Base | None:
        """Find a base model by its id, its public name or its resource name."""
        return next((base for base in self.known if key in (base.model_id, base.name, base.resource)), None)

    def base_of(self, model_id: str) -> Base:
        """Give the base model that a stored record names."""
        return next(base for base in self.known if base.model_id == model_id)

    def offered(self, base: Base) -> tuple[ServingConfig, ...]:
        """List the configurations of a base model on the offered hardware."""
        return tuple(config for config in base.configs if config.on == self.hardware)

    def config(self, key: str) -> tuple[Base, ServingConfig] | None:
        """Find a configuration, offered or not, by its id, with the base model that it serves."""
        return next(
            ((base, config) for base in self.known for config in base.configs if config.id == key), None
        )

    def type_of(self, config: ServingConfig) -> InstanceType:
        """Give the hardware of a configuration."""
        return self.types[config.hardware]


@cache
def catalog(hardware: str = LOCAL, drawn: str = OWN_BASE) -> Catalog:
    """Read the catalog.

    Args:
        hardware: The set of hardware that is offered.
        drawn: Public id of the base that answers in pictures: the one that comes along, or another.

    Raises:
        OptionInvalid: There is no such set.
    """
    sets = {path.stem: _types(path) for path in sorted((DATA / "hardware").glob("*.toml"))}
    if hardware not in sets:
        known = ", ".join(sorted(sets))
        raise OptionInvalid(
            f"The engine has no hardware {hardware!r}.",
            fix=f"Choose one of: {known}.",
            evidence={"hardware": hardware, "known": sorted(sets)},
        )
    bases = [_base(path) for path in sorted((DATA / "bases").glob("*.toml"))]
    asleep = [base for base in bases if base.draws and base.name != drawn]
    if asleep:
        bases = [_like(asleep[0], drawn), *(base for base in bases if base not in asleep)]
    return Catalog(
        bases=tuple(bases),
        hardware=hardware,
        types={row.name: row for rows in sets.values() for row in rows},
        offered_types=sets[hardware],
        asleep=tuple(asleep),
    )


def _like(own: Base, name: str) -> Base:
    """Make the entry of a base that was brought: served in the same ways as the one that comes along."""
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return replace(
        own,
        name=name,
        model_id=f"ml_{slug}_{digest}",
        revision_id=f"rv_{slug}_{digest}",
        supported_id=f"arch_{slug}_{digest}",
        display_name=name,
        description=f"{name}, a pipeline of diffusers that was brought to this engine.",
        architecture="DiffusionPipeline",
        tags=("image",),
        licence="other",
        configs=tuple(
            replace(config, id=f"cr_{slug}_{digest}_{number}") for number, config in enumerate(own.configs)
        ),
    )


def _types(path: Path) -> tuple[InstanceType, ...]:
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    common = {"region": document["region"], "says": document["says"]}
    return tuple(InstanceType(**row, **common) for row in document["types"])


def _base(path: Path) -> Base:
    document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    configs = tuple(ServingConfig(**row) for row in document.pop("configs"))
    document |= {name: tuple(document[name]) for name in ("tags", "uploads")}
    return Base(**document, configs=configs)
