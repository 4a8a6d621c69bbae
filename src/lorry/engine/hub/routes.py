"""The Hub's routes, put together."""

from __future__ import annotations

from fastapi import APIRouter

from lorry.engine.hub.commits import Commits
from lorry.engine.hub.downloads import Downloads
from lorry.engine.hub.lfs import PART, Lfs
from lorry.engine.hub.repos import Repos
from lorry.engine.hub.storage import Storage


def router(storage: Storage, *, lfs_part: int = PART) -> APIRouter:
    """Make all routes of the Hub; `/{owner}/{name}/…` is among them, so mount it last.

    Args:
        storage: Where repositories lie.
        lfs_part: Bytes of a part of an LFS upload; what is larger is sent in parts.
    """
    whole = APIRouter()
    for part in (Repos(storage), Commits(storage), Lfs(storage, lfs_part), Downloads(storage)):
        whole.include_router(part.router())
    return whole
