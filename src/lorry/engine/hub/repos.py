"""Routes about repositories as a whole: who asks, create, delete, info, lists of files."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from lorry.engine.hub.answers import (
    body_of,
    commit_at,
    entry,
    folder_entry,
    folders_of,
    model_info,
    refusal,
    require_token,
    token_of,
    visible_repo,
)
from lorry.engine.hub.cards import front_matter
from lorry.engine.hub.storage import MAIN, OWNER, Storage, valid_repo_id


class Repos:
    """The repositories of one engine, from outside.

    Args:
        storage: Where they lie.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def router(self) -> APIRouter:
        """Make the routes."""
        router = APIRouter()
        model = "/api/models/{owner}/{name}"
        for method, path, answer in (
            ("GET", "/api/whoami-v2", self.whoami),
            ("POST", "/api/repos/create", self.create),
            ("DELETE", "/api/repos/delete", self.delete),
            ("POST", "/api/validate-yaml", self.validate_yaml),
            ("GET", "/api/models", self.index),
            ("GET", model, self.info),
            ("GET", f"{model}/revision/{{revision}}", self.info),
            ("GET", f"{model}/refs", self.refs),
            ("GET", f"{model}/commits/{{revision}}", self.commits),
            ("GET", f"{model}/tree/{{revision}}", self.tree),
            ("GET", f"{model}/tree/{{revision}}/{{folder:path}}", self.tree),
            ("POST", f"{model}/paths-info/{{revision}}", self.paths_info),
        ):
            router.add_api_route(path, answer, methods=[method], response_model=None)
        return router

    def whoami(self, request: Request) -> dict[str, Any]:
        """Say whose token it is."""
        require_token(request, self._storage.works)
        access = {"accessToken": {"displayName": "local", "role": "write"}}
        return {
            "type": "user",
            "id": OWNER,
            "name": OWNER,
            "fullname": "This machine",
            "orgs": [],
            "auth": access,
        }

    async def create(self, request: Request) -> JSONResponse:
        """Make a repository; one that exists is answered with 409 and its address."""
        require_token(request, self._storage.works)
        owner, name, body = await _named(request)
        if body.get("type", "model") != "model":
            raise refusal(400, "This Hub keeps models only.")
        if not valid_repo_id(owner, name):
            raise refusal(400, f"{owner}/{name} can't be the name of a repository.")
        url = f"{str(request.base_url).rstrip('/')}/{owner}/{name}"
        if self._storage.repo(f"{owner}/{name}"):
            message = "You already created this model repo"
            return JSONResponse({"error": message, "url": url}, 409, {"X-Error-Message": message})
        private = body.get("private", body.get("visibility") == "private")
        self._storage.create(f"{owner}/{name}", private=bool(private))
        return JSONResponse({"url": url, "name": f"{owner}/{name}", "id": f"{owner}/{name}"})

    async def delete(self, request: Request) -> JSONResponse:
        """Delete a repository with its history."""
        require_token(request, self._storage.works)
        owner, name, _ = await _named(request)
        if not self._storage.delete(f"{owner}/{name}"):
            raise refusal(404, f"Repository {owner}/{name} does not exist on this Hub.", "RepoNotFound")
        return JSONResponse({})

    async def validate_yaml(self, request: Request) -> JSONResponse:
        """Judge the metadata of a README."""
        try:
            front_matter(str((await body_of(request)).get("content", "")))
        except ValueError as error:
            return JSONResponse({"errors": [{"message": str(error)}], "warnings": []}, 400)
        return JSONResponse({"errors": [], "warnings": []})

    def index(
        self, request: Request, author: str | None = None, search: str | None = None
    ) -> list[dict[str, Any]]:
        """List the repositories that the sender may see."""
        known = token_of(request, self._storage.works) is not None
        found = []
        for repo in self._storage.repos():
            if author not in (None, repo.id.split("/")[0]) or (search or "").lower() not in repo.id.lower():
                continue
            if known or not repo.private:
                commit = commit_at(self._storage, repo, MAIN)
                found.append(model_info(self._storage, repo, commit, blobs=False))
        return found

    def info(
        self, request: Request, owner: str, name: str, revision: str = MAIN, blobs: bool = False
    ) -> dict[str, Any]:
        """Show a repository at a revision."""
        repo = visible_repo(self._storage, request, owner, name)
        return model_info(self._storage, repo, commit_at(self._storage, repo, revision), blobs=blobs)

    def refs(self, request: Request, owner: str, name: str) -> dict[str, Any]:
        """List branches; there is only `main`."""
        repo = visible_repo(self._storage, request, owner, name)
        branch = {"name": MAIN, "ref": f"refs/heads/{MAIN}", "targetCommit": repo.head}
        return {"branches": [branch], "converts": [], "tags": []}

    def commits(self, request: Request, owner: str, name: str, revision: str) -> list[dict[str, Any]]:
        """List the history, newest first."""
        repo = visible_repo(self._storage, request, owner, name)
        newest = commit_at(self._storage, repo, revision)
        return [
            {
                "id": commit.oid,
                "title": commit.title,
                "message": commit.message,
                "date": commit.date,
                "authors": [{"user": OWNER}],
            }
            for commit in self._storage.history(repo.id, newest)
        ]

    def tree(
        self,
        request: Request,
        owner: str,
        name: str,
        revision: str,
        folder: str = "",
        recursive: bool = False,
    ) -> list[dict[str, Any]]:
        """List files (and folders) below a folder."""
        repo = visible_repo(self._storage, request, owner, name)
        commit = commit_at(self._storage, repo, revision)
        inside = f"{folder.rstrip('/')}/" if folder else ""
        files = [file for file in commit.files if file.path.startswith(inside)]
        if folder and not files:
            raise refusal(404, f"{repo.id} has no folder {folder}.", "EntryNotFound")
        folders = sorted(path for path in folders_of(commit) if path.startswith(inside))
        rows = [*(folder_entry(commit, path) for path in folders), *(entry(file) for file in files)]
        return [row for row in rows if recursive or "/" not in row["path"][len(inside) :]]

    async def paths_info(
        self, request: Request, owner: str, name: str, revision: str
    ) -> list[dict[str, Any]]:
        """Show the files and folders that are asked for; those that are not there are left out."""
        repo = visible_repo(self._storage, request, owner, name)
        commit = commit_at(self._storage, repo, revision)
        if request.headers.get("content-type", "").startswith("application/json"):
            paths = [str(path) for path in (await body_of(request)).get("paths") or []]
        else:
            paths = [str(path) for path in (await request.form()).getlist("paths")]
        files = {file.path: file for file in commit.files}
        folders = folders_of(commit)
        wanted = [path.rstrip("/") for path in paths]
        return [
            entry(files[path]) if path in files else folder_entry(commit, path)
            for path in wanted
            if path in files or path in folders
        ]


async def _named(request: Request) -> tuple[str, str, dict[str, Any]]:
    body = await body_of(request)
    if not isinstance(body.get("name"), str):
        raise refusal(400, "The body needs a `name`.")
    return str(body.get("organization") or OWNER), body["name"], body
