"""What a connection takes from where, and what it says when the other side fails."""

from __future__ import annotations

import socket

import pytest

from lorry.delivery.ports import ModelKind, Platform, RevisionState
from lorry.errors import (
    AccessDenied,
    AnswerLost,
    EngineNotRunning,
    KeyRejected,
    NotThere,
    PlatformFault,
    RequestRefused,
    SettingInvalid,
    Unreachable,
)
from lorry.platforms.together import connect
from lorry.platforms.together.addresses import is_loopback
from tests.platforms.conftest import BASE
from tests.platforms.stand_in import KEY, StandIn
from tests.platforms.wire import line_to

JSON = "application/json"


async def test_nothing_comes_from_the_environment(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address, key, project and headers are those that were given, whatever the SDK's variables say."""
    monkeypatch.setenv("TOGETHER_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TOGETHER_API_KEY", "other")
    monkeypatch.setenv("TOGETHER_PROJECT_ID", "proj_other")
    monkeypatch.setenv("TOGETHER_CUSTOM_HEADERS", "X-Surprise: yes\nAuthorization: Bearer other")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with connect(server.url, KEY) as platform:
        assert await platform.endpoints.find("tok") is None
    assert server.paths() == ["GET /v3/whoami", "GET /v2/projects/proj_1/endpoints"]
    assert all("x-surprise" not in one.headers for one in server.seen)


async def test_the_project_is_asked_for_once_and_only_when_needed(server: StandIn) -> None:
    """A given project is used as it is; an unknown one costs one question in all."""
    async with connect(server.url, KEY, project="proj_1") as platform:
        await platform.registry.find("tok")
    assert "GET /v3/whoami" not in server.paths()
    async with connect(server.url, KEY) as platform:
        await platform.registry.find("tok")
        await platform.endpoints.find("tok")
    assert server.paths().count("GET /v3/whoami") == 1


async def test_a_key_without_a_project_is_refused_with_the_way_out(server: StandIn) -> None:
    """A key of an organisation can't be used, and the error says which kind is wanted."""
    who = b'{"type": "org_api_key", "api_key": {"id": "k"}, "organization": {"id": "o"}}'
    server.instead.append(("/v3/whoami", 200, who, JSON))
    async with connect(server.url, KEY) as platform:
        with pytest.raises(AccessDenied, match="org_api_key"):
            await platform.registry.find("tok")


async def test_a_wrong_key_is_rejected_and_not_printed(server: StandIn) -> None:
    """401 arrives as KeyRejected, without the key that the server repeated."""
    async with connect(server.url, "wrong-key") as platform:
        with pytest.raises(KeyRejected) as caught:
            await platform.registry.find("tok")
    assert "wrong-key" not in str(caught.value.as_dict())
    assert "LORRY_ENGINE_KEY" in caught.value.fix  # on this machine it is the engine that wants one


@pytest.mark.parametrize("kind", [Unreachable, EngineNotRunning])
async def test_nobody_listening_is_said_as_the_caller_wants(kind: type[Unreachable]) -> None:
    """A refused connection is the error that the caller chose, and names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with connect(f"http://127.0.0.1:{port}", KEY, unreachable=kind) as platform:
        with pytest.raises(Unreachable, match=str(port)) as caught:
            await platform.registry.find("tok")
    assert type(caught.value) is kind
    assert not caught.value.may_have_acted


async def test_a_lost_answer_says_that_the_call_may_have_acted(server: StandIn) -> None:
    """The line breaks after the request arrived: the thing exists, and the call is not repeated."""
    async with line_to(server.url) as line, connect(line.url, KEY) as platform:
        base = await platform.registry.base(BASE)
        line.losing = True
        with pytest.raises(AnswerLost) as caught:
            await platform.registry.create("tok", base, "ours", ModelKind.ADAPTER)
        line.losing = False
        assert caught.value.may_have_acted
        assert (await platform.registry.find("tok")) is not None
    assert len([path for path in server.paths() if path.startswith("POST")]) == 1


async def test_a_server_that_never_answers_loses_the_answer() -> None:
    """The request went out and the time ran out: it may have acted."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with connect(url, KEY, project="proj_1", timeout=0.05) as platform:
            with pytest.raises(AnswerLost, match="too long") as caught:
                await platform.endpoints.create("tok")
    assert caught.value.may_have_acted


async def test_a_failing_create_is_sent_once(platform: Platform, server: StandIn) -> None:
    """A 500 on a create is a PlatformFault after one request: the SDK's own retries are off."""
    server.instead.append(("/v2/projects/proj_1/endpoints", 500, b'{"message": "it broke"}', JSON))
    with pytest.raises(PlatformFault, match="it broke"):
        await platform.endpoints.create("tok")
    assert len([path for path in server.paths() if path.startswith("POST")]) == 1


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<html>a portal</html>", "text/html"),
        (b'{"id": 1}', JSON),
        (b"[]", JSON),
        (b"{", JSON),
        (b"null", JSON),
    ],
)
async def test_an_answer_of_another_form_is_a_fault(
    platform: Platform, server: StandIn, content: bytes, kind: str
) -> None:
    """A web page, cut JSON or an object without its fields never passes as the thing asked for."""
    server.instead.append(("/v2/projects/proj_1/endpoints", 200, content, kind))
    with pytest.raises(PlatformFault, match="can't be read"):
        await platform.endpoints.create("tok")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nonsense",
        "ftp://host",
        "http://",
        "http://127.0.0.1:99999",
        "http://[::1",
        "http://127.0.0.1/v1/",
    ],
)
async def test_an_address_that_is_none_is_said_before_anything_is_sent(address: str) -> None:
    """No scheme, no host, no such port, or a path, of which `/v1` is the usual one (dossier 8.1)."""
    with pytest.raises(SettingInvalid, match="address"):
        async with connect(address, KEY):
            pass


@pytest.mark.parametrize("key", ["", "two words", "kéy", "key\n"])
async def test_a_key_that_can_be_none_is_said_and_not_printed(key: str) -> None:
    """What can't stand in a header is found before it is sent."""
    with pytest.raises(SettingInvalid) as caught:
        async with connect("http://127.0.0.1:9", key):
            pass
    assert not key or key not in str(caught.value.as_dict())


async def test_a_server_of_another_kind_is_told_apart(server: StandIn) -> None:
    """A server without whoami is no platform of this kind: the address is wrong, not the model lost."""
    server.instead.append(("/v3/whoami", 404, b"<html>nothing here</html>", "text/html"))
    async with connect(server.url, KEY) as platform:
        with pytest.raises(RequestRefused, match="does not speak"):
            await platform.registry.find("tok")


async def test_a_deletion_may_answer_with_nothing(platform: Platform, server: StandIn) -> None:
    """204 without a body is a deletion that worked."""
    server.instead.append(("/v2/projects/proj_1/models/ml_1", 204, b"", ""))
    await platform.registry.delete("ml_1")
    assert server.paths()[-1] == "DELETE /v2/projects/proj_1/models/ml_1"


async def test_a_redirect_is_not_followed(platform: Platform, server: StandIn) -> None:
    """A key goes to the address that was given and to no other."""
    server.instead.append(("/v2/projects/proj_1/endpoints", 307, b"", "text/plain"))
    with pytest.raises(RequestRefused, match="307"):
        await platform.endpoints.create("tok")


async def test_revisions_come_newest_first_with_their_reasons(platform: Platform, server: StandIn) -> None:
    """Three revisions on two pages: sorted by time, each state read, each reason kept."""
    server.models["ml_1"] = {"id": "ml_1", "name": "slug/tok"}
    server.revisions["ml_1"] = [
        {"revisionId": f"rv_{n}", "createdAt": f"2026-11-01T00:00:0{n}Z", "validationStatus": f"{_S}{said}"}
        for n, said in ((1, "FAILED"), (3, "PENDING"), (2, "SUCCESS"), (0, "ERROR"))
    ]
    server.revisions["ml_1"][0]["validationErrors"] = [
        {"rule": "lora_keys", "severity": "error", "message": "no LoRA keys"},
        {"message": "and more"},
    ]
    found = await platform.registry.revisions("ml_1")
    assert [one.id for one in found] == ["rv_3", "rv_2", "rv_1", "rv_0"]
    assert [one.state for one in found] == [
        RevisionState.PENDING,
        RevisionState.VALID,
        RevisionState.REJECTED,
        RevisionState.REJECTED,
    ]
    assert found[2].reasons == ("lora_keys: no LoRA keys", "and more")
    assert found[3].reasons  # never without any


async def test_revisions_of_no_model_are_not_there(platform: Platform) -> None:
    """A read of something unknown is NotThere."""
    with pytest.raises(NotThere, match="ml_none"):
        await platform.registry.revisions("ml_none")


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("http://127.0.0.1:8765", True),
        ("http://localhost", True),
        ("http://[::1]:80", True),
        ("https://api.together.ai", False),
        ("http://127.0.0.1.example.com", False),
        ("http://10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback_is_told_by_the_host_alone(address: str, here: bool) -> None:
    """Proxies of the environment are left out for this machine and for nothing else."""
    assert is_loopback(address) is here


_S = "REVISION_VALIDATION_STATUS_"
