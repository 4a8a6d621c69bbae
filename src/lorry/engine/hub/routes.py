"""The Hub's routes, put together."""

from __future__ import annotations

from fastapi import APIRouter

from lorry.engine.hub.commits import Commits
from lorry.engine.hub.downloads import Downloads
from lorry.engine.hub.lfs import Lfs
from lorry.engine.hub.repos import Repos
from lorry.engine.hub.storage import Storage


def router(storage: Storage) -> APIRouter:
    """Make all routes of the Hub; `/{owner}/{name}/…` is among them, so mount it last.

    Args:
        storage: Where repositories lie.
    """
    whole = APIRouter()
    for part in (Repos(storage), Commits(storage), Lfs(storage), Downloads(storage)):
        whole.include_router(part.router())
    return whole
