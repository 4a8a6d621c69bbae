"""Every fault of the client becomes one of Lorry's errors."""

from __future__ import annotations

import errno
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from huggingface_hub import errors

from lorry.delivery.ports import Publication
from lorry.errors import (
    AccessDenied,
    AnswerLost,
    Conflict,
    DiskFull,
    EngineNotRunning,
    KeyRejected,
    LorryError,
    NotThere,
    NotWritable,
    PlatformFault,
    RateLimited,
    RequestRefused,
    SourceNotFound,
    Unreachable,
)
from lorry.hub import HubPublisher, translate
from tests.hub.loopback import answering, free_address

HUB = "http://127.0.0.1:1"


def response(status: int, **headers: str) -> httpx2.Response:
    """Make an answer of a Hub."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(
        status, headers=sent, request=httpx2.Request("GET", HUB), json={"error": "so it is"}
    )


def exceptions_of(module: Any) -> list[type[Exception]]:
    """List all classes of exceptions in a module."""
    found = [kind for _, kind in inspect.getmembers(module, inspect.isclass)]
    return [kind for kind in found if issubclass(kind, Exception) and not issubclass(kind, Warning)]


def one(kind: type[Exception]) -> Exception:
    """Make an exception of a class without knowing what it is built from."""
    error = kind.__new__(kind)
    error.args = ("so it is",)
    if issubclass(kind, errors.HfHubHTTPError):
        errors.HfHubHTTPError.__init__(error, "so it is", response=response(404))  # type: ignore[arg-type]
    return error


@pytest.mark.parametrize(
    "kind",
    [*exceptions_of(errors), *(kind for kind in exceptions_of(httpx2))],
    ids=lambda kind: f"{kind.__module__.partition('.')[0]}.{kind.__name__}",
)
def test_the_translation_is_total(kind: type[Exception]) -> None:
    """No class of the client and of its HTTP library reaches a user as it is."""
    translated = translate(one(kind), HUB, "local/tok")
    assert isinstance(translated, LorryError)
    assert translated.message
    assert translated.evidence["hub"] == HUB


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestRefused),
        (401, KeyRejected),
        (403, AccessDenied),
        (404, NotThere),
        (409, Conflict),
        (412, Conflict),
        (422, RequestRefused),
        (429, RateLimited),
        (500, PlatformFault),
        (503, PlatformFault),
        (507, PlatformFault),
    ],
)
def test_a_status_means_what_it_means_everywhere(status: int, kind: type[LorryError]) -> None:
    """The Hub's statuses become the same errors as those of any platform; the Hub's sentence is kept."""
    error = errors.HfHubHTTPError("Client Error", response=response(status), server_message="so it is")
    translated = translate(error, HUB, "local/tok")
    assert type(translated) is kind
    assert "so it is" in translated.message
    assert translated.evidence["status"] == status


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "full"), DiskFull),
        (OSError(errno.EDQUOT, "quota"), DiskFull),
        (PermissionError(errno.EACCES, "denied", "w.safetensors"), NotWritable),
        (OSError(errno.EROFS, "read only"), NotWritable),
        (FileNotFoundError(errno.ENOENT, "gone", "w.safetensors"), SourceNotFound),
        (OSError(errno.EIO, "broken"), AnswerLost),
        (httpx2.ConnectError("refused"), EngineNotRunning),
        (httpx2.ConnectTimeout("slow"), EngineNotRunning),
        (errors.OfflineModeIsEnabled("offline"), EngineNotRunning),
        (httpx2.ReadTimeout("slow"), AnswerLost),
        (httpx2.RemoteProtocolError("cut"), AnswerLost),
        (ConnectionError("xet"), AnswerLost),
        (RuntimeError("xet"), AnswerLost),
        (httpx2.InvalidURL("no address"), RequestRefused),
        (errors.HFValidationError("no name"), RequestRefused),
        (errors.LocalTokenNotFoundError("none"), KeyRejected),
        (errors.GatedRepoError("gated", response=response(403)), AccessDenied),
        (errors.RepositoryNotFoundError("none", response=response(404)), NotThere),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else f"{type(value).__name__}",
)
def test_faults_that_are_no_answers(error: Exception, kind: type[LorryError]) -> None:
    """Disk, network and the client's own checks are told apart."""
    assert type(translate(error, HUB, "local/tok", EngineNotRunning)) is kind


def test_a_wrapped_fault_counts_as_what_it_wraps() -> None:
    """The client wraps what went wrong with one file in a RuntimeError."""
    outer = RuntimeError("Error while uploading 'w.safetensors' to the Hub.")
    outer.__cause__ = errors.HfHubHTTPError("no", response=response(507))
    assert type(translate(outer, HUB, "local/tok")) is PlatformFault


@pytest.mark.parametrize("error", [KeyError("ours"), TypeError("ours"), AssertionError("ours")])
def test_faults_of_ours_are_not_dressed_up(error: Exception) -> None:
    """A mistake in our own code stays visible as one."""
    assert translate(error, HUB, "local/tok") is None


@pytest.mark.parametrize("kind", [Unreachable, EngineNotRunning])
async def test_nobody_listening_is_told_at_once(
    publication: Callable[..., Publication], kind: type[Unreachable]
) -> None:
    """No retries hold the user up, and the class is the one that was asked for."""
    url = free_address()
    publisher = HubPublisher(url, "any", xet=False, unreachable=kind)
    begin = time.monotonic()
    for attempt in (
        publisher.publish(publication()),
        publisher.publish(publication(repo="local/tok")),
        publisher.withdraw("tok"),
        publisher.withdraw("local/tok"),
    ):
        with pytest.raises(kind, match=url) as caught:
            await attempt
        assert type(caught.value) is kind
    # Its retries alone would take 23 s (1, 2, 4, 8 and 8).
    assert time.monotonic() - begin < 10


@pytest.fixture
def failing() -> Iterator[Callable[[int], Any]]:
    """Give a way to run a Hub that answers everything with one status."""

    def run(status: int) -> Any:
        async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
            assert scope["type"] == "http"
            headers = [(b"retry-after", b"60"), (b"x-error-message", b"not today")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"<html>no JSON</html>"})

        return answering(app)

    return run  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("status", "kind"), [(200, RequestRefused), (403, AccessDenied), (429, RateLimited), (503, PlatformFault)]
)
async def test_a_hub_that_fails(
    failing: Callable[[int], Any],
    publication: Callable[..., Publication],
    status: int,
    kind: type[LorryError],
) -> None:
    """The first answer counts: nothing is repeated behind the delivery's back."""
    with failing(status) as url:
        publisher = HubPublisher(url, "any", xet=False)
        for attempt in (publisher.publish(publication(repo="local/tok")), publisher.withdraw("local/tok")):
            with pytest.raises(kind) as caught:
                await attempt
            assert type(caught.value) is kind
