"""What the platform serves: base models with everything that can run them (Together API dossier 2.5)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from together.types import SupportedModel
from together.types.endpoints import InferenceInstanceType
from together.types.models import Config

from lorry.delivery.ports import HostedBase
from lorry.errors import NotThere, PlatformError
from lorry.platforms.together.configurations import configurations, untold
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.fields import text

_RESOURCE = re.compile(r"projects/([^/]+)/configs/([^/]+)")


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
                    return await self._hosted(row)
                near.append(found)
        others = f" It has {', '.join(near[:5])}." if near else ""
        raise NotThere(
            f"{self._at.faults.address} does not serve the base model {name!r}.{others}",
            fix="Run `lorry check PATH` to see which base the weights were trained on.",
            evidence={"base": name, "near": near[:5]},
        )

    async def _hosted(self, row: SupportedModel) -> HostedBase:
        shared = row.serverless_endpoint or None
        base, resource = row.base_model_id, row.base_model
        if not base or not resource:
            return HostedBase(base or row.id, row.name, shared=shared)  # nothing can be hosted on it (2.5)
        types = await self._hardware()
        configs = await self._configs(resource)
        profiles = row.deployment_profiles or []
        doing = f"say what runs the base model {row.name!r}"
        for missing in self._at.read(doing, untold, profiles, configs, types):
            configs += await self._config(missing)
        found = self._at.read(doing, configurations, profiles, configs, types)
        return HostedBase(base, row.name, resource, found, shared)

    async def _configs(self, resource: str) -> list[Config]:
        project = await self._at.project()
        with self._at.faults.translated("list the configurations of the base"):
            listed = self._at.client.models.configs.list(project_id=project, reference_model=resource)
            return [config async for config in listed]

    async def _config(self, resource: str) -> Sequence[Config]:
        """Look a configuration up in the project that owns it; one that may not be read tells nothing."""
        named = _RESOURCE.fullmatch(resource)
        if named is None:
            return ()
        try:
            with self._at.faults.translated(f"look at the configuration {named[2]}"):
                return (await self._at.client.models.configs.retrieve(named[2], project_id=named[1]),)
        except PlatformError as error:
            if error.retryable:
                raise
            return ()

    async def _hardware(self) -> Sequence[InferenceInstanceType]:
        """Read prices and headroom; a platform that does not tell them can still be deployed on."""
        try:
            with self._at.faults.translated("list the hardware with its prices"):
                return (await self._at.client.endpoints.hardware.list()).data or []
        except PlatformError as error:
            if error.retryable:
                raise
            return ()
