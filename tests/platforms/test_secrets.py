"""A key that a server, a library or an address gives back to us is in nothing that we print or keep."""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from together import APIConnectionError, BadRequestError

from lorry.cli.main import run
from lorry.cli.printing import error_lines, event_line
from lorry.errors import LorryError, PlatformError, Unreachable
from lorry.journal import Hiding, step_failed, step_note, step_retrying
from lorry.model.events import Event
from lorry.platforms.together.faults import Faults
from lorry.settings import read_settings
from tests.test_redaction import KEYS

ADDRESS = "https://api.example"
NOW = datetime(2026, 11, 25, tzinfo=UTC)
_REQUEST = httpx.Request("POST", f"{ADDRESS}/v1/chat/completions")

#: A signature as clouds make them; nobody but the address knows it.
SIGNATURES = st.text(st.sampled_from("0123456789abcdefABCDEF%_-."), max_size=64).map("5igX{}".format)


def _bodies(secret: str) -> list[dict[str, Any]]:
    return [
        {"json": {"error": {"message": f"a{secret}z", "type": secret, "param": secret, "code": secret}}},
        {"json": {"code": 16, "message": f"Bearer {secret}", "details": [{"detail": secret}]}},
        {"json": {"id": secret, "detail": [{"msg": secret}, {secret: secret}]}},
        {"text": f"{' ' * 300}Authorization: Bearer {secret} {'x' * 500}"},
        {"text": "y" * 390 + secret + "z"},
        {"json": {"error": f"https://api.example/?key={secret}"}},
    ]


def _errors(secret: str, faults: Faults) -> list[PlatformError]:
    """Give every error that a server or a library could put a secret into, raised as we raise it."""
    headers = {"x-request-id": secret, "retry-after": secret, "x-ratelimit-reset": secret}
    causes: list[Exception] = [
        httpx.ConnectError(f"[Errno 111] {secret}"),
        httpx.ReadTimeout(secret),
        httpx.InvalidURL(f"Invalid URL: https://h/?key={secret}"),
        httpx.DecodingError(secret),
        ValueError(f"Illegal header value b'Bearer {secret}'"),
    ]
    for body in _bodies(secret):
        for status in (302, 400, 401, 429, 503):
            more = {"location": f"https://h/{secret}?x={secret}"} if status == 302 else {}
            response = httpx.Response(status, headers=headers | more, request=_REQUEST, **body)
            causes.append(BadRequestError(f"Error code: {status} - {body}", response=response, body=body))
    raised = []
    for cause in causes:
        try:
            with faults.translated("do it"):
                try:
                    raise cause
                except ValueError as inner:  # what the official client makes of a fault below it
                    raise APIConnectionError(message=str(inner), request=_REQUEST) from inner
        except PlatformError as error:
            raised.append(error)
    assert len(raised) == len(causes)
    return raised


class _Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def write(self, event: Event) -> None:
        self.events.append(event)

    async def read(self, model: str, after: int = 0) -> tuple[Event, ...]:
        return tuple(event for event in self.events if event.model == model and event.id >= after)


def _all_that_is_shown(error: LorryError) -> str:
    events = [
        step_failed("tok", "delivery", "deploy", error, NOW, NOW),
        step_retrying("tok", "delivery", "deploy", error, NOW, 1.0),
    ]
    return "\n".join(
        [
            json.dumps(error.as_dict()),
            str(error),
            repr(error),
            *error_lines(error),
            *traceback.format_exception(error),
            *(json.dumps(event.as_dict()) + event_line(event) for event in events),
        ]
    )


@given(KEYS)
def test_our_key_comes_back_nowhere(key: str) -> None:
    """Whatever echoes the key, in whatever form: no sentence, datum, line, traceback or event has it."""
    for error in _errors(key, Faults(ADDRESS, Unreachable, key)):
        text = _all_that_is_shown(error)
        assert key not in text
        assert json.dumps(key)[1:-1] not in text


@given(SIGNATURES)
def test_a_signature_that_nobody_knows_comes_back_nowhere(signature: str) -> None:
    """Of a presigned address only what stands before the `?` is shown, wherever it stood."""
    address = f"https://bucket.s3.amazonaws.com/tok.tar.gz?X-Amz-Expires=6000&X-Amz-Signature={signature}"
    faults = Faults(ADDRESS, Unreachable, "another-key")
    response = httpx.Response(400, json={"code": 3, "message": f"can't read {address}"}, request=_REQUEST)
    cause = httpx.HTTPStatusError(f"Client error for url '{address}'", request=_REQUEST, response=response)
    with pytest.raises(PlatformError) as caught, faults.translated(f"fetch {address}"):
        raise cause
    text = _all_that_is_shown(caught.value)
    note = step_note("tok", "delivery", "import", "intended", f"From {address}.", NOW, {"source": address})
    assert "https://bucket.s3.amazonaws.com/tok.tar.gz" in text
    for shown in (text, json.dumps(note.as_dict())):
        assert signature not in shown
        assert "X-Amz-Signature" not in shown


@given(KEYS)
async def test_a_journal_hides_the_keys_of_the_settings(key: str) -> None:
    """What any step says, a fault of ours included, is written without the keys that are set."""
    kept = _Kept()
    journal = Hiding(kept, (key,))
    await journal.write(
        Event("tok", "delivery", "prove", "failed", f"It broke: {key}", NOW, data={"text": [key]})
    )
    assert key not in json.dumps([event.as_dict() for event in await journal.read("tok")])
    assert len(kept.events) == 1


def test_an_error_keeps_its_cause_where_that_shows_nothing() -> None:
    """A harmless cause stays behind our error, for who looks for a fault."""
    with pytest.raises(PlatformError) as caught, Faults(ADDRESS, Unreachable, "tgp-key").translated("do it"):
        raise httpx.ReadTimeout("too slow")
    assert isinstance(caught.value.__cause__, httpx.ReadTimeout)


@pytest.mark.parametrize("as_json", [False, True])
def test_the_door_hides_every_key_that_is_set(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key that was put into the wrong variable is not repeated by the error about that variable."""
    key = "tgp-9876543210-in-the-wrong-place"
    for variable in ("LORRY_ENGINE_URL", "LORRY_TOGETHER_URL", "LORRY_RENDERER", "LORRY_TOGETHER_KEY"):
        monkeypatch.setenv(variable, key)
    assert run(["models", *(["--json"] if as_json else [])]) == 2
    said = "".join(capsys.readouterr())
    assert "LORRY_ENGINE_URL" in said
    assert key not in said


def test_settings_show_no_key() -> None:
    """Settings can be printed: their keys and tokens are in `secrets` and nowhere in the text."""
    environ = {"LORRY_TOGETHER_KEY": "tgp_one", "HF_TOKEN": "hf_two", "LORRY_ENGINE_KEY": "three-three"}
    settings = read_settings(environ=environ)
    assert sorted(settings.secrets) == ["hf_two", "tgp_one", "three-three"]
    assert not [secret for secret in settings.secrets if secret in repr(settings)]
