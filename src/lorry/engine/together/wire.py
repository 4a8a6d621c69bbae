"""The shape of Together's v2 bodies: camelCase outside, snake_case inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from lorry.engine.config import EngineConfig
from lorry.engine.together.identity import key_check, project_check

UpdateMask = Annotated[str | None, Query(alias="updateMask")]

#: Method, path below the project, what answers.
Route = tuple[str, str, Callable[..., Any]]


class Body(BaseModel):
    """A request's body; fields that the engine does not know are ignored, as Together does."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    def given(self) -> frozenset[str]:
        """Name the fields (camelCase) that the request has."""
        return frozenset(to_camel(name) for name in self.model_fields_set)


def project_router(config: EngineConfig, routes: Iterable[Route]) -> APIRouter:
    """Make a router below `/v2/projects/{project}` that checks the key and the project."""
    router = APIRouter(
        prefix="/v2/projects/{project}",
        dependencies=[Depends(key_check(config)), Depends(project_check)],
    )
    for method, path, answer in routes:
        router.add_api_route(path, answer, methods=[method], response_model=None)
    return router
