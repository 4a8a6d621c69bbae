"""A platform, which is Together, the Hub or the engine, refused or failed."""

from __future__ import annotations

from typing import ClassVar

from lorry.errors.root import LorryError, Pays


class PlatformError(LorryError):
    """A platform refused or failed."""

    code = "platform_error"
    #: Whether the call that failed may have acted all the same (then look before repeating it).
    may_have_acted: ClassVar[bool] = False


class Unreachable(PlatformError):
    """No connection could be made, so nothing was sent."""

    code = "platform_unreachable"
    retryable = True
    default_fix = "Check the network and the address, then run the same command again."


class EngineNotRunning(Unreachable):
    """The embedded engine does not answer at its address."""

    code = "engine_not_running"
    default_fix = "Start it in a second terminal with `lorry engine`, then run the same command again."


class AnswerLost(PlatformError):
    """The request was sent, but its answer did not arrive."""

    code = "answer_lost"
    retryable = True
    may_have_acted = True
    pays = Pays.UNKNOWN
    default_fix = "Run the same command again: it looks for what already exists before it creates anything."


class KeyRejected(PlatformError):
    """The API key or token was refused (401)."""

    code = "key_rejected"
    default_fix = "Set a valid key (TOGETHER_API_KEY or HF_TOKEN) and run the same command again."


class AccessDenied(PlatformError):
    """The key is valid but not allowed to do this (403)."""

    code = "access_denied"
    default_fix = "Use a key whose owner may do this, or ask the owner of the project."


class V1Closed(AccessDenied):
    """Together makes and starts no endpoints of its first version any more (403)."""

    code = "v1_closed"
    default_fix = "Run `lorry ship PATH --name NAME --route together-merged` (or `together-attached`)."


class OutOfCredit(PlatformError):
    """The account has no credit or reached its limit (402)."""

    code = "out_of_credit"
    default_fix = "Add credit or raise the limit at the platform, then run the same command again."


class QuotaReached(PlatformError):
    """The account has as many of these things as it may have."""

    code = "quota_reached"
    default_fix = "Remove what is not used (`lorry retire NAME`), or ask the platform for more."


class NotThere(PlatformError):
    """The platform does not know the thing that was asked for (404)."""

    code = "not_there"
    default_fix = "Run `lorry show NAME`; when the platform lost it, `lorry ship` brings it there again."


class ModelUnavailable(NotThere):
    """Nothing answers under the name that a request gave (`model_not_available`)."""

    code = "model_unavailable"
    default_fix = "Run `lorry models` to see what is ready; a base may answer only on an endpoint of its own."


class Conflict(PlatformError):
    """The thing was changed by somebody else meanwhile, or exists already (409)."""

    code = "conflict"
    default_fix = "Run the same command again: it reads the present state first."


class RateLimited(PlatformError):
    """Too many requests (429)."""

    code = "rate_limited"
    retryable = True
    default_fix = "Wait a minute and run the same command again."


class NoCapacity(PlatformError):
    """The platform has no accelerator free for it now."""

    code = "no_capacity"
    retryable = True
    default_fix = "Run `lorry resume NAME` later, or ship with another `--config`."


class PlatformFull(PlatformError):
    """The platform has no space left to store what was sent (507)."""

    code = "platform_full"
    default_fix = "Free some space where the platform keeps its state, then run the same command again."


class PlatformFault(PlatformError):
    """The platform failed on its side (5xx)."""

    code = "platform_fault"
    retryable = True
    may_have_acted = True
    pays = Pays.UNKNOWN
    default_fix = "Run the same command again: it looks for what already exists before it creates anything."


class PlatformBusy(PlatformFault):
    """The platform is overloaded or being worked on (503 and 504)."""

    code = "platform_busy"
    default_fix = "Run the same command again in a few minutes; the platform's status page may say more."


class UploadDamaged(PlatformError):
    """What the platform stored is not what was sent."""

    code = "upload_damaged"
    default_fix = "Run `lorry retire NAME` and ship it again; nothing that is damaged is ever deployed."
