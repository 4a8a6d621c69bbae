"""Every body that Together is known to answer with becomes the error that says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from together import AsyncTogether

from lorry import errors
from lorry.delivery.ports import HostedEvent
from lorry.platforms.together.answers import read_answer
from lorry.platforms.together.faults import Faults
from lorry.platforms.together.outcomes import deployment_error, job_error
from lorry.platforms.together.rules import RULES

ADDRESS = "https://api.example"
BODIES = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent / "bodies").glob("*.json"))
}
HTTP = [name for name, body in BODIES.items() if "answer" in body]
JOBS = [name for name, body in BODIES.items() if "job" in body]
DEPLOYMENTS = [name for name, body in BODIES.items() if "deployment" in body]


def _response(body: dict[str, Any]) -> httpx.Response:
    answer, request = body["answer"], body["request"]
    content = {"json": answer["json"]} if "json" in answer else {"text": answer["text"]}
    asked = httpx.Request(request["method"], ADDRESS + request["path"])
    return httpx.Response(answer["status"], headers=answer["headers"], request=asked, **content)


def _tree(root: type[errors.LorryError]) -> Iterator[type[errors.LorryError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_says_where_it_is_from(name: str) -> None:
    """Nobody takes a shaped body for a quoted one: each file has its provenance, its source and its dates."""
    body = BODIES[name]
    assert body["provenance"] in {"quoted", "quoted in part", "shaped"}
    assert body["source"]["where"]
    assert body["source"]["read"]
    assert "sdk" in body
    assert sum(key in body for key in ("answer", "job", "deployment")) == 1
    if body["provenance"] == "quoted" and body["source"]["where"].startswith("https://"):
        assert "date" in body["source"]


@pytest.mark.parametrize("name", HTTP)
async def test_an_answer_becomes_its_error_through_the_official_client(name: str) -> None:
    """The official client raises, and what we make of it has the code, repeats and bills as the file says."""
    body, seen = BODIES[name], []

    def serve(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return _response(body)

    async with httpx.AsyncClient(transport=httpx.MockTransport(serve)) as http:
        client = AsyncTogether(
            api_key="key", base_url=ADDRESS, project_id="p", max_retries=0, http_client=http
        )
        ask = getattr(client, body["request"]["method"].lower())
        faults = Faults(ADDRESS, errors.Unreachable, "key-of-ours")
        with pytest.raises(errors.PlatformError) as caught, faults.translated("do it"):
            await ask(body["request"]["path"], cast_to=httpx.Response)
    error, expect = caught.value, body["expect"]
    assert len(seen) == 1
    assert (error.code, error.retryable, error.pays) == (expect["code"], expect["retryable"], expect["pays"])
    assert error.evidence["status"] == body["answer"]["status"]
    assert expect.get("evidence", {}).items() <= error.evidence.items()
    assert error.fix
    json.dumps(error.as_dict())


@pytest.mark.parametrize(
    "number", range(len(RULES)), ids=lambda number: f"{number}-{RULES[number].error.__name__}"
)
def test_every_row_has_a_body(number: int) -> None:
    """No row of the table is dead: for each there is a body that it is the first to fit."""
    answers = [read_answer(_response(BODIES[name])) for name in HTTP]
    firsts = [next(rule for rule in RULES if rule.fits(answer)) for answer in answers]
    assert any(rule is RULES[number] for rule in firsts)


@pytest.mark.parametrize("name", JOBS)
def test_a_job_becomes_its_error(name: str) -> None:
    """The state decides whether a job failed; its words and its source decide why."""
    job, expect = BODIES[name]["job"], BODIES[name]["expect"]
    kind = job_error(job["said"], job["message"], job["source"])
    assert (kind.code if kind else None) == expect["code"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_becomes_its_error(name: str) -> None:
    """The state decides whether a deployment is in trouble; its words, then its newest complaints, why."""
    given, expect = BODIES[name]["deployment"], BODIES[name]["expect"]
    events = [
        HostedEvent(str(number), "", each["level"], "condition.set", each["message"])
        for number, each in enumerate(given["events"])
    ]
    kind = deployment_error(given["state"], given["message"], events)
    assert (kind.code if kind else None) == expect["code"]


def test_every_error_of_a_platform_is_reached() -> None:
    """No class of the taxonomy is dead: bodies, jobs, deployments and the transport lead to all of them."""
    bases = {errors.PlatformError, errors.SourceUnusable}
    transport = {errors.Unreachable, errors.EngineNotRunning, errors.AnswerLost}  # test_faults.py
    compared = {errors.UploadDamaged}  # test_upload.py
    wanted = set(_tree(errors.PlatformError)) - bases - transport - compared
    wanted |= {errors.ImportFailed, errors.DeploymentFailed, errors.DeploymentStalled}
    reached = {body["expect"]["code"] for body in BODIES.values()}
    assert {kind.code for kind in wanted} <= reached


def test_the_words_of_a_page_are_not_searched() -> None:
    """A page that names capacity far down is no want of capacity: only a sentence's length is read."""
    request = httpx.Request("POST", f"{ADDRESS}/v2/projects/p/endpoints/ep_1/deployments")
    text = "a" * 2000 + " insufficient GPU capacity"
    error = Faults(ADDRESS, errors.Unreachable, "").refusal(
        httpx.Response(400, text=text, request=request), "do it"
    )
    assert type(error) is errors.RequestRefused


def test_a_wait_that_the_platform_names_is_the_next_step() -> None:
    """Retry-After is part of what to do next, rounded up."""
    body = BODIES["429-retry-after-milliseconds"]
    error = Faults(ADDRESS, errors.Unreachable, "").refusal(_response(body), "do it")
    assert error.fix == "Wait 2 s and run the same command again."


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        (
            {"retry-after": "Wed, 25 Nov 2026 05:01:30 GMT"},
            None,
        ),  # without the server's clock it says nothing
        ({"retry-after": "Wed, 25 Nov 2026 05:00:00 GMT", "date": "Wed, 25 Nov 2026 05:01:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 25 Nov 2026 05:01:30 GMT", "date": "Wed, 25 Nov 2026 05:01:00"}, None),
        ({"retry-after-ms": "x", "retry-after": "3"}, 3.0),
        ({}, None),
    ],
)
def test_a_wait_that_is_none_is_left_out(headers: dict[str, str], seconds: float | None) -> None:
    """What can't be read as a wait is not guessed at."""
    answer = read_answer(httpx.Response(429, headers=headers, text="slow down"))
    assert answer.retry_after == seconds
