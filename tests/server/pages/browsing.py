"""A browser without a screen: cookies, forms, and what a page gives back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx

from lorry.server.front import build_front
from tests.server.ground import Gate

_CSRF = re.compile(r"x-lorry-csrf&#34;: &#34;([0-9a-f]+)&#34;")


@dataclass
class Visit:
    """Somebody before a browser.

    Attributes:
        client: With their cookies.
        csrf: What their last page gave them for its forms.
    """

    client: httpx.AsyncClient
    csrf: str = ""

    async def see(self, path: str, **headers: str) -> httpx.Response:
        """Look at a page."""
        got = await self.client.get(path, headers={"accept": "text/html", **_dashed(headers)})
        found = _CSRF.search(got.text)
        self.csrf = found[1] if found else self.csrf
        return got

    async def part(self, path: str, target: str = "") -> httpx.Response:
        """Fetch a part of a page, as htmx does."""
        headers = {"hx-request": "true", "accept": "*/*"} | ({"hx-target": target} if target else {})
        return await self.client.get(path, headers=headers)

    async def send(self, path: str, fields: Mapping[str, Any] = {}, **headers: str) -> httpx.Response:
        """Send a form, as htmx does."""
        own = {"hx-request": "true", "x-lorry-csrf": self.csrf}
        return await self.client.post(path, data=dict(fields), headers={**own, **_dashed(headers)})

    async def data(self, path: str) -> Any:
        """Read a page's JSON twin."""
        got = await self.client.get(path)
        assert got.status_code == 200, got.text
        return got.json()


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@asynccontextmanager
async def visiting(
    here: Gate, secret: str | None = None, *, host: str = "127.0.0.1:8700"
) -> AsyncIterator[Visit]:
    """Open a browser before a gateway; signed in with a token where one is given."""
    transport = httpx.ASGITransport(build_front(here.rooms), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
        visit = Visit(client)
        if secret is not None:
            got = await client.post("/login", data={"token": secret, "to": "/"})
            assert got.status_code == 303, got.text
        await visit.see("/")
        yield visit


def words(page: httpx.Response) -> str:
    """Give what a person reads on a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())
