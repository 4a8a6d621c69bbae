"""What a server's refusal means, from its status and the Hub's `X-Error-Code`.

Source of the Hub's codes: LoRA formats dossier, sections 3.2 and 3.3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lorry.model.report import Finding
from lorry.weights.catalogue import counted, finding

#: `RateLimit: "api";r=0;t=55`: seconds until more is allowed (IETF draft, as the Hub sends it).
_RESET = re.compile(r";\s*t=(\d{1,6})\b")
_SAID = 200  # characters of a server's own sentence that a report bears

_SET_TOKEN = "Set HF_TOKEN to a token that may read it."  # noqa: S105 - a sentence
_LINK = "Ask for a fresh link: the old one may have expired, or is not for everybody."


def refused(status: int, headers: Mapping[str, str], subject: str, *, hub: bool, token: bool) -> Finding:
    """Say what an answer with an error status means.

    Args:
        status: HTTP status, from 300 on.
        headers: Headers of the answer, names in lower case.
        subject: What was asked for, as the user knows it.
        hub: Whether the Hub answered.
        token: Whether a token was sent.
    """
    code = headers.get("x-error-code", "")
    said = headers.get("x-error-message", "").strip()[:_SAID]
    evidence: dict[str, Any] = {"status": status, "hub_code": code or None, "said": said or None}
    if status == 429:
        return _rate_limited(headers, subject, evidence)
    known = _hub_refusal(status, code, subject, token, evidence) if hub else None
    if known is not None:
        return known
    if status in (404, 410):
        return finding("REMOTE_NOT_FOUND", f"{subject} is not there ({status}).", subject=subject, **evidence)
    if status in (401, 403):
        message = f"{subject} may not be read{' with this token' if token else ''} ({status})."
        return finding(
            "REMOTE_PRIVATE", message, subject=subject, fix=_SET_TOKEN if hub else _LINK, **evidence
        )
    where = "failed on its side" if status >= 500 else "refused the request"
    message = f"The server {where} ({status}){f': {said}' if said else ''}; asked for {subject}."
    fix = "Try again in a few minutes." if status >= 500 else None
    return finding("REMOTE_REFUSED", message, subject=subject, fix=fix, **evidence)


def _hub_refusal(
    status: int, code: str, subject: str, token: bool, evidence: Mapping[str, Any]
) -> Finding | None:
    """Translate the Hub's own codes; a gated repository first, which some answers call not found as well."""
    if code == "GatedRepo":
        whose = "with the account of this token" if token else "and send a token"
        message = f"{subject} is gated: accept its conditions {whose} ({status})."
        return finding("REMOTE_GATED", message, subject=subject, **evidence)
    if code == "RevisionNotFound":
        return finding("REMOTE_REV", f"{subject}: no such revision ({status}).", subject=subject, **evidence)
    if code == "EntryNotFound":
        return finding(
            "REMOTE_NOT_FOUND", f"{subject}: no such file ({status}).", subject=subject, **evidence
        )
    if code != "RepoNotFound":
        return None
    if status in (401, 403):
        # Without a token the Hub answers the same for a private repository and for one that never was.
        message = (
            f"{subject} is private or does not exist ({status}); the Hub does not say which to strangers."
        )
        return finding(
            "REMOTE_PRIVATE",
            message,
            subject=subject,
            fix="Check the spelling of the name; if it is right, set HF_TOKEN to a token that may read it.",
            **evidence,
        )
    message = f"The Hub has no repository {subject}{' that this token may see' if token else ''} ({status})."
    return finding("REMOTE_NOT_FOUND", message, subject=subject, **evidence)


def _rate_limited(headers: Mapping[str, str], subject: str, evidence: Mapping[str, Any]) -> Finding:
    seconds = wait_seconds(headers)
    when = f"wait {counted(seconds, 'second')}" if seconds is not None else "it does not say for how long"
    message = f"The server takes no more requests for now (429): {when}."
    return finding("REMOTE_RATE_LIMITED", message, subject=subject, seconds=seconds, **evidence)


def wait_seconds(headers: Mapping[str, str]) -> int | None:
    """Read how long a server wants to be left alone; `None` when it does not say.

    Args:
        headers: Headers of the answer, names in lower case.
    """
    after = headers.get("retry-after", "").strip()
    if after.isascii() and after.isdecimal() and len(after) <= 6:
        return int(after)
    reset = _RESET.search(headers.get("ratelimit", ""))
    return int(reset[1]) if reset else None
