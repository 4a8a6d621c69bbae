"""A delivery can't go on."""

from __future__ import annotations

from lorry.errors.root import LorryError


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


class NothingToCancel(DeliveryError):
    """No delivery of this model is under way."""

    code = "nothing_to_cancel"
    default_fix = "Run `lorry deliveries` to see what is under way."


class DeliveryBusy(DeliveryError):
    """Another process works on the delivery, and does not let go of it."""

    code = "delivery_busy"
    retryable = True
    default_fix = "Run `lorry deliveries` to see who has it."


class DeliveryHeld(DeliveryError):
    """The delivery waits for a person."""

    code = "delivery_held"
    default_fix = "Run `lorry events NAME` to see why, then `lorry resume NAME`."
