"""Every error that Lorry can end with, in one tree.

LorryError
├── UsageError                what was asked for can't be done as asked (exit status 2)
│   ├── SourceNotFound        source_not_found
│   ├── NameInvalid           name_invalid
│   ├── ModelNotFound         model_not_found
│   ├── NameTaken             name_taken
│   ├── NotReady              model_not_ready
│   ├── NoReplicas            no_replicas            the model's route runs nothing of its own
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
│   ├── UploadDamaged         upload_damaged         what was stored is not what was sent
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
│   ├── NothingToCancel       nothing_to_cancel
│   ├── DeliveryBusy          delivery_busy          retryable; another process works on it
│   ├── DeliveryHeld          delivery_held          it waits for a person
│   └── SourceChanged         source_changed
├── GatewayError              a request to the gateway is refused, or can't be answered now
│   ├── BodyInvalid           body_invalid           no JSON, or not of the form that is needed
│   ├── BodyTooLarge          body_too_large
│   ├── BodyTooSlow           body_too_slow          retryable
│   ├── TokenInvalid          token_invalid          missing, unknown or revoked
│   ├── SignatureInvalid      signature_invalid
│   ├── TokenNotAllowed       token_not_allowed
│   ├── TokenRateLimited      token_rate_limited     retryable
│   ├── SpendLimitReached     spend_limit_reached
│   │   └── BudgetSpent           budget_spent           it does not fit into a budget that stops
│   ├── KeyReused             idempotency_key_reused
│   ├── StillRunning          request_in_progress    retryable
│   ├── OutcomeUnknown        outcome_unknown        it may have been paid for; not sent again by itself
│   ├── NoRoute               no_route               no place of the model can take it now
│   ├── PlacesUnwell          places_unwell          retryable; they failed a moment ago
│   ├── ModelStarting         model_starting         retryable; it was asleep
│   ├── Overloaded            overloaded             retryable
│   ├── AnswerUnusable        answer_unusable        the platform's answer is no result
│   ├── GenerationNotFound    generation_not_found
│   ├── GenerationEnded       generation_ended
│   ├── TokenUnknown          token_unknown
│   └── NoSuchPath            no_such_path
├── StorageError              our own disk
│   ├── DiskFull              disk_full              retryable
│   ├── NotWritable           not_writable
│   ├── HomeBusy              home_busy              retryable
│   ├── DatabaseUnreachable   database_unreachable   retryable
│   └── DatabaseRefused       database_refused       wrong user, password or database
├── EngineError               the embedded engine
│   ├── PortTaken             port_taken
│   ├── EngineBusy            engine_busy            retryable; more pictures wait than it takes
│   ├── EngineOutOfMemory     engine_out_of_memory   retryable; it does not fit, even alone
│   └── AdapterUnusable       adapter_unusable       the renderer can't take this adapter
├── ExtraMissing              extra_missing          an optional part is not installed
└── InternalError             internal_error         a fault of ours, reported without a traceback

Each branch has its module: `usage`, `files` (weights and conversions), `platform` and `refusal` (what a
platform says), `delivery`, `gateway`, `machine` (disk, engine, extras, ourselves); `root` says what all
have, `data` reads one back.
"""

from __future__ import annotations

from lorry.errors.data import (
    error_from,
)
from lorry.errors.delivery import (
    BaseNotServed,
    DeliveryBusy,
    DeliveryError,
    DeliveryHeld,
    DeliveryTimeout,
    DeploymentFailed,
    DeploymentStalled,
    ImportFailed,
    KeyMissing,
    NothingToCancel,
    NothingToResume,
    PriceNotAccepted,
    ProofNoEffect,
    RevisionRejected,
    SourceChanged,
)
from lorry.errors.files import (
    ConversionError,
    ConversionFailed,
    ConversionRefused,
    StrengthChanged,
    WeightsRejected,
)
from lorry.errors.gateway import (
    AnswerUnusable,
    BodyInvalid,
    BodyTooLarge,
    BodyTooSlow,
    BudgetSpent,
    GatewayError,
    GenerationEnded,
    GenerationNotFound,
    KeyReused,
    ModelStarting,
    NoRoute,
    NoSuchPath,
    OutcomeUnknown,
    Overloaded,
    PlacesUnwell,
    SignatureInvalid,
    SpendLimitReached,
    StillRunning,
    TokenInvalid,
    TokenNotAllowed,
    TokenRateLimited,
    TokenUnknown,
)
from lorry.errors.machine import (
    AdapterUnusable,
    DatabaseRefused,
    DatabaseUnreachable,
    DiskFull,
    EngineBusy,
    EngineError,
    EngineOutOfMemory,
    ExtraMissing,
    HomeBusy,
    InternalError,
    NotWritable,
    PortTaken,
    StorageError,
)
from lorry.errors.platform import (
    AccessDenied,
    AnswerLost,
    Conflict,
    EngineNotRunning,
    KeyRejected,
    ModelUnavailable,
    NoCapacity,
    NotThere,
    OutOfCredit,
    PlatformBusy,
    PlatformError,
    PlatformFault,
    PlatformFull,
    QuotaReached,
    RateLimited,
    Unreachable,
    UploadDamaged,
    V1Closed,
)
from lorry.errors.refusal import (
    ArchiveLayout,
    BaseUnsupported,
    LinkExpired,
    NoConfiguration,
    NotRouted,
    RequestRefused,
    SafetyRefused,
    SlotsFull,
    SourcePrivate,
    SourceUnusable,
    Stopped,
)
from lorry.errors.root import (
    LorryError,
    Pays,
)
from lorry.errors.usage import (
    ModelNotFound,
    NameInvalid,
    NameTaken,
    NoReplicas,
    NotReady,
    OptionInvalid,
    SettingInvalid,
    SourceNotFound,
    UsageError,
)

__all__ = [
    "AccessDenied",
    "AdapterUnusable",
    "AnswerLost",
    "AnswerUnusable",
    "ArchiveLayout",
    "BaseNotServed",
    "BaseUnsupported",
    "BodyInvalid",
    "BodyTooLarge",
    "BodyTooSlow",
    "BudgetSpent",
    "Conflict",
    "ConversionError",
    "ConversionFailed",
    "ConversionRefused",
    "DatabaseRefused",
    "DatabaseUnreachable",
    "DeliveryBusy",
    "DeliveryError",
    "DeliveryHeld",
    "DeliveryTimeout",
    "DeploymentFailed",
    "DeploymentStalled",
    "DiskFull",
    "EngineBusy",
    "EngineError",
    "EngineNotRunning",
    "EngineOutOfMemory",
    "ExtraMissing",
    "GatewayError",
    "GenerationEnded",
    "GenerationNotFound",
    "HomeBusy",
    "ImportFailed",
    "InternalError",
    "KeyMissing",
    "KeyRejected",
    "KeyReused",
    "LinkExpired",
    "LorryError",
    "ModelNotFound",
    "ModelStarting",
    "ModelUnavailable",
    "NameInvalid",
    "NameTaken",
    "NoCapacity",
    "NoConfiguration",
    "NoReplicas",
    "NoRoute",
    "NoSuchPath",
    "NotReady",
    "NotRouted",
    "NotThere",
    "NotWritable",
    "NothingToCancel",
    "NothingToResume",
    "OptionInvalid",
    "OutOfCredit",
    "OutcomeUnknown",
    "Overloaded",
    "Pays",
    "PlacesUnwell",
    "PlatformBusy",
    "PlatformError",
    "PlatformFault",
    "PlatformFull",
    "PortTaken",
    "PriceNotAccepted",
    "ProofNoEffect",
    "QuotaReached",
    "RateLimited",
    "RequestRefused",
    "RevisionRejected",
    "SafetyRefused",
    "SettingInvalid",
    "SignatureInvalid",
    "SlotsFull",
    "SourceChanged",
    "SourceNotFound",
    "SourcePrivate",
    "SourceUnusable",
    "SpendLimitReached",
    "StillRunning",
    "Stopped",
    "StorageError",
    "StrengthChanged",
    "TokenInvalid",
    "TokenNotAllowed",
    "TokenRateLimited",
    "TokenUnknown",
    "Unreachable",
    "UploadDamaged",
    "UsageError",
    "V1Closed",
    "WeightsRejected",
    "error_from",
]
