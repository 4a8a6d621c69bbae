"""The Hugging Face Hub through its official client: publish a model, withdraw it again.

The only module that names huggingface_hub. Its faults become `lorry.errors` in one place, `_translated`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lorry.daemon_thread import in_daemon_thread
from lorry.delivery.ports import Publication, Published
from lorry.errors import (
    AccessDenied,
    AnswerLost,
    Conflict,
    KeyRejected,
    LorryError,
    NotThere,
    RequestRefused,
    SourceNotFound,
    Unreachable,
)
from lorry.publication import TAG, from_disk, kind_of, model_card
from lorry.redaction import betrays

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi

#: What the Hub itself puts into a new repository; a repository with nothing else is empty.
_EMPTY = frozenset({".gitattributes"})
#: Seconds until an engine on this machine has to answer; it may be putting gigabytes together.
_PATIENCE = 600
#: The client keeps its settings in its modules, one set for the whole process: who changes them takes this.
_SETTINGS = threading.Lock()
_KEY_FIX = "Set a valid HF_TOKEN (LORRY_ENGINE_KEY for the embedded engine) and run it again."
#: Whose exceptions are the client's.
_CLIENT = frozenset({"huggingface_hub", "httpx2", "httpcore2", "hf_xet"})


class HubPublisher:
    """Publishes to one Hub with one token.

    Args:
        endpoint: Address of the Hub.
        token: Token that may write.
        xet: Whether this Hub takes uploads through Xet; plain LFS otherwise.
        unreachable: What to raise when nothing answers there.
    """

    def __init__(
        self, endpoint: str, token: str | None, *, xet: bool, unreachable: type[Unreachable] = Unreachable
    ) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._token = token
        self._xet = xet
        self._unreachable = unreachable

    async def publish(self, publication: Publication) -> Published:
        """Bring a repository to what is given, in one commit; doing it again makes no new commit.

        Args:
            publication: The files, and the facts for the card.

        Raises:
            Conflict: A repository of that name holds something that Lorry did not publish.
            PlatformError: The Hub refused or failed.
        """
        return await in_daemon_thread(lambda: self._publish(publication))

    async def withdraw(self, repo: str) -> None:
        """Delete a repository that Lorry published; one that is not there is fine.

        Args:
            repo: `owner/name`, or only the name for the token's own user.

        Raises:
            Conflict: Lorry did not publish it.
            PlatformError: The Hub refused or failed.
        """
        await in_daemon_thread(lambda: self._withdraw(repo))

    def _publish(self, publication: Publication) -> Published:
        with self._translated(publication.repo), _settled(self._endpoint, xet=self._xet):
            api = self._api()
            repo = _qualified(api, publication.repo)
            operations = _operations(publication, repo)
            if _state(api, repo) == "foreign":
                raise _not_ours(repo)
            api.create_repo(repo, private=publication.private, exist_ok=True)
            made = api.create_commit(repo, operations, commit_message=f"Publish {publication.digest[:12]}")
            return Published(repo, made.oid, f"{self._endpoint}/{repo}")

    def _withdraw(self, repo: str) -> None:
        with self._translated(repo), _settled(self._endpoint, xet=self._xet):
            api = self._api()
            full = _qualified(api, repo)
            state = _state(api, full)
            if state == "foreign":
                raise _not_ours(full)
            if state != "absent":
                api.delete_repo(full, missing_ok=True)

    def _api(self) -> HfApi:
        from huggingface_hub import HfApi

        if not self._token:  # the client would take a stored login instead
            raise KeyRejected(
                f"There is no token for {self._endpoint}.", fix=_KEY_FIX, evidence={"hub": self._endpoint}
            )
        return HfApi(endpoint=self._endpoint, token=self._token, library_name="lorry")

    @contextmanager
    def _translated(self, repo: str) -> Iterator[None]:
        try:
            yield
        except LorryError:
            raise
        except Exception as error:
            known = translate(error, self._endpoint, repo, self._unreachable)
            if known is None:
                raise
            secrets = (self._token or "",)
            known.hide(secrets)
            raise known from (None if betrays(str(error), secrets) else error)


@contextmanager
def _settled(endpoint: str, *, xet: bool) -> Iterator[None]:
    """Set the client up for one Hub, and leave it as it was found.

    What it takes from its modules and not as arguments: whether to use Xet (a Hub that does not speak it has
    to be asked in plain LFS), its progress bars and warnings (our journal tells), and its HTTP client.
    """
    from huggingface_hub import constants, set_client_factory
    from huggingface_hub.utils import _http
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    logger = logging.getLogger("huggingface_hub")
    with _SETTINGS:
        before = constants.HF_HUB_DISABLE_XET, logger.level, _http._GLOBAL_CLIENT_FACTORY
        # Who set the client's own variable for the bars has decided; it warns whoever tries to overrule.
        bars = constants.HF_HUB_DISABLE_PROGRESS_BARS is None and not are_progress_bars_disabled()
        try:
            constants.HF_HUB_DISABLE_XET = not xet
            logger.setLevel(logging.CRITICAL)
            if bars:
                disable_progress_bars()
            if _on_this_machine(endpoint):
                set_client_factory(_direct)
            yield
        finally:
            constants.HF_HUB_DISABLE_XET = before[0]
            logger.setLevel(before[1])
            if bars:
                enable_progress_bars()
            if _on_this_machine(endpoint):
                set_client_factory(before[2])


def _direct() -> httpx2.Client:
    import httpx2

    # No proxy of the environment reaches this machine, and HF_HUB_OFFLINE is not about it: the client's own
    # hook would refuse. Reading the authorities takes 50 ms and serves nothing here.
    return httpx2.Client(trust_env=False, verify=False, follow_redirects=True, timeout=_PATIENCE)


def _on_this_machine(endpoint: str) -> bool:
    url = urlsplit(endpoint)
    return url.scheme == "http" and url.hostname in ("localhost", "127.0.0.1", "::1")


def translate(
    error: BaseException, endpoint: str, repo: str, unreachable: type[Unreachable] = Unreachable
) -> LorryError | None:
    """Say what a fault of the Hub's client means; `None` when it is a fault of ours.

    Args:
        error: What the client raised.
        endpoint: Address of the Hub.
        repo: The repository concerned.
        unreachable: What stands for a Hub that does not answer.
    """
    from huggingface_hub.errors import HfHubHTTPError

    if type(error) is RuntimeError and error.__cause__ is not None:  # how it wraps a fault of one file
        return translate(error.__cause__, endpoint, repo, unreachable)
    evidence: dict[str, Any] = {"hub": endpoint, "repo": repo, "error": type(error).__name__}
    if isinstance(error, HfHubHTTPError):
        return _from_status(error, evidence)
    for classes, kind, sentence in _meanings(unreachable):
        if isinstance(error, classes):
            return kind(sentence.format(hub=endpoint, repo=repo, error=error), evidence=evidence)
    if isinstance(error, OSError):
        return from_disk(error, evidence)
    if type(error).__module__.partition(".")[0] in _CLIENT:
        return RequestRefused(f"The client of {endpoint} gave up on {repo}: {error}", evidence=evidence)
    return None


def _meanings(unreachable: type[Unreachable]) -> list[tuple[Any, type[LorryError], str]]:
    """Say what exceptions mean that are no answers of the Hub; the first that fits counts."""
    import httpx2
    from huggingface_hub import errors

    never = (errors.OfflineModeIsEnabled, httpx2.ConnectError, httpx2.ConnectTimeout)
    address = (httpx2.InvalidURL, httpx2.UnsupportedProtocol)
    # Xet reports its faults as plain ConnectionError and RuntimeError ("LoRA weight files", 3.2).
    cut = (httpx2.HTTPError, ConnectionError, TimeoutError, RuntimeError)
    return [
        (never, unreachable, "Nothing answers at {hub}: {error}"),
        (errors.LocalTokenNotFoundError, KeyRejected, "There is no token for {hub}."),
        (address, RequestRefused, "{hub} can't be the address of a Hub: {error}"),
        (cut, AnswerLost, "The connection to {hub} broke: {error}"),
        (errors.HFValidationError, RequestRefused, "{repo!r} can't be a repository at {hub}: {error}"),
        # The client's own checks of a card or an answer.
        (ValueError, RequestRefused, "The upload to {repo} was refused: {error}"),
    ]


def _from_status(error: Any, evidence: dict[str, Any]) -> LorryError:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    response = error.response
    status = response.status_code if response is not None else 0
    said = (error.server_message or str(error)).strip().splitlines()
    reason = said[0] if said else f"status {status}"
    evidence = {**evidence, "status": status, "request_id": error.request_id}
    where = evidence["hub"]
    if isinstance(error, GatedRepoError):
        return AccessDenied(f"{evidence['repo']} at {where} is gated: {reason}", evidence=evidence)
    if status == 401:
        return KeyRejected(
            f"{where} rejected the token: {reason}",
            fix=_KEY_FIX,
            evidence=evidence,
        )
    if isinstance(error, RepositoryNotFoundError):
        return NotThere(
            f"{evidence['repo']} is not at {where}, or this token may not see it.", evidence=evidence
        )
    return kind_of(status)(f"{where} answered {status}: {reason}", evidence=evidence)


def _qualified(api: HfApi, repo: str) -> str:
    return repo if "/" in repo else f"{api.whoami()['name']}/{repo}"


def _state(api: HfApi, repo: str) -> str:
    """Tell whether a repository is `absent`, `empty`, `ours` or `foreign`."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.model_info(repo)
    except RepositoryNotFoundError as error:
        # The client reads every 401 as "no such repository"; only the Hub's own code makes it that.
        if error.response.status_code == 401 and "X-Error-Code" not in error.response.headers:
            raise
        return "absent"
    if {file.rfilename for file in info.siblings or []} <= _EMPTY:
        return "empty"
    return "ours" if TAG in (info.tags or []) else "foreign"


def _operations(publication: Publication, repo: str) -> list[Any]:
    from huggingface_hub import CommitOperationAdd

    for file in publication.files:
        if not file.path.is_file():
            raise SourceNotFound(f"{file.path} is not there any more.", evidence={"path": str(file.path)})
    card = model_card(
        repo=repo,
        base=publication.base,
        trigger=publication.trigger,
        digest=publication.digest,
        weights=publication.files[0].name,
    )
    files = [CommitOperationAdd(file.name, str(file.path)) for file in publication.files]
    return [*files, CommitOperationAdd("README.md", card.encode())]


def _not_ours(repo: str) -> Conflict:
    return Conflict(
        f"{repo} holds something that Lorry did not publish, so it was left alone.",
        fix="Ship under another `--name`, or move that repository away.",
        evidence={"repo": repo},
    )
