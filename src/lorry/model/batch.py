"""Several models shipped together: what is asked for each, and what came of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lorry.errors import LorryError, NameInvalid
from lorry.model.names import parse_name
from lorry.model.options import DEFAULT_OPTIONS, ShipOptions
from lorry.model.placement import Placement

_ENDINGS = re.compile(r"(\.safetensors|\.zip|\.tar|\.tar\.gz|\.tgz|\.gguf)+$", re.I)
_REVISION = re.compile(r"(?<=[\w.-])@[^/:@\s]+$")  # of a repository: `owner/name@v1`
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Order:
    """One model of a batch.

    Attributes:
        source: Its files, as `lorry ship` takes them.
        name: What it is called.
        route: Where it goes.
        rehearse: Whether the embedded engine plays the platform; as set when `None`.
        options: The choices beyond the defaults.
    """

    source: str
    name: str
    route: str = "local"
    rehearse: bool | None = None
    options: ShipOptions = DEFAULT_OPTIONS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one model of a batch: a placement, or the error that it ended with.

    Attributes:
        order: What was asked for.
        seconds: How long it took.
        placement: Where it is now.
        error: Why it is not.
    """

    order: Order
    seconds: float
    placement: Placement | None = None
    error: LorryError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "model": self.order.name,
            "source": self.order.source,
            "route": self.order.route,
            "state": str(self.placement.state) if self.placement else "failed",
            "seconds": round(self.seconds, 3),
            "placement": self.placement.as_dict() if self.placement else None,
            "error": self.error.as_dict() if self.error else None,
        }


def name_from(source: str) -> str:
    """Make a model's name of what its files are called.

    Args:
        source: A path, a repository or an address.

    Raises:
        NameInvalid: Nothing of it can be a name.
    """
    path = urlsplit(source).path if "://" in source else _REVISION.sub("", source)
    last = re.split(r"[/\\:@]", path.rstrip("/"))[-1] if path.strip("./") else ""
    made = re.sub(r"[^a-z0-9]+", "-", _ENDINGS.sub("", last).lower()).strip("-")
    try:
        return parse_name(made[:_LONGEST].strip("-"))
    except NameInvalid as error:
        raise NameInvalid(
            f"No name can be made of {source!r}.", fix="Give one with `--name`.", evidence={"source": source}
        ) from error


def same_names(orders: Iterable[Order]) -> Iterator[str]:
    """Say which names are given to several models of a batch.

    Args:
        orders: The batch.
    """
    kept = list(orders)
    for name, count in Counter(order.name for order in kept).items():
        if count > 1:
            sources = ", ".join(order.source for order in kept if order.name == name)
            yield f"{count} models would be called {name}: {sources}"
