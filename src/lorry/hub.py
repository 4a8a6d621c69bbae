"""The Hugging Face Hub through its official client: publish a model, withdraw it again.

The only module that names huggingface_hub. Its faults become `lorry.errors` in one place, `_translated`.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lorry.delivery.ports import Publication, Published
from lorry.errors import (
    AccessDenied,
    AnswerLost,
    Conflict,
    DiskFull,
    KeyRejected,
    LorryError,
    NotThere,
    NotWritable,
    PlatformFault,
    RateLimited,
    RequestRefused,
    Unreachable,
)
from lorry.publication import TAG, model_card

if TYPE_CHECKING:
    from huggingface_hub import HfApi

#: What the Hub itself puts into a new repository; a repository with nothing else is empty.
_EMPTY = frozenset({".gitattributes"})


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
        return await asyncio.to_thread(self._publish, publication)

    async def withdraw(self, repo: str) -> None:
        """Delete a repository that Lorry published; one that is not there is fine.

        Args:
            repo: `owner/name`, or only the name for the token's own user.

        Raises:
            Conflict: Lorry did not publish it.
            PlatformError: The Hub refused or failed.
        """
        await asyncio.to_thread(self._withdraw, repo)

    def _publish(self, publication: Publication) -> Published:
        with self._translated(publication.repo):
            api = self._api()
            repo = _qualified(api, publication.repo)
            if _state(api, repo) == "foreign":
                raise _not_ours(repo)
            api.create_repo(repo, private=publication.private, exist_ok=True)
            made = api.create_commit(
                repo, _operations(publication), commit_message=f"Publish {publication.digest[:12]}"
            )
            return Published(repo, made.oid, f"{self._endpoint}/{repo}")

    def _withdraw(self, repo: str) -> None:
        with self._translated(repo):
            api = self._api()
            full = _qualified(api, repo)
            state = _state(api, full)
            if state == "foreign":
                raise _not_ours(full)
            if state != "absent":
                api.delete_repo(full, missing_ok=True)

    def _api(self) -> HfApi:
        import logging

        from huggingface_hub import HfApi, constants
        from huggingface_hub.utils.tqdm import disable_progress_bars

        # The client takes these three from its modules, not as arguments. Progress and retries are told by our
        # journal; a Hub that does not speak Xet has to be asked in plain LFS.
        constants.HF_HUB_DISABLE_XET = not self._xet
        disable_progress_bars()
        logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
        return HfApi(endpoint=self._endpoint, token=self._token or False, library_name="lorry")

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
            raise known from error


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
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    evidence: dict[str, Any] = {"hub": endpoint, "repo": repo, "error": type(error).__name__}
    if isinstance(error, HfHubHTTPError):
        return _from_status(error, evidence)
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | OfflineModeIsEnabled):
        return unreachable(f"Nothing answers at {endpoint}.", evidence=evidence)
    if isinstance(
        error, httpx2.HTTPError | httpx2.InvalidURL | ConnectionError | TimeoutError | RuntimeError
    ):
        # Xet reports its faults as plain ConnectionError and RuntimeError ("LoRA weight files", 3.2).
        return AnswerLost(f"The connection to {endpoint} broke: {error}", evidence=evidence)
    if isinstance(error, HFValidationError):
        return RequestRefused(f"{repo!r} can't be a repository at {endpoint}: {error}", evidence=evidence)
    if isinstance(error, OSError):
        return _from_disk(error, evidence)
    if isinstance(error, ValueError):  # the client's own checks of a card or an answer
        return RequestRefused(f"The upload to {repo} was refused: {error}", evidence=evidence)
    return None


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
            fix="Set a valid HF_TOKEN (LORRY_ENGINE_KEY for the embedded engine) and run it again.",
            evidence=evidence,
        )
    if isinstance(error, RepositoryNotFoundError):
        return NotThere(
            f"{evidence['repo']} is not at {where}, or this token may not see it.", evidence=evidence
        )
    kinds: dict[int, type[LorryError]] = {
        403: AccessDenied,
        404: NotThere,
        409: Conflict,
        412: Conflict,
        429: RateLimited,
        507: PlatformFault,
    }
    kind = kinds.get(status, PlatformFault if status >= 500 else RequestRefused)
    return kind(f"{where} answered {status}: {reason}", evidence=evidence)


def _from_disk(error: OSError, evidence: dict[str, Any]) -> LorryError:
    file = str(error.filename or "")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"No space is left while publishing {evidence['repo']}.", evidence=evidence)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NotWritable(f"{file or 'A file'} can't be opened: {error.strerror}.", evidence=evidence)
    return AnswerLost(f"Publishing {evidence['repo']} broke off: {error}", evidence=evidence)


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


def _operations(publication: Publication) -> list[Any]:
    from huggingface_hub import CommitOperationAdd

    card = model_card(
        repo=publication.repo.rpartition("/")[2],
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
