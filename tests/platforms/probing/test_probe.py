"""The probe reads, little and from one place, and holds what it read against what we believe."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lorry.errors import KeyRejected, PlatformFault, SettingInvalid, Unreachable
from lorry.platforms.probing import Outcome, Probe, Reply, beliefs, compare, probe, save
from lorry.platforms.probing.asking import LONGEST
from lorry.platforms.probing.looking import LOOKS
from lorry.platforms.probing.questions import MOST, PUBLIC, Question
from lorry.platforms.probing.replay import Replay
from tests.platforms.probing.service import KEY, PROJECT, Service, private_texts
from tests.platforms.wire import serving


@pytest.fixture
async def service() -> AsyncIterator[tuple[Service, str]]:
    """Serve the service."""
    found = Service()
    async with serving(found) as url:
        yield found, url


def _seen(found: Probe, name: str) -> Any:
    return next(each for each in found.compared if each.belief.name == name)


async def test_it_only_reads_and_not_much(service: tuple[Service, str]) -> None:
    """Every request is a GET, there are at most twenty, and all go to one host with the key."""
    server, url = service
    found = await probe(url, KEY)
    assert {method for method, _, _ in server.seen} == {"GET"}
    assert 15 <= len(server.seen) <= MOST == 20
    assert {key for _, _, key in server.seen} == {f"Bearer {KEY}"}
    assert server.hosts == {url.removeprefix("http://")}
    assert len(found.replies) == len(server.seen)


async def test_an_account_with_much_is_asked_no_more(service: tuple[Service, str]) -> None:
    """Whatever the catalogue and the account hold, the number of reads stays."""
    server, url = service
    rows = [{**server.lists["/v2/supported-models"]["data"][0], "id": f"arch_{n}"} for n in range(400)]
    server.lists["/v2/supported-models"]["data"] = rows
    models = [
        {**server.lists[f"/v2/projects/{PROJECT}/models"]["data"][0], "id": f"ml_{n}"} for n in range(100)
    ]
    server.lists[f"/v2/projects/{PROJECT}/models"]["data"] = models
    found = await probe(url, KEY)
    assert len(server.seen) <= MOST
    assert sum(path.endswith("/configs") for _, path, _ in server.seen) == 3
    assert "revisions" in found.replies  # the last question is asked, too


async def test_what_differs_comes_first(service: tuple[Service, str]) -> None:
    """Another price, a row without profiles, a field that is new: each is told with what we believed."""
    _, url = service
    found = await probe(url, KEY)
    price = _seen(found, "price-h100")
    assert (price.outcome, price.seen, price.belief.value) == (Outcome.DIFFERS, 600.0, 549)
    assert _seen(found, "catalogue-fields").seen == ["novelty"]
    assert _seen(found, "profiles-everywhere").seen == ["qwen/text-bare"]
    assert _seen(found, "price-v1-h100").outcome is Outcome.SAME
    assert _seen(found, "flux2-dev").outcome is Outcome.SAME
    assert _seen(found, "validation-rules").seen == ["safetensors_only"]
    assert _seen(found, "bases-for-adapters").seen == ["qwen/text-9b"]
    assert _seen(found, "headroom-h100").seen == "us-1 3+"
    assert _seen(found, "rate-headers").seen is True
    assert _seen(found, "configurations").seen == [1]
    assert _seen(found, "containers").seen == 403
    assert _seen(found, "price-b200").why == "no instance type is one B200"
    order = [list(Outcome).index(each.outcome) for each in found.compared]
    assert order == sorted(order)
    json.dumps(found.as_dict())


async def test_a_refusal_is_an_answer_too(service: tuple[Service, str]) -> None:
    """A question that is refused keeps no other from being asked; its belief says why it was not seen."""
    server, url = service
    server.refused["/v2/supported-models"] = (503, {"code": 14, "message": "busy", "details": []})
    found = await probe(url, KEY)
    assert _seen(found, "catalogue-size").why == "the answer was platform_busy (status 503)"
    assert _seen(found, "price-h100").outcome is Outcome.DIFFERS
    fault = found.replies["supported-models"].fault
    assert fault is not None
    assert fault.code == "platform_busy"


async def test_a_wrong_key_ends_it_at_the_first_question(service: tuple[Service, str]) -> None:
    """With a key that is refused nothing more is asked."""
    server, url = service
    with pytest.raises(KeyRejected):
        await probe(url, "another-key")
    assert [path for _, path, _ in server.seen] == ["/v3/whoami"]


async def test_a_key_of_no_project_asks_for_nothing_of_a_project(service: tuple[Service, str]) -> None:
    """A key of an organisation sees what everybody sees."""
    server, url = service
    server.lists["/v3/whoami"] = {"type": "org_api_key", "project": None}
    found = await probe(url, KEY)
    assert not [path for _, path, _ in server.seen if "/projects/" in path]
    assert _seen(found, "own-models").why == "it was not asked for"


async def test_nobody_there_is_said_as_such() -> None:
    """An address where nothing listens ends with the one error for that."""
    with pytest.raises(Unreachable):
        await probe("http://127.0.0.1:9", KEY)


@pytest.mark.parametrize("address", ["https://api.example/v1", "ftp://api.example", ""])
async def test_an_address_that_is_none_is_never_asked(address: str) -> None:
    """What can't be the root of an API is refused before a socket is opened."""
    with pytest.raises(SettingInvalid):
        await probe(address, KEY)


async def test_an_endless_answer_is_cut() -> None:
    """An answer beyond the limit is a fault of the platform, and is not read to its end."""

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(LONGEST // 65536 + 2):
            await send({"type": "http.response.body", "body": b" " * 65536, "more_body": True})
        await send({"type": "http.response.body", "body": b"{}"})

    async with serving(endless) as url:
        with pytest.raises(PlatformFault, match="longer than"):
            await probe(url, KEY)


async def test_a_redirect_is_not_followed(service: tuple[Service, str]) -> None:
    """The key goes to the address that was set, wherever that points."""
    server, url = service

    async def pointing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"location", f"{url}/v3/whoami".encode())]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async with serving(pointing) as elsewhere:
        with pytest.raises(Exception, match="points to"):
            await probe(elsewhere, KEY)
    assert server.seen == []


async def test_saved_answers_hold_nothing_of_the_account(
    service: tuple[Service, str], tmp_path: Path
) -> None:
    """No text, id, key or signature of the account is in any file; prices and words of the API are."""
    _, url = service
    found = await probe(url, KEY)
    files = save(found.replies, tmp_path / "answers", (KEY,))
    assert len(files) == len(found.replies)
    text = "\n".join(file.read_text() for file in files)
    parts = {part for whole in private_texts() for part in (whole, *whole.split("/")) if len(part) > 3}
    assert len(parts) > 20
    assert [part for part in sorted(parts - {"https:", "projects", "models"}) if part in text] == []
    for secret in (KEY, "X-Amz-Signature", "5f5f", "dep_Unknown123", "account-trace-0099", "10:11:12"):
        assert secret not in text
    for fact in (
        '"priceCentsPerHour": 600',
        "qwen/text-9b",
        "VISIBILITY_PRIVATE",
        "safetensors_only",
        '"123456"',
    ):
        assert fact in text


async def test_what_belonged_together_still_does(service: tuple[Service, str], tmp_path: Path) -> None:
    """One id has one stand-in, in bodies and in paths."""
    _, url = service
    save((await probe(url, KEY)).replies, tmp_path)
    project = json.loads((tmp_path / "whoami.json").read_text())["body"]["project"]["id"]
    models = json.loads((tmp_path / "models.json").read_text())
    assert models["request"]["path"] == f"/v2/projects/{project}/models"
    row = models["body"]["data"][0]
    assert row["projectId"] == project
    assert row["baseModel"].startswith("projects/")
    revisions = json.loads((tmp_path / "revisions.json").read_text())
    assert revisions["request"]["path"] == f"/v2/projects/{project}/models/{row['id']}/revisions"


async def test_a_replay_is_seen_as_the_service_was(service: tuple[Service, str], tmp_path: Path) -> None:
    """Probed again, saved answers compare as the service did; they refuse to be changed."""
    _, url = service
    first = await probe(url, KEY)
    save(first.replies, tmp_path, (KEY,))
    replay = Replay(tmp_path)
    async with serving(replay) as again:
        second = await probe(again, "any-key-at-all")
        async with httpx.AsyncClient(trust_env=False) as http:
            refused = await http.post(f"{again}/v1/models", json={})
            missing = await http.get(f"{again}/v2/nothing")
    told = [(each.belief.name, each.outcome, each.seen) for each in first.compared]
    assert [(each.belief.name, each.outcome, each.seen) for each in second.compared] == told
    assert refused.status_code == 501
    assert (missing.status_code, missing.json()["code"]) == (404, 5)
    assert replay.asked[0] == "GET /v3/whoami"


def test_a_replay_takes_the_nearest_query(tmp_path: Path) -> None:
    """Two answers of one path are told apart by their parameters."""
    for name, product in (("all", {}), ("dedicated", {"product": "PRODUCT_DEDICATED"})):
        reply = Reply(
            Question(name, "/v2/supported-models", {"limit": "500", **product}), 200, 0.0, {"data": [name]}
        )
        save({name: reply}, tmp_path)
    replay = Replay(tmp_path)
    path = "/v2/supported-models"
    assert replay.find("GET", path, {"limit": "50"})["body"]["data"] == ["all"]
    assert replay.find("GET", path, {"product": "PRODUCT_DEDICATED", "limit": "9"})["body"]["data"] == [
        "dedicated"
    ]


def test_beliefs_are_whole() -> None:
    """Each belief has a look that exists, a source and a date, and each look serves a belief."""
    names = {question.name for question in PUBLIC}
    assert len(beliefs()) >= 25
    assert len({belief.name for belief in beliefs()}) == len(beliefs())
    for belief in beliefs():
        assert belief.look in LOOKS
        assert belief.source
        assert belief.date[:2] == "20"
    assert {belief.of for belief in beliefs() if belief.look in ("form", "fields")} <= names
    assert set(LOOKS) == {belief.look for belief in beliefs()}


@pytest.mark.parametrize("body", [None, 1, "x", [], [1], {}, {"data": None}, {"data": [1, {"name": None}]}])
def test_no_look_fails_on_an_odd_answer(body: Any) -> None:
    """Whatever comes back, every belief is the same, different, noted or not seen: nothing raises."""
    names = {belief.of for belief in beliefs()} | {question.name for question in PUBLIC}
    replies = {
        name: Reply(Question(name, f"/{name}"), 200, 0.0, body)
        for name in (*names, "whoami", "revisions", "configs-1")
    }
    assert len(compare(replies, beliefs())) == len(beliefs())
    assert all(
        each.outcome is Outcome.NOT_SEEN for each in compare({}, beliefs()) if each.belief.look != "headers"
    )
