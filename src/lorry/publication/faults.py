"""What a status of the Hub, and a refusal of the own disk while publishing, mean."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

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
    SourceNotFound,
)

_STATUS: Mapping[int, type[LorryError]] = {
    401: KeyRejected,
    403: AccessDenied,
    404: NotThere,
    409: Conflict,
    412: Conflict,
    429: RateLimited,
}


def kind_of(status: int) -> type[LorryError]:
    """Choose the error of an HTTP status.

    Args:
        status: The status, 400 or above; 0 when an answer had none.
    """
    return _STATUS.get(status, PlatformFault if status >= 500 else RequestRefused)


def from_disk(error: OSError, evidence: Mapping[str, Any]) -> LorryError:
    """Say what the operating system's refusal means.

    Args:
        error: The refusal.
        evidence: Facts to keep with it; `repo` is what was published.
    """
    file = str(error.filename or "A file")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"No space is left while publishing {evidence['repo']}.", evidence=evidence)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NotWritable(f"{file} can't be opened: {error.strerror}.", evidence=evidence)
    if isinstance(error, FileNotFoundError) and error.filename:
        return SourceNotFound(f"{file} is not there any more.", evidence=evidence)
    return AnswerLost(f"Publishing {evidence['repo']} broke off: {error}", evidence=evidence)
