"""Routes of a download: metadata, the whole file, or a range of it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from lorry.engine.hub.answers import commit_at, refusal, visible_repo
from lorry.engine.hub.storage import Storage


class Downloads:
    """How content leaves a repository.

    Args:
        storage: Where repositories lie.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def router(self) -> APIRouter:
        """Make the route."""
        router = APIRouter()
        router.add_api_route(
            "/{owner}/{name}/resolve/{revision}/{path:path}",
            self.resolve,
            methods=["GET", "HEAD"],
            response_model=None,
        )
        return router

    def resolve(self, request: Request, owner: str, name: str, revision: str, path: str) -> Response:
        """Give a file; `Range` gives a part of it."""
        repo = visible_repo(self._storage, request, owner, name)
        commit = commit_at(self._storage, repo, revision)
        file = commit.file(path)
        if file is None:
            raise refusal(404, f"{repo.id} has no file {path}.", "EntryNotFound")
        etag = file.sha256 if file.lfs else file.oid
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{etag}"'}
        if file.lfs:
            headers |= {"X-Linked-Size": str(file.size), "X-Linked-ETag": f'"{etag}"'}
        # The file's own headers win over FileResponse's, whose ETag comes from the time of storing.
        content = self._storage.works.blobs.path(file.sha256)
        return FileResponse(content, headers=headers, media_type="application/octet-stream")
