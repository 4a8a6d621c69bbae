"""Why something at Together failed after it had been taken on: jobs that import files, and deployments.

There is no status code for these: the platform gives a state and a sentence, and publishes no list of the
sentences (Together API dossier 2.4, 5.5). So the state decides whether it failed at all, and only then do
words and events choose among the errors; beside each pattern stands where its words were read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from lorry.delivery.ports import HostedEvent
from lorry.errors import (
    ArchiveLayout,
    BaseUnsupported,
    DeploymentFailed,
    DeploymentStalled,
    ImportFailed,
    LinkExpired,
    LorryError,
    NoCapacity,
    SourcePrivate,
)

#: States of a job that has no files to show (dossier 1.2 and 2.4); the platform may try `ERROR` again.
JOB_FAILED = frozenset({"FAILED", "ERROR"})

#: States of a deployment that it does not leave by itself, in v2 and in v1 (dossier 1.3 and 2.7).
DEPLOYMENT_ENDED = frozenset({"FAILED", "ERROR"})

#: The state in which it runs with less than it should, or waits for what does not come (dossier 5.5).
_DEGRADED = "DEGRADED"

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")

_REFUSED = r"\b40[13]\b|access denied|forbidden|unauthori[sz]ed|permission"

#: dossier 1.1 and 5.5: a gated or private repository needs a token; a wrong one leaves the job stuck.
_PRIVATE = re.compile(rf"{_REFUSED}|\bgated\b|\bprivate\b|hf[_ ]?token|\btoken\b", re.I)

#: dossier 1.1 and 5.5: an address that is signed for too short; "Request has expired" is how S3 says it.
_EXPIRED = re.compile(rf"{_REFUSED}|expired|\bsignature\b", re.I)

#: dossier 1.1: one archive, its files at its root.
_LAYOUT = re.compile(
    r"\barchive\b|\b(root|top-level|nested)\b|no such file|(config|adapter_config|\.safetensors)\S*"
    r" (was )?(not found|missing|does not exist)|missing \S*(config|safetensors)",
    re.I,
)

#: dossier 5.5 (validation) and togethercomputer/skills (unsupported base, layer type or adapter rank).
_UNSUPPORTED = re.compile(
    r"(unsupported|not supported|incompatible|not compatible)[^.]*(base|architecture|rank|layer|model type)"
    r"|(base|architecture|rank|layer|model type)[^.]*(unsupported|not supported|incompatible|not compatible)",
    re.I,
)

#: dossier 5.5 (DEGRADED "insufficient GPU capacity") and 2.9 (the failure category CAPACITY_EXHAUSTED).
_CAPACITY = re.compile(r"insufficient (gpu )?capacity|capacity[ _]exhausted|no (available )?capacity", re.I)

#: dossier 5.5 (DEGRADED "Startup stalled", FAILED "Timed out waiting for readiness").
_STALLED = re.compile(r"\bstalled\b|timed out waiting for readiness", re.I)

#: Levels of events that complain.
_COMPLAINTS = frozenset({"warn", "error"})

#: Of a server's sentence, as much as is searched.
_LONGEST = 2000


def job_error(said: str, message: str, source: str) -> type[LorryError] | None:
    """Choose the error of a job that was to fetch files: a remote upload, or a legacy job.

    Args:
        said: The job's state as the platform gives it (`REMOTE_UPLOAD_STATUS_FAILED`, `Failed`).
        message: Its last sentence.
        source: From where it was to fetch: a repository's name or address, or the address of an archive.

    Returns:
        The error; `None` for a job that has not failed.
    """
    if _state(said) not in JOB_FAILED:
        return None
    text = message[:_LONGEST]
    if _UNSUPPORTED.search(text):
        return BaseUnsupported
    if is_archive(source):
        if _EXPIRED.search(text):
            return LinkExpired
        return ArchiveLayout if _LAYOUT.search(text) else ImportFailed
    return SourcePrivate if _PRIVATE.search(text) else ImportFailed


def deployment_error(state: str, message: str, events: Iterable[HostedEvent] = ()) -> type[LorryError] | None:
    """Choose the error of a deployment that is not coming up.

    Args:
        state: Its state as the platform gives it (`DEPLOYMENT_STATE_DEGRADED`, `ERROR`).
        message: Its sentence.
        events: What the platform said happened, oldest first; asked only where the sentence tells nothing.

    Returns:
        The error; `None` where it has none, or runs with fewer replicas for a reason that it does not name.
    """
    ended = _state(state) in DEPLOYMENT_ENDED
    if not ended and _state(state) != _DEGRADED:
        return None
    for text in (message, *_troubles(tuple(events))):
        if _CAPACITY.search(text[:_LONGEST]):
            return NoCapacity
        if _STALLED.search(text[:_LONGEST]):
            return DeploymentStalled
    return DeploymentFailed if ended else None


def is_archive(source: str) -> bool:
    """Tell whether files come as one archive behind an address, rather than from a repository of the Hub.

    Args:
        source: What was given: `owner/name`, an address of a repository, or one of an archive.
    """
    parts = urlsplit(source)
    return bool(parts.query) or parts.path.lower().endswith(_ARCHIVES)


def _state(said: str) -> str:
    """Give the last word of a state: `DEPLOYMENT_STATE_FAILED` and `Failed` are both FAILED."""
    return said.upper().rpartition("_")[2]


def _troubles(events: Sequence[HostedEvent]) -> list[str]:
    """List what the platform complained of, the newest first."""
    return [
        event.message
        for event in reversed(events)
        if event.level.lower().removeprefix("level_") in _COMPLAINTS
    ]
