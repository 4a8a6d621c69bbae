"""How a base model can be run, out of three lists that each tell a part (Together API dossier 2.5). Pure.

| list | what it tells |
|---|---|
| the catalogue's `deploymentProfiles` | which configurations serve the base: its word is final |
| configurations of the base | others that are certified for it, and the accelerators of each |
| instance types | names, prices and how much of them is free |

For a public model the second is often empty (togethercomputer/skills, models-and-configs.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from together.types import SupportedModelDeploymentProfile
from together.types.endpoints import InferenceInstanceType
from together.types.models import Config

from lorry.delivery.ports import AdapterMode, Configuration
from lorry.platforms.together.fields import text

_MODES = {
    "dynamic": AdapterMode.DYNAMIC,
    "fixed": AdapterMode.FIXED,
    "disabled": AdapterMode.DISABLED,
}
_PROJECT = re.compile(r"projects/([^/]+)/")

#: The maker's name, which some lists put before a type of accelerator and others leave out.
_MAKER = "nvidia-"


def configurations(
    profiles: Sequence[SupportedModelDeploymentProfile],
    configs: Sequence[Config],
    types: Sequence[InferenceInstanceType],
) -> tuple[Configuration, ...]:
    """Put together how a base model can be run.

    Args:
        profiles: Of its entry in the catalogue.
        configs: That name it as their model, and any that were looked up for its profiles.
        types: The hardware that is offered.

    Returns:
        Its configurations, the cheapest first; one whose price nobody tells counts as the dearest.

    Raises:
        ValueError: A row lacks what has to be there.
    """
    known = {config_resource(config): config for config in configs}
    found: dict[str, Configuration] = {}
    for profile in profiles:
        resource = profile_resource(profile)
        if resource is not None:
            found.setdefault(resource, _of_profile(profile, resource, known.get(resource), types))
    for resource, config in known.items():
        if resource not in found and _may_be_used(config):
            found[resource] = _of_config(config, resource, types)
    return tuple(sorted(found.values(), key=_cost))


def untold(
    profiles: Iterable[SupportedModelDeploymentProfile],
    configs: Iterable[Config],
    types: Sequence[InferenceInstanceType],
) -> tuple[str, ...]:
    """List the configurations of profiles whose hardware does not follow from the lists.

    Args:
        profiles: Of a base model's entry in the catalogue.
        configs: That name it as their model.
        types: The hardware that is offered.

    Returns:
        Their resource names; each has to be looked up to learn its price.
    """
    known = {config_resource(config) for config in configs}
    rows = [(profile_resource(profile), profile) for profile in profiles]
    return tuple(
        dict.fromkeys(
            resource
            for resource, profile in rows
            if resource is not None and resource not in known and _by_kind(profile, types) is None
        )
    )


def config_resource(config: Config) -> str:
    """Give a configuration's resource name.

    Args:
        config: As the platform lists it.
    """
    return f"projects/{text(config, 'project_id')}/configs/{text(config, 'id')}"


def profile_resource(profile: SupportedModelDeploymentProfile) -> str | None:
    """Give the resource name of a profile's configuration.

    Args:
        profile: Of an entry in the catalogue.

    Returns:
        The name; `None` for a profile that pins none. Where only its id is told, it lies in the project of
        the model's weights, as the official command line has it.
    """
    if profile.config:
        return profile.config
    owner = _PROJECT.match(profile.model or "")
    revision = profile.certified_config_revision_id
    return f"projects/{owner[1]}/configs/{revision}" if owner and revision else None


def _of_profile(
    profile: SupportedModelDeploymentProfile,
    resource: str,
    config: Config | None,
    types: Sequence[InferenceInstanceType],
) -> Configuration:
    chosen = _selectors(config)
    name = _hardware_name(chosen)
    hardware = _by_name(name, types) if name else _by_kind(profile, types)
    mode = profile.adapter_mode.rpartition("_")[2] if profile.adapter_mode else chosen.get("adapter_mode")
    count = profile.gpu_count or _count(chosen)
    kind = f"{count}x{profile.gpu_type}" if profile.gpu_type else ""
    return _configuration(resource, profile.model or None, mode, hardware, name or kind, count)


def _of_config(config: Config, resource: str, types: Sequence[InferenceInstanceType]) -> Configuration:
    chosen = _selectors(config)
    name = _hardware_name(chosen)
    certified = next((each.model for each in config.certifications or [] if each.model), None)
    model = certified or config.reference_model or None
    hardware = _by_name(name, types) if name else None
    return _configuration(resource, model, chosen.get("adapter_mode"), hardware, name, _count(chosen))


def _configuration(
    resource: str,
    model: str | None,
    mode: str | None,
    hardware: InferenceInstanceType | None,
    name: str,
    count: int,
) -> Configuration:
    return Configuration(
        resource=resource,
        model=model,
        mode=_MODES.get((mode or "").lower(), AdapterMode.DISABLED),
        hardware=(hardware.name if hardware else None) or name,
        accelerators=count,
        cents_per_hour=hardware.price_cents_per_hour if hardware else None,
        headroom=headroom(hardware) if hardware else None,
    )


def headroom(row: InferenceInstanceType) -> int | None:
    """Count the replicas that fit now, over all regions.

    Args:
        row: Hardware.

    Returns:
        At least so many; `None` where no region tells. A number that did not come is 0 where it would be
        exact, because the wire's form leaves zeros out, and not told where it would be a lower bound.
    """
    told: list[int] = []
    for region in row.regions or []:
        room = region.headroom
        if room is None or (room.value is None and room.relation != "RELATION_EQ"):
            continue
        told.append(room.value or 0)
    return sum(told) if told else None


def _may_be_used(config: Config) -> bool:
    """Tell whether a configuration that no profile names is certified, or nobody has said otherwise."""
    decisions = [each.certification_type for each in config.certifications or []]
    return not decisions or "CERTIFICATION_TYPE_CERTIFIED" in decisions


def _selectors(config: Config | None) -> Mapping[str, str]:
    return {each.key: each.value for each in (config.selectors or [] if config else [])}


def _hardware_name(chosen: Mapping[str, str]) -> str:
    """Give the name of an instance type as selectors make it (the official command line does the same)."""
    count, kind = chosen.get("accelerator_count"), chosen.get("accelerator_type")
    return f"{count}x{kind}" if count and kind else ""


def _count(chosen: Mapping[str, str]) -> int:
    said = chosen.get("accelerator_count", "")
    return int(said) if said.isdecimal() else 1


def _by_name(name: str, types: Sequence[InferenceInstanceType]) -> InferenceInstanceType | None:
    exact = [row for row in types if name in (row.name, row.id)]
    near = [row for row in types if _plain(row.name) == _plain(name)]
    return next(iter(exact or near), None)


def _by_kind(
    profile: SupportedModelDeploymentProfile, types: Sequence[InferenceInstanceType]
) -> InferenceInstanceType | None:
    """Find a profile's hardware by its kind and count, unless several types have them."""
    kind, count = _plain(profile.gpu_type), profile.gpu_count or 1
    fitting = [
        row
        for row in types
        if kind
        and (
            (_plain(row.gpu_type) == kind and row.gpu_count == count)
            or _plain(row.name) in (kind, f"{count}x{kind}")
        )
    ]
    return fitting[0] if len(fitting) == 1 else None


def _plain(name: str | None) -> str:
    return (name or "").lower().replace(_MAKER, "")


def _cost(each: Configuration) -> tuple[float, int, str]:
    cents = each.cents_per_hour
    return (float("inf") if cents is None else cents, each.accelerators, each.resource)
