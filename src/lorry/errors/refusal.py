"""A platform refused because of what was asked for, or of where it should take the files from."""

from __future__ import annotations

from lorry.errors.platform import PlatformError
from lorry.errors.root import Pays


class RequestRefused(PlatformError):
    """The platform refused the request as it stands (other 4xx)."""

    code = "request_refused"
    default_fix = "The sentence above is the platform's own; correct what it names."


class BaseUnsupported(RequestRefused):
    """The platform hosts no adapter or variant of this base model or architecture."""

    code = "base_unsupported"
    default_fix = "Run `lorry check PATH --for all` to see where the weights run."


class NoConfiguration(RequestRefused):
    """The platform has no certified configuration that serves it."""

    code = "no_configuration"
    default_fix = "Run `lorry ship PATH --name NAME --dry-run` to see every route with its reasons."


class SlotsFull(RequestRefused):
    """The deployment holds as many adapters as it can."""

    code = "slots_full"
    default_fix = "Retire an adapter that is not used, or ship with `--evict` to replace the oldest."


class NotRouted(RequestRefused):
    """The endpoint sends its traffic to no deployment that could answer, or not yet."""

    code = "not_routed"
    retryable = True
    pays = Pays.YOU
    default_fix = "Run `lorry resume NAME`: it routes the endpoint and proves it again."


class Stopped(RequestRefused):
    """Nothing runs behind the endpoint; a request does not wake it."""

    code = "endpoint_stopped"
    default_fix = "Run `lorry resume NAME` to start it again."


class SafetyRefused(RequestRefused):
    """The platform's safety filter refused the prompt or the result (422)."""

    code = "safety_refused"
    default_fix = "Change the prompt; the same one is refused again."


class SourceUnusable(PlatformError):
    """The platform can't take the files from where they lie."""

    code = "source_unusable"


class SourcePrivate(SourceUnusable):
    """The source is gated or private, and no token that was given opens it."""

    code = "source_private"
    default_fix = "Set HF_TOKEN to a token that may read it (accept the gate on its page first)."


class LinkExpired(SourceUnusable):
    """The presigned address is not valid any more."""

    code = "link_expired"
    default_fix = "Make a new address that stays valid for at least 100 minutes, and ship again."


class ArchiveLayout(SourceUnusable):
    """The archive's files are not at its root."""

    code = "archive_layout"
    default_fix = "Pack it again from inside the folder (`tar -czf ../model.tar.gz .`), and ship again."
