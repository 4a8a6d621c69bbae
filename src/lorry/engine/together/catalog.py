"""The catalog's routes: base models, configurations, hardware and places (Together API dossier 2.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from lorry.engine.api_errors import not_found
from lorry.engine.paging import DEFAULT_LIMIT, Limit
from lorry.engine.together import catalog_rows as rows
from lorry.engine.together.bases import Base
from lorry.engine.together.capacity import Capacity
from lorry.engine.together.identity import key_check, project_check
from lorry.engine.works import Works

Row = dict[str, Any]


class CatalogRoutes:
    """What the catalog of one engine answers.

    Args:
        works: Its catalog.
        capacity: The room on its hardware.
    """

    def __init__(self, works: Works, capacity: Capacity) -> None:
        self._works = works
        self._catalog = works.catalog
        self._capacity = capacity

    def router(self) -> APIRouter:
        """Make the routes."""
        routes = APIRouter(dependencies=[Depends(key_check(self._works.config))])
        everywhere: tuple[tuple[str, Callable[..., Any]], ...] = (
            ("/v2/supported-models", self.supported_models),
            ("/v2/supported-models/{key}", self.supported_model),
            ("/v2/public/inference-instance-types", self.instance_types),
            ("/v2/public/inference-instance-types/{key}", self.instance_type),
        )
        for path, endpoint in everywhere:
            routes.add_api_route(path, endpoint, methods=["GET"], response_model=None)
        in_project: tuple[tuple[str, Callable[..., Any]], ...] = (
            ("/configs", self.configs),
            ("/configs/{key}", self.config),
            ("/placement-profiles", self.placement_profiles),
            ("/placement-profiles/{key}", self.placement_profile),
        )
        for path, endpoint in in_project:
            routes.add_api_route(
                "/v2/projects/{project}" + path,
                endpoint,
                methods=["GET"],
                response_model=None,
                dependencies=[Depends(project_check)],
            )
        return routes

    def supported_models(
        self,
        search: str | None = None,
        modality: str | None = None,
        product: str | None = None,
        adapter_mode: Annotated[str | None, Query(alias="adapterMode")] = None,
        limit: Limit = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Row:
        """Search the catalog: text in a name, an id or a tag; what goes in or comes out; products; modes."""
        found = []
        for base in self._catalog.bases:
            row = self._supported(base)
            modes = [profile["adapterMode"] for profile in row["deploymentProfiles"]]
            if (
                (search is None or search.lower() in _searched(base))
                and (modality is None or modality in row["inputModalities"] + row["outputModalities"])
                and (product is None or product in row["products"])
                and (adapter_mode is None or adapter_mode in modes)
            ):
                found.append(row)
        return _listed(found, limit, after)

    def supported_model(self, key: str) -> Row:
        """Give one entry by its id or its public name."""
        return _one([self._supported(base) for base in self._catalog.bases], key, "The supported model")

    def instance_types(self, limit: Limit = DEFAULT_LIMIT, after: str | None = None) -> Row:
        """List the offered hardware, with the room on it."""
        return _listed(self._types(), limit, after)

    def instance_type(self, key: str) -> Row:
        """Give one by its id or its name."""
        return _one(self._types(), key, "The instance type")

    def configs(
        self,
        reference_model: Annotated[str | None, Query(alias="referenceModel")] = None,
        reference_model_id: Annotated[str | None, Query(alias="referenceModelId")] = None,
        limit: Limit = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Row:
        """List the configurations of a base model on the offered hardware, or all of them."""
        wanted = reference_model.split("/revisions/")[0] if reference_model else None
        found = [
            rows.config(base, config)
            for base in self._catalog.bases
            if wanted in (None, base.resource) and reference_model_id in (None, "", base.model_id)
            for config in self._catalog.offered(base)
        ]
        return _listed(found, limit, after)

    def config(self, key: str) -> Row:
        """Give one, also of hardware that is not offered any more."""
        found = self._catalog.config(key)
        if found is None:
            raise not_found(f"The config {key}")
        return rows.config(*found)

    def placement_profiles(self, limit: Limit = DEFAULT_LIMIT, after: str | None = None) -> Row:
        """List the one place."""
        return _listed([self._place()], limit, after)

    def placement_profile(self, key: str) -> Row:
        """Give it."""
        return _one([self._place()], key, "The placement profile")

    def _supported(self, base: Base) -> Row:
        return rows.supported_model(base, self._catalog)

    def _types(self) -> list[Row]:
        return [rows.instance_type(kind, self._capacity.free(kind)) for kind in self._catalog.offered_types]

    def _place(self) -> Row:
        return rows.placement_profile(self._catalog.offered_types[0].region)


def _searched(base: Base) -> str:
    return " ".join([base.name, base.display_name, base.model_id, *base.tags]).lower()


def _listed(found: Sequence[Row], limit: int, after: str | None) -> Row:
    ids = [row["id"] for row in found]
    begin = ids.index(after) + 1 if after in ids else 0 if after is None else len(ids)
    shown = list(found[begin : begin + limit])
    more = begin + limit < len(found)
    return {"object": "list", "data": shown, "next_cursor": shown[-1]["id"] if more else None}


def _one(found: Sequence[Row], key: str, what: str) -> Row:
    for row in found:
        if key in (row["id"], row.get("name")):
            return row
    raise not_found(f"{what} {key}")
