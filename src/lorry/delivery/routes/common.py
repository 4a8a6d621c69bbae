"""What the steps of all routes share: names, marks, and the base that a model needs."""

from __future__ import annotations

import re
from typing import Any

from lorry.delivery.choosing import Purpose, choose
from lorry.delivery.ports import Configuration, HostedBase
from lorry.delivery.run import Run
from lorry.errors import BaseNotServed, NotThere
from lorry.model.forecast import Price
from lorry.model.names import unstamped
from lorry.weights.bases.families import family

#: Longest label of a name: what a DNS label takes.
_LONGEST = 63


def mark(run: Run) -> str:
    """Give the mark by which a model record is known as ours."""
    return f"sha256:{run.model.digest}"


def bare(name: str) -> str:
    """Give the last part of a qualified name (`slug/endpoint/deployment`, Together API dossier 2.7).

    Without the expiry that the keeper may have written into it.
    """
    return unstamped(name.rsplit("/", 1)[-1])[0]


def shared_name(base: str) -> str:
    """Give the name of the deployment of a base on which Lorry's adapters share the accelerator.

    Args:
        base: Public name of the base (`Qwen/Qwen3-8B`).
    """
    slug = re.sub(r"[^a-z0-9]+", "-", bare(base).lower()).strip("-")
    return f"lorry-adapters-{slug}"[:_LONGEST].rstrip("-")


async def says(answer: bool) -> bool:
    """Give an answer that is known already, where one is awaited."""
    return answer


def known(value: str | None, kind: str) -> str:
    """Give an id that an earlier step noted.

    Raises:
        NotThere: It did not.
    """
    if value is None:
        raise NotThere(f"The {kind}'s id is not known, so its step has to run first.")
    return value


async def base_of(run: Run) -> HostedBase:
    """Find the model's base at the platform.

    Files often tell the family alone: a whole model has its own name, and an adapter may not say whose it
    is. Then the first base of the family that the platform serves is taken: its layers are the same.

    Raises:
        BaseNotServed: The platform has no such base.
    """
    evidence: dict[str, Any] = {}
    for name in _names(run):
        try:
            return await run.platform.registry.base(name)
        except NotThere as error:
            evidence = evidence or error.evidence
    raise BaseNotServed(
        f"{run.model.name} was trained on {run.model.base}, "
        f"which the platform of the route {run.place.route!r} does not serve.",
        fix="Name a base that it serves with `--base`; `lorry check PATH --for all` says where it runs.",
        evidence={"base": run.model.base, "route": run.place.route, **evidence},
    )


def _names(run: Run) -> list[str]:
    known = family(run.model.family)
    if known is None or run.model.base not in (known.name, known.key):
        return [run.model.base]
    # The ones that follow instructions stand last in the data, and are those that platforms serve.
    return [base.id for base in reversed(known.bases)]


async def configuration_of(run: Run, purpose: Purpose) -> tuple[HostedBase, Configuration]:
    """Find the model's base, and the configuration that it is served with.

    Args:
        run: Whose.
        purpose: What it is deployed for.

    Raises:
        BaseNotServed: The platform has no such base.
        NoConfiguration: It has the base, and no configuration for this.
    """
    base = await base_of(run)
    return base, choose(base, purpose, run.options.config)


def price_of(configuration: Configuration, run: Run) -> Price:
    """Say what a replica of a configuration costs."""
    source = f"{run.platform.address}, asked now" if configuration.cents_per_hour is not None else "not told"
    count = run.options.min_replicas
    note = f"{count} replicas run at least" if count > 1 else ""
    return Price(configuration.cents_per_hour, "replica-hour", source, note)
