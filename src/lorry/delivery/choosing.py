"""Which configuration a model is deployed with: a decision from what the platform offers."""

from __future__ import annotations

from enum import StrEnum

from lorry.delivery.ports import AdapterMode, Configuration, HostedBase
from lorry.errors import NoConfiguration


class Purpose(StrEnum):
    """What a deployment is for; its value completes "a configuration that …"."""

    ATTACH = "takes adapters while it runs"
    OWN = "serves a model as a deployment of its own"


#: Which modes serve a purpose, the best first (the official client prefers dynamic ones too).
_MODES = {
    Purpose.ATTACH: (AdapterMode.DYNAMIC, AdapterMode.FIXED),
    Purpose.OWN: (AdapterMode.DISABLED, AdapterMode.DYNAMIC, AdapterMode.FIXED),
}


def choose(base: HostedBase, purpose: Purpose, wanted: str | None) -> Configuration:
    """Choose a configuration: the one that was asked for, otherwise the cheapest that fits.

    Of those that fit, one with space now goes before one without, the better mode before the other, the
    cheaper before the dearer; a price that nobody tells counts as the dearest.

    Args:
        base: The base model with its configurations.
        purpose: What the deployment is for.
        wanted: Resource name or id of the one that was asked for.

    Raises:
        NoConfiguration: There is none, or the one that was asked for is not among them.
    """
    fitting = [each for each in base.configurations if each.mode in _MODES[purpose]]
    if wanted is not None:
        return _named(base, fitting, purpose, wanted)
    if not fitting:
        others = sorted({each.mode for each in base.configurations})
        has = f"those it has are {', '.join(others)}" if others else "it has none at all"
        raise NoConfiguration(
            f"The platform has no configuration of {base.name} that {purpose}: {has}.",
            evidence={"base": base.name, "purpose": purpose.name.lower(), "modes": others},
        )
    modes = _MODES[purpose]
    return min(fitting, key=lambda each: (each.headroom == 0, modes.index(each.mode), *_cost(each)))


def _cost(configuration: Configuration) -> tuple[float, int, str]:
    cents = configuration.cents_per_hour
    return (float("inf") if cents is None else cents, configuration.accelerators, configuration.resource)


def _named(base: HostedBase, fitting: list[Configuration], purpose: Purpose, wanted: str) -> Configuration:
    for each in fitting:
        if wanted in (each.resource, each.resource.rsplit("/", 1)[-1]):
            return each
    names = [each.resource.rsplit("/", 1)[-1] for each in fitting]
    raise NoConfiguration(
        f"{wanted} is no configuration of {base.name} that {purpose}; "
        f"it has {', '.join(names) if names else 'none'}.",
        fix=f"Use `--config {names[0]}`, or leave it out for the cheapest." if names else None,
        evidence={"base": base.name, "wanted": wanted, "configurations": names},
    )
