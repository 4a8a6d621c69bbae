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
│   ├── OutOfCredit           out_of_credit
│   ├── NotThere              not_there
│   ├── Conflict              conflict
│   ├── RequestRefused        request_refused
│   ├── RateLimited           rate_limited           retryable
│   ├── PlatformFull          platform_full
│   └── PlatformFault         platform_fault         retryable; the call may have acted
├── DeliveryError             a delivery can't go on
│   ├── BaseNotServed         base_not_served
│   ├── RevisionRejected      revision_rejected
│   ├── DeploymentFailed      deployment_failed
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
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from lorry.model.report import WeightsReport


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
    default_fix = "Run the same command again: it looks for what already exists before it creates anything."


class KeyRejected(PlatformError):
    """The API key or token was refused (401)."""

    code = "key_rejected"
    default_fix = "Set a valid key (TOGETHER_API_KEY or HF_TOKEN) and run the same command again."


class AccessDenied(PlatformError):
    """The key is valid but not allowed to do this (403)."""

    code = "access_denied"
    default_fix = "Use a key whose owner may do this, or ask the owner of the project."


class OutOfCredit(PlatformError):
    """The account has no credit or reached its limit (402)."""

    code = "out_of_credit"
    default_fix = "Add credit or raise the limit at the platform, then run the same command again."


class NotThere(PlatformError):
    """The platform does not know the thing that was asked for (404)."""

    code = "not_there"
    default_fix = "Run `lorry show NAME`; when the platform lost it, `lorry ship` brings it there again."


class Conflict(PlatformError):
    """The thing was changed by somebody else meanwhile, or exists already (409)."""

    code = "conflict"
    default_fix = "Run the same command again: it reads the present state first."


class RequestRefused(PlatformError):
    """The platform refused the request as it stands (other 4xx)."""

    code = "request_refused"
    default_fix = "The sentence above is the platform's own; correct what it names."


class RateLimited(PlatformError):
    """Too many requests (429)."""

    code = "rate_limited"
    retryable = True
    default_fix = "Wait a minute and run the same command again."


class PlatformFull(PlatformError):
    """The platform has no space left to store what was sent (507)."""

    code = "platform_full"
    default_fix = "Free some space where the platform keeps its state, then run the same command again."


class PlatformFault(PlatformError):
    """The platform failed on its side (5xx)."""

    code = "platform_fault"
    retryable = True
    may_have_acted = True
    default_fix = "Run the same command again: it looks for what already exists before it creates anything."


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


class RevisionRejected(DeliveryError):
    """The platform validated the uploaded files and refused them."""

    code = "revision_rejected"


class DeploymentFailed(DeliveryError):
    """The platform could not bring the deployment up."""

    code = "deployment_failed"


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
