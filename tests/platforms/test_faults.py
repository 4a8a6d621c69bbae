"""The translation of faults is total, and says whether a call may have acted."""

from __future__ import annotations

import httpx
import pytest
import together
from together import _exceptions as sdk

from lorry import errors
from lorry.platforms.together.faults import Faults, sentence_of

ADDRESS = "https://api.example"
SECRET = "sk-very-secret"  # noqa: S105 - no real one
_REQUEST = httpx.Request("POST", f"{ADDRESS}/v2/x")

FAULTS = Faults(ADDRESS, errors.EngineNotRunning, SECRET)


def _tree(root: type[Exception]) -> list[type[Exception]]:
    return [root, *(leaf for kind in root.__subclasses__() for leaf in _tree(kind))]


def _response(status: int, **body: object) -> httpx.Response:
    return httpx.Response(status, request=_REQUEST, **body)  # type: ignore[arg-type]


def _make(kind: type[Exception]) -> Exception:
    """Build any error of the SDK or of httpx."""
    if issubclass(kind, sdk.APIStatusError):
        return kind("said", response=_response(getattr(kind, "status_code", 500), text="said"), body=None)
    if issubclass(kind, sdk.APIResponseValidationError):
        return kind(_response(200), None)
    if issubclass(kind, sdk.APITimeoutError):
        return kind(_REQUEST)
    if issubclass(kind, sdk.APIConnectionError):
        return kind(request=_REQUEST)
    if issubclass(kind, sdk.APIError):
        return kind("said", _REQUEST, body=None)
    if issubclass(kind, httpx.HTTPStatusError):
        return kind("said", request=_REQUEST, response=_response(500))
    if kind in {httpx.StreamConsumed, httpx.StreamClosed, httpx.ResponseNotRead, httpx.RequestNotRead}:
        return kind()
    return kind("said")


_NAMED = [name for name in vars(sdk) if name.endswith("Error")]

#: The SDK's own tree, not those of its command line and of its training helpers, which we never call.
_SDK = [kind for kind in _tree(together.TogetherError) if kind.__name__ in {"TogetherError", *_NAMED}]
_HTTPX = [*_tree(httpx.HTTPError), *_tree(httpx.StreamError), httpx.InvalidURL]


def test_the_trees_are_there() -> None:
    """The lists that the next test goes over are not empty by accident."""
    assert len(_SDK) >= 13
    assert len(_HTTPX) >= 25


@pytest.mark.parametrize("kind", [*_SDK, *_HTTPX], ids=lambda kind: str(kind.__name__))
def test_every_error_of_the_sdk_and_of_httpx_becomes_one_of_ours(kind: type[Exception]) -> None:
    """No error of the libraries leaves the room, and none ends as the bare base class."""
    with pytest.raises(errors.PlatformError) as caught, FAULTS.translated("do it"):
        raise _make(kind)
    assert type(caught.value) is not errors.PlatformError
    assert ADDRESS in caught.value.message or "do it" in caught.value.message
    assert caught.value.fix


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (302, errors.RequestRefused),
        (400, errors.RequestRefused),
        (401, errors.KeyRejected),
        (402, errors.OutOfCredit),
        (403, errors.AccessDenied),
        (404, errors.NotThere),
        (409, errors.Conflict),
        (422, errors.RequestRefused),
        (429, errors.RateLimited),
        (500, errors.PlatformFault),
        (503, errors.PlatformBusy),
        (504, errors.PlatformBusy),
        (507, errors.PlatformFull),
        (599, errors.PlatformFault),
        (600, errors.PlatformFault),
    ],
)
def test_a_status_has_its_error(status: int, expected: type[errors.PlatformError]) -> None:
    """Each status of the dossier (5.1) becomes its own error, with the platform's sentence in it."""
    response = _response(status, json={"code": 3, "message": "the words", "details": []})
    error = FAULTS.refusal(response, "do it")
    assert type(error) is expected
    assert error.evidence["said"] == "the words"
    assert status < 400 or "the words" in error.message


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (httpx.ConnectError("refused"), errors.EngineNotRunning),
        (httpx.ConnectTimeout("slow"), errors.EngineNotRunning),
        (httpx.PoolTimeout("full"), errors.EngineNotRunning),
        (httpx.ReadTimeout("slow"), errors.AnswerLost),
        (httpx.ReadError("cut"), errors.AnswerLost),
        (httpx.WriteError("cut"), errors.AnswerLost),
        (httpx.RemoteProtocolError("no answer"), errors.AnswerLost),
        (httpx.DecodingError("it is text/html and not JSON"), errors.PlatformFault),
        (ValueError("anything that the SDK met while it waited"), errors.AnswerLost),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_what_the_sdk_wraps_decides(cause: Exception, expected: type[errors.PlatformError]) -> None:
    """Behind the SDK's one connection error, the cause tells whether anything was sent."""
    error = sdk.APIConnectionError(request=_REQUEST)
    error.__cause__ = cause
    found = FAULTS.translate(error, "do it")
    assert type(found) is expected
    assert found.may_have_acted is (expected is not errors.EngineNotRunning)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"json": {"code": 5, "message": "not found", "details": []}}, "not found"),
        ({"json": {"id": "1", "error": {"message": "no model", "type": "t", "code": "c"}}}, "no model"),
        ({"json": {"error": "plain"}}, "plain"),
        ({"json": {"detail": [{"msg": "first"}, {"msg": "second"}]}}, "first second"),
        ({"text": "words alone"}, "words alone"),
        ({"text": "<html>a page</html>"}, "Bad Request"),
        ({"json": {}}, "Bad Request"),
        ({"content": b"\xff\xfe\x00"}, "Bad Request"),
    ],
)
def test_the_sentence_is_found_in_every_form_of_body(body: dict[str, object], sentence: str) -> None:
    """Both forms of the dossier (5.2), and what proxies put in their place, give one sentence."""
    found = sentence_of(_response(400, **body))
    assert found == sentence or (body.get("content") and "<" not in found)


def test_the_key_is_never_in_a_message() -> None:
    """A server that repeats the key does not make us print it."""
    error = FAULTS.refusal(_response(401, json={"message": f"the key {SECRET} is not known"}), "do it")
    assert SECRET not in str(error.as_dict())
    assert "[hidden]" in error.message


def test_a_web_page_does_not_become_a_message() -> None:
    """A long body is cut: an error is a sentence, not a page."""
    error = FAULTS.refusal(_response(500, text="word " * 1000), "do it")
    assert len(error.message) < 600
