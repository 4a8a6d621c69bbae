"""Who looks at a page, what they may, and what another page can't make them do."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.model.serving import Policy, Scope
from lorry.server.pages.login import own_path
from lorry.server.pages.sessions import SESSION_SECONDS, Sessions
from tests.server.ground import gate, place, settings_of, token
from tests.server.pages.browsing import visiting, words

PAGES = ("/", "/models/tok", "/deliver", "/playground", "/costs", "/health")
TWINS = tuple("/models.json" if path == "/" else f"{path}.json" for path in PAGES)


@given(st.binary(min_size=1), st.binary(min_size=1), st.text(max_size=200))
def test_a_cookie_is_read_by_who_signed_it_alone(one: bytes, other: bytes, forged: str) -> None:
    """As long as it holds; any other text is nobody's session, and raises nothing."""
    mine, theirs = Sessions(one), Sessions(other)
    session = mine.begin("tok_1", 1_000_000)
    cookie = mine.cookie(session)
    assert mine.read(cookie, 1_000_000 + SESSION_SECONDS) == session
    assert mine.read(cookie, 1_000_001 + SESSION_SECONDS) is None
    assert one == other or theirs.read(cookie, 1_000_000) is None
    assert mine.read(forged, 1_000_000) is None
    assert mine.read(cookie.replace("tok_1", "tok_2"), 1_000_000) is None
    assert mine.csrf(session) != mine.csrf(mine.begin("tok_1", 1_000_000))


@given(st.text(max_size=50))
def test_signing_in_leads_to_a_page_of_ours(to: str) -> None:
    """Whatever an address asks for, the way goes to a path of this server and nowhere else."""
    found = own_path(to)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))


async def test_a_page_asks_who_one_is_once_there_are_tokens(home: Path) -> None:
    """Pages lead to the sign-in and back; their twins answer 401; a wrong token says what to do."""
    settings = settings_of(home)
    await place(settings, "tok")
    secret = await token(settings, None, Scope.ADMIN)
    async with gate(settings) as here, visiting(here) as visit:
        for path in PAGES:
            got = await visit.see(f"{path}?a=1")
            assert (got.status_code, got.headers["location"]) == (303, f"/login?to={path}%3Fa%3D1")
            part = await visit.part(path)
            assert (part.status_code, part.headers["hx-redirect"]) == (204, "/login?to=/")
        for path in TWINS:
            assert (await visit.client.get(path)).status_code == 401
        wrong = await visit.client.post("/login", data={"token": "lorry_nope"})
        assert wrong.status_code == 401
        assert "unknown or was revoked" in words(wrong)
        right = await visit.client.post("/login", data={"token": f" {secret} ", "to": "/costs?days=7"})
        assert (right.status_code, right.headers["location"]) == (303, "/costs?days=7")
        cookie = right.headers["set-cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", "lorry-8700="))
        assert secret not in cookie
        for path in PAGES:
            assert (await visit.see(path)).status_code == 200
        for path in TWINS:
            assert (await visit.client.get(path)).status_code == 200
            bearer = {"authorization": f"Bearer {secret}"}
            async with visiting(here) as other:
                assert (await other.client.get(path, headers=bearer)).status_code == 200


async def test_a_session_ends_with_its_token_or_by_signing_out(home: Path) -> None:
    """A revoked token's sessions are nobody's; who signs out is nobody."""
    settings = settings_of(home)
    first = await token(settings, None, Scope.ADMIN)
    second = await token(settings, None, Scope.ADMIN)
    async with gate(settings) as here, visiting(here, first) as visit, visiting(here, second) as other:
        id_ = str(visit.client.cookies.get("lorry-8700")).partition(".")[0]
        assert await here.rooms.access.revoke(id_)
        await here.rooms.refresh()
        assert (await visit.see("/")).headers["location"] == "/login?to=/"
        assert (await other.see("/")).status_code == 200
        out = await other.client.post("/logout", data={"csrf": other.csrf})
        assert out.headers["location"] == "/login"
        assert (await other.see("/")).status_code == 303


async def test_a_token_sees_what_is_its_owners_and_does_what_it_may(home: Path) -> None:
    """Models of others are not there; pages beyond its scopes are neither offered nor given."""
    settings = settings_of(home)
    await place(settings, "tok", policy=Policy(owner="ann"))
    await place(settings, "bobs", policy=Policy(owner="bob"))
    secret = await token(settings, "ann", Scope.GENERATE)
    async with gate(settings) as here, visiting(here, secret) as visit:
        first = await visit.see("/")
        assert "bobs" not in first.text
        assert [row["name"] for row in (await visit.data("/models.json"))["models"]] == ["tok"]
        assert (await visit.see("/models/bobs")).status_code == 404
        assert (await visit.part("/live/models/bobs")).status_code == 404
        assert (await visit.see("/costs")).status_code == 403
        assert (await visit.see("/deliver")).status_code == 403
        assert '"/costs"' not in first.text
        for act in ("stop", "retire"):
            assert (await visit.send(f"/models/tok/do/{act}")).status_code == 403
        assert here.errands.ran == []


@pytest.mark.parametrize("guarded", [False, True])
async def test_a_form_of_another_page_does_nothing(home: Path, guarded: bool) -> None:
    """Without what the page gave, from another origin, or with another session's: refused."""
    settings = settings_of(home)
    await place(settings, "tok")
    secret = await token(settings, None, Scope.ADMIN) if guarded else None
    async with gate(settings) as here, visiting(here, secret) as visit, visiting(here, secret) as other:
        good = visit.csrf
        for csrf, headers in (
            ("", {}),
            (other.csrf, {}),
            (good[:-1] + ("0" if good[-1] != "0" else "1"), {}),
            (good, {"origin": "https://evil.example"}),
            (good, {"origin": "http://127.0.0.1:9999"}),
            (good, {"origin": "null"}),
        ):
            visit.csrf = csrf
            for path in ("/models/tok/do/stop", "/costs/budgets", "/deliver/ship", "/health/mend", "/logout"):
                got = await visit.send(path, {"scope": "all", "day": "1"}, **headers)
                assert got.status_code == 403, (path, csrf, headers)
        visit.csrf = good
        assert (await visit.send("/models/tok/do/stop", origin="http://127.0.0.1:8700")).status_code == 200
        assert here.errands.ran == [["stop", "tok"]]


async def test_an_open_server_shows_its_pages_to_this_machine_alone(home: Path) -> None:
    """Without tokens, a name that is pointed here (DNS rebinding) sees no page."""
    async with gate(settings_of(home)) as here, visiting(here, host="rebound.example") as visit:
        assert (await visit.see("/")).status_code == 403


async def test_a_browser_may_load_our_own_files_alone(home: Path) -> None:
    """Every page forbids scripts and styles inside it, and framing; none of the templates has any."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here, visiting(here) as visit:
        for path in (*PAGES, "/nope", "/models/none"):
            got = await visit.see(path)
            rules = got.headers["content-security-policy"]
            assert "script-src 'self';" in rules
            assert "unsafe" not in rules
            assert "frame-ancestors 'none'" in rules
            assert got.headers["x-content-type-options"] == "nosniff"
    folder = resources.files("lorry.server.pages").joinpath("templates")
    for file in [*folder.iterdir(), *folder.joinpath("parts").iterdir()]:
        if file.name.endswith(".html"):
            text = file.read_text(encoding="utf-8")
            assert not _INSIDE.search(text), file


#: Scripts and styles inside a page, what is put there unescaped, and what is loaded from elsewhere.
_INSIDE = re.compile(
    r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|javascript:|\|\s*safe\b|(src|href)=.(https?:)?//"
)


async def test_files_of_pages_are_kept_for_ever_and_travel_small(home: Path) -> None:
    """Each address names its content; all of a page together is below 100 kB compressed."""
    settings = settings_of(home)
    await place(settings, "tok")
    async with gate(settings) as here, visiting(here) as visit:
        for path in PAGES:
            got = await visit.see(path)
            total = int(got.headers["content-length"])
            for address in set(re.findall(r'"(/static/[^"]+)"', got.text)):
                asset = await visit.client.get(address)
                assert asset.status_code == 200
                assert "immutable" in asset.headers["cache-control"]
                total += int(asset.headers["content-length"])
            assert total < 100_000
        assert (await visit.client.get("/static/other/lorry.css")).headers["cache-control"] == "no-cache"
        assert (await visit.client.get("/static/other/nothing.css")).status_code == 404
