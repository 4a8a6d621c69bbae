"""Every error that Lorry can end with, in one tree.

LorryError
├── UsageError                what was asked for can't be done as asked (exit status 2)
│   ├── SourceNotFound        source_not_found
│   ├── NameInvalid           name_invalid
│   ├── ModelNotFound         model_not_found
│   ├── NameTaken             name_taken
│   ├── NotReady              model_not_ready
│   ├── OptionInvalid         option_invalid
│   └── SettingInvalid        setting_invalid
├── WeightsRejected           weights_rejected       carries the whole report
├── ConversionError           a file can't be converted; nothing was written
│   ├── ConversionRefused     conversion_refused     as asked for, and what would make it possible
│   ├── StrengthChanged       conversion_changed_strength
│   └── ConversionFailed      conversion_failed      what was written did not pass the check
├── PlatformError             a platform (Together, the Hub, the engine) refused or failed
│   ├── Unreachable           platform_unreachable   retryable; nothing was sent
│   │   └── EngineNotRunning  engine_not_running
│   ├── AnswerLost            answer_lost            retryable; the call may have acted
│   ├── KeyRejected           key_rejected
│   ├── AccessDenied          access_denied
│   │   └── V1Closed          v1_closed              Together's first version makes nothing new
│   ├── OutOfCredit           out_of_credit
│   ├── QuotaReached          quota_reached
│   ├── NotThere              not_there
│   │   └── ModelUnavailable  model_unavailable      nothing answers under that name
│   ├── Conflict              conflict               the etag or the state changed, or the name exists
│   ├── RequestRefused        request_refused        bad parameters
│   │   ├── BaseUnsupported   base_unsupported       no such base model or architecture, or not this rank
│   │   ├── NoConfiguration   no_configuration       no certified configuration serves it
│   │   ├── SlotsFull         slots_full             the deployment has no place for another adapter
│   │   ├── NotRouted         not_routed             retryable; no traffic goes to the deployment
│   │   ├── Stopped           endpoint_stopped       nothing runs behind the endpoint
│   │   └── SafetyRefused     safety_refused         the platform's filter refused the prompt or the result
│   ├── SourceUnusable        source_unusable        the platform can't take the files from where they lie
│   │   ├── SourcePrivate     source_private         gated or private, and no token opens it
│   │   ├── LinkExpired       link_expired
│   │   └── ArchiveLayout     archive_layout         the archive's files are not at its root
│   ├── RateLimited           rate_limited           retryable
│   ├── NoCapacity            no_capacity            retryable; no accelerator is free now
│   ├── PlatformFull          platform_full
│   └── PlatformFault         platform_fault         retryable; the call may have acted
│       └── PlatformBusy      platform_busy          retryable; it is overloaded or being worked on
├── DeliveryError             a delivery can't go on
│   ├── BaseNotServed         base_not_served
│   ├── KeyMissing            key_missing            the route needs a key, and none is set
│   ├── PriceNotAccepted      price_not_accepted     it would bill, and nobody agreed to that
│   ├── RevisionRejected      revision_rejected      the platform's validation refused the files
│   ├── ImportFailed          import_failed          the platform could not fetch the files
│   ├── DeploymentFailed      deployment_failed
│   │   └── DeploymentStalled deployment_stalled
│   ├── ProofNoEffect         proof_no_effect
│   ├── DeliveryTimeout       delivery_timeout       retryable
│   ├── NothingToResume       nothing_to_resume
│   └── SourceChanged         source_changed
├── StorageError              our own disk
│   ├── DiskFull              disk_full              retryable
│   ├── NotWritable           not_writable
│   └── HomeBusy              home_busy              retryable
├── EngineError               the embedded engine
│   ├── PortTaken             port_taken
│   └── AdapterUnusable       adapter_unusable       the renderer can't take this adapter
├── ExtraMissing              extra_missing          an optional part is not installed
└── InternalError             internal_error         a fault of ours, reported without a traceback
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from lorry.model.report import WeightsReport


class Pays(StrEnum):
    """Who pays for what failed."""

    NOBODY = "nobody"  # nothing ran, or what ran is not charged
    YOU = "you"  # something of yours runs on, or was drawn, and is charged
    UNKNOWN = "unknown"  # the call may have acted; the next attempt looks before it acts again


class LorryError(Exception):
    """The root: what happened, the evidence, and what to do next.

    Args:
        message: One plain sentence that names the cause, with its numbers.
        fix: The next command or action; a default from the class when omitted.
        evidence: Machine-readable facts behind the sentence (JSON values only).
    """

    code: ClassVar[str] = "error"
    default_fix: ClassVar[str] = "Run `lorry --help`."
    retryable: ClassVar[bool] = False
    exit_status: ClassVar[int] = 1
    pays: ClassVar[Pays] = Pays.NOBODY

    def __init__(
        self, message: str, *, fix: str | None = None, evidence: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix if fix is not None else self.default_fix
        self.evidence: dict[str, Any] = dict(evidence or {})

    def as_dict(self) -> dict[str, Any]:
        """Give the error as data, the same that `--json` prints under `error`."""
        return {
            "code": self.code,
            "message": self.message,
            "fix": self.fix,
            "retryable": self.retryable,
            "pays": str(self.pays),
            "evidence": self.evidence,
        }


class UsageError(LorryError):
    """What was asked for can't be done as asked."""

    code = "usage"
    exit_status = 2


class SourceNotFound(UsageError):
    """The path that was named does not exist or can't be read."""

    code = "source_not_found"
    default_fix = "Give the path of a .safetensors file or of the folder that holds it."


class NameInvalid(UsageError):
    """A model's name breaks the rules for names."""

    code = "name_invalid"
    default_fix = "Use 2 to 40 lower-case letters, digits and hyphens, for example `--name tok`."


class ModelNotFound(UsageError):
    """No model of this name is known here."""

    code = "model_not_found"
    default_fix = "Run `lorry models` to see what there is."


class NameTaken(UsageError):
    """The name belongs to a model with other weights."""

    code = "name_taken"
    default_fix = "Choose another `--name`, or run `lorry retire NAME` first."


class NotReady(UsageError):
    """The model is known, but no placement of it can answer now."""

    code = "model_not_ready"
    default_fix = "Run `lorry show NAME` to see its state, or `lorry resume NAME` to finish its delivery."


class OptionInvalid(UsageError):
    """An option has a value that can't be used."""

    code = "option_invalid"


class SettingInvalid(UsageError):
    """An environment variable or a line of lorry.toml can't be used."""

    code = "setting_invalid"
    default_fix = "Correct the setting; `docs/reference/settings.md` lists them all."


class WeightsRejected(LorryError):
    """The check found errors, so nothing was sent anywhere."""

    code = "weights_rejected"
    default_fix = "Run `lorry check PATH` to see every finding with its fix."

    def __init__(self, report: WeightsReport) -> None:
        errors = report.errors
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(
            f"{report.summary.path} was not shipped: {errors[0].message}{more}",
            fix=errors[0].fix,
            evidence={"findings": [finding.as_dict() for finding in report.findings]},
        )
        self.report = report


class ConversionError(LorryError):
    """A file can't be converted; nothing was written."""

    code = "conversion_error"
    default_fix = "Run `lorry check PATH` to see what the file is, with every finding and its fix."


class ConversionRefused(ConversionError):
    """The file can't be converted as asked for."""

    code = "conversion_refused"


class StrengthChanged(ConversionError):
    """The converted file would act with another strength than the original, so it was not kept."""

    code = "conversion_changed_strength"
    default_fix = "Keep the original; please report this with the evidence below, it is a fault of ours."


class ConversionFailed(ConversionError):
    """What was written did not pass the check, so it was not kept."""

    code = "conversion_failed"


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
    default_fix = "Pack it from inside the folder: `tar -czf ../model.tar.gz .`"


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


class DeliveryError(LorryError):
    """A delivery can't go on."""

    code = "delivery_error"
    default_fix = "Run `lorry events NAME` to see what happened."


class BaseNotServed(DeliveryError):
    """The platform does not serve the base model that the adapter was trained on."""

    code = "base_not_served"
    default_fix = (
        "The embedded engine serves LoRAs for `lorry/flux-icons-64`; "
        "`lorry check PATH` says which base a file was trained on."
    )


class KeyMissing(DeliveryError):
    """The route needs a key of the platform, and none is set."""

    code = "key_missing"
    default_fix = "Set TOGETHER_API_KEY, or add `--rehearse` to do the same on the embedded engine."


class PriceNotAccepted(DeliveryError):
    """What was asked for would bill, and nobody agreed to the price."""

    code = "price_not_accepted"
    default_fix = "Add `--yes` to agree to the price that is named."


class RevisionRejected(DeliveryError):
    """The platform validated the uploaded files and refused them."""

    code = "revision_rejected"


class ImportFailed(DeliveryError):
    """The platform could not fetch the files from where they lie."""

    code = "import_failed"


class DeploymentFailed(DeliveryError):
    """The platform could not bring the deployment up."""

    code = "deployment_failed"


class DeploymentStalled(DeploymentFailed):
    """The deployment makes no progress any more."""

    code = "deployment_stalled"


class ProofNoEffect(DeliveryError):
    """The adapter is loaded and changes nothing."""

    code = "proof_no_effect"
    default_fix = "Run `lorry check PATH` on the file, or train longer and ship again."


class DeliveryTimeout(DeliveryError):
    """A state did not come within its time."""

    code = "delivery_timeout"
    retryable = True
    default_fix = "Run `lorry resume NAME` to go on waiting from where it stands."


class NothingToResume(DeliveryError):
    """No delivery of this model is unfinished."""

    code = "nothing_to_resume"
    default_fix = "Run `lorry show NAME` to see its state."


class SourceChanged(DeliveryError):
    """The files on disk are not those that the delivery began with."""

    code = "source_changed"
    default_fix = "Put the original file back and resume, or run `lorry retire NAME` and ship the new one."


class StorageError(LorryError):
    """Our own disk refused."""

    code = "storage_error"


class DiskFull(StorageError):
    """No space is left on the device."""

    code = "disk_full"
    retryable = True
    default_fix = "Free some space and run the same command again; nothing half-written was kept."


class NotWritable(StorageError):
    """A file or folder of ours can't be written."""

    code = "not_writable"
    default_fix = "Correct the permissions, or choose another place with `--home` or `-o`."


class HomeBusy(StorageError):
    """Another process works on the same home."""

    code = "home_busy"
    retryable = True
    default_fix = "Wait until it has ended, or use another home with `--home`."


class EngineError(LorryError):
    """The embedded engine can't do its work."""

    code = "engine_error"


class PortTaken(EngineError):
    """Another program listens on the port."""

    code = "port_taken"
    default_fix = "Choose another port, for example `lorry engine --port 0` for any free one."


class AdapterUnusable(EngineError):
    """The renderer can't take this adapter."""

    code = "adapter_unusable"
    default_fix = "Run `lorry check PATH` on the file."


class ExtraMissing(LorryError):
    """An optional part is not installed."""

    code = "extra_missing"


class InternalError(LorryError):
    """A fault of ours."""

    code = "internal_error"
    default_fix = "Please report it with the lines of `lorry events NAME` and the evidence below."


def error_from(data: Mapping[str, Any]) -> LorryError:
    """Give the error again that `LorryError.as_dict` wrote down.

    Args:
        data: What `as_dict` gave; an unknown code gives an InternalError.

    Returns:
        An error of the same class, with the same message, fix and evidence.
    """
    classes = {found.code: found for found in _tree(LorryError)}
    kind = classes.get(str(data.get("code")), InternalError)
    error = kind.__new__(kind)  # some classes are built from richer things than their data
    LorryError.__init__(
        error, str(data.get("message", "")), fix=data.get("fix"), evidence=data.get("evidence") or {}
    )
    return error


def _tree(root: type[LorryError]) -> list[type[LorryError]]:
    return [root, *(found for child in root.__subclasses__() for found in _tree(child))]
