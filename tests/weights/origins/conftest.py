"""A scripted server, and an access that takes it for the Hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from lorry.weights.origins.access import Access
from tests.weights.files import build, icons
from tests.weights.origins.scripted import Server, answer, file, scripted

SHA = "0123456789abcdef0123456789abcdef01234567"
REPO = "ann/tok"


@pytest.fixture(scope="session")
def sound() -> bytes:
    """Give a sound adapter for the embedded base; its header is shorter than 256 kB."""
    return build(icons())


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a server that answers nothing yet."""
    with scripted() as server:
        yield server


@pytest.fixture
def hub(server: Server) -> Access:
    """Give an access whose Hub is the scripted server, with a token."""
    return Access(hub_url=server.url, hub_token="hf_secret", patience=5)  # noqa: S106 - made up


@pytest.fixture
def repository(server: Server) -> Callable[..., None]:
    """Give a way to put files into a repository of the scripted server, at one commit."""

    def put(files: dict[str, bytes], *, revision: str = "main", **headers: str) -> None:
        rows = [{"rfilename": path, "size": len(content)} for path, content in files.items()]
        document = json.dumps({"id": REPO, "sha": SHA, "siblings": rows}).encode()
        for name in (revision, SHA):
            server.answers[f"/api/models/{REPO}/revision/{name}"] = answer(document)
            for path, content in files.items():
                server.answers[f"/{REPO}/resolve/{name}/{path}"] = file(content, X_Repo_Commit=SHA, **headers)

    return put
