"""What the platform serves and how: base models with their certified configurations (dossier 2.5).

For a public model the list of configurations is often empty; the catalogue's `deploymentProfiles` are what
its own documentation calls authoritative (togethercomputer/skills, models-and-configs.md). So those are read,
and the list of configurations only where a model has no profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from together.types import SupportedModel, SupportedModelDeploymentProfile
from together.types.endpoints import InferenceInstanceType
from together.types.models import Config

from lorry.delivery.ports import AdapterMode, Configuration, HostedBase
from lorry.errors import NotThere, PlatformError
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.fields import text

_MODES = {
    "dynamic": AdapterMode.DYNAMIC,
    "fixed": AdapterMode.FIXED,
    "disabled": AdapterMode.DISABLED,
}


class Catalogue:
    """Finds base models at the platform.

    Args:
        connection: Where to.
    """

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def base(self, name: str) -> HostedBase:
        """Find a base model by its exact public name, with every configuration that serves it.

        Args:
            name: Its public name.

        Raises:
            NotThere: The platform does not serve it.
        """
        doing = f"look for the base model {name!r}"
        near: list[str] = []
        with self._at.faults.translated(doing):
            async for row in self._at.client.models.list_supported(search=name):
                found = self._at.read(doing, text, row, "name")
                if found == name:
                    return await self._hosted(doing, row)
                near.append(found)
        others = f" It has {', '.join(near[:5])}." if near else ""
        raise NotThere(
            f"{self._at.faults.address} does not serve the base model {name!r}.{others}",
            fix="Run `lorry check PATH` to see which base the weights were trained on.",
            evidence={"base": name, "near": near[:5]},
        )

    async def _hosted(self, doing: str, row: SupportedModel) -> HostedBase:
        shared = row.serverless_endpoint or None
        if not row.base_model_id or not row.base_model:
            return HostedBase(row.base_model_id or row.id, row.name, shared=shared)  # nothing is hosted on it
        hardware = await self._hardware()
        profiles = row.deployment_profiles or []
        configs = [] if profiles else await self._configs(row.base_model)

        def read() -> HostedBase:
            found = [_of_profile(each, hardware) for each in profiles]
            found += [_of_config(each, hardware) for each in configs]
            return HostedBase(row.base_model_id, row.name, row.base_model, _cheapest_first(found), shared)

        return self._at.read(doing, read)

    async def _configs(self, resource: str) -> list[Config]:
        project = await self._at.project()
        listed = self._at.client.models.configs.list(project_id=project, reference_model=resource)
        return [config async for config in listed]

    async def _hardware(self) -> dict[str, InferenceInstanceType]:
        """Read prices and headroom; a platform that does not tell them can still be deployed on."""
        try:
            with self._at.faults.translated("list the hardware with its prices"):
                answer = await self._at.client.endpoints.hardware.list()
        except PlatformError as error:
            if error.retryable:
                raise
            return {}
        return {row.name: row for row in answer.data or [] if row.name}


def _of_profile(
    row: SupportedModelDeploymentProfile, hardware: Mapping[str, InferenceInstanceType]
) -> Configuration:
    mode = (row.adapter_mode or "").rpartition("_")[2].lower()
    return _configuration(
        text(row, "config"), row.model or None, mode, (row.gpu_type or "", row.gpu_count or 1), hardware
    )


def _of_config(row: Config, hardware: Mapping[str, InferenceInstanceType]) -> Configuration:
    chosen = {item.key: item.value for item in row.selectors or []}
    count = chosen.get("accelerator_count", "")
    gpu = (chosen.get("accelerator_type", ""), int(count) if str(count).isdigit() else 1)
    certified = next((each.model for each in row.certifications or [] if each.model), None)
    resource = f"projects/{text(row, 'project_id')}/configs/{text(row, 'id')}"
    return _configuration(resource, certified, chosen.get("adapter_mode", ""), gpu, hardware)


def _configuration(
    resource: str,
    model: str | None,
    mode: str,
    gpu: tuple[str, int],
    hardware: Mapping[str, InferenceInstanceType],
) -> Configuration:
    kind, count = gpu
    name = f"{count}x{kind}" if kind else ""
    # A type that is listed for one accelerator tells the price of several of them too.
    whole = hardware.get(name)
    single = hardware.get(f"1x{kind}") if whole is None else None
    cents: float | None = None
    if whole is not None:
        cents = whole.price_cents_per_hour
    elif single is not None and single.price_cents_per_hour is not None:
        cents = single.price_cents_per_hour * count
    return Configuration(
        resource=resource,
        model=model,
        mode=_MODES.get(mode, AdapterMode.DISABLED),
        hardware=name,
        accelerators=count,
        cents_per_hour=cents,
        headroom=_headroom(whole) if whole is not None else None,
    )


def _headroom(row: InferenceInstanceType) -> int | None:
    """Count the replicas that fit now, over all regions; `None` where no region tells."""
    told = [region.headroom.value for region in row.regions or [] if region.headroom is not None]
    numbers: Sequence[int] = [value for value in told if value is not None]
    # A region that tells a relation and no number has zero of it: the wire format leaves zeros out.
    return sum(numbers) if told else None


def _cheapest_first(found: Iterable[Configuration]) -> tuple[Configuration, ...]:
    def cost(each: Configuration) -> tuple[float, int]:
        cents = each.cents_per_hour
        return (float("inf") if cents is None else cents, each.accelerators)

    return tuple(sorted(found, key=cost))
