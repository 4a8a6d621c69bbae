"""Which error an answer of Together's is: one table, read from the top, and the first row that fits decides.

A row asks for codes and states first. Where the API publishes none, it asks for words, and then only together
with what was asked for; each such row names where the words were read. `tests/platforms/bodies` holds a body
for every row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lorry.errors import (
    AccessDenied,
    BaseUnsupported,
    Conflict,
    KeyRejected,
    ModelUnavailable,
    NoCapacity,
    NoConfiguration,
    NotRouted,
    NotThere,
    OutOfCredit,
    PlatformBusy,
    PlatformError,
    PlatformFault,
    PlatformFull,
    QuotaReached,
    RateLimited,
    RequestRefused,
    SafetyRefused,
    SlotsFull,
    Stopped,
    V1Closed,
)
from lorry.platforms.together.answers import Answer, Asked

_GENERATED = frozenset({Asked.PICTURES, Asked.WORDS})
_CREATED = frozenset(
    {Asked.MODEL, Asked.IMPORT, Asked.UPLOAD, Asked.ENDPOINT, Asked.DEPLOYMENT, Asked.CONTAINER}
)

#: Codes of gRPC (google/rpc/code.proto).
_ALREADY_EXISTS, _RESOURCE_EXHAUSTED, _ABORTED = 6, 8, 10

#: Characters of a sentence in which words are looked for: errors are short, and a page is none.
_SEARCHED = 2000

_UNSUPPORTED = (
    r"(unsupported|not supported|incompatible|not compatible|doesn't support|does not support)"
    r".*(base|architecture|rank|layer|adapter|model)"
    r"|(base|architecture|rank|layer|adapter).*"
    r"(unsupported|not supported|incompatible|not compatible|takes up to|deployment serves)"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A row: all that it gives has to hold of an answer; what it leaves empty may be anything.

    Attributes:
        error: What such an answer is.
        source: Where this was read.
        status: HTTP statuses, from and to; both belong to it.
        code: Codes of a `/v1` body.
        number: Codes of gRPC in a `/v2` body.
        asked: What was asked for.
        kind: The type of a `/v1` body.
        words: Somewhere in the sentence, whatever its case.
        unlimited: Whether the answer may have no word on rates.
        whole: Whether it may name no parameter.
    """

    error: type[PlatformError]
    source: str
    status: tuple[int, int] | None = None
    code: frozenset[str] = frozenset()
    number: frozenset[int] = frozenset()
    asked: frozenset[Asked] = frozenset()
    kind: frozenset[str] = frozenset()
    words: re.Pattern[str] | None = None
    unlimited: bool = False
    whole: bool = False

    def fits(self, answer: Answer) -> bool:
        """Tell whether everything that this row asks for holds of an answer."""
        return all(self._holds(answer))

    def _holds(self, answer: Answer) -> Iterator[bool]:
        yield self.status is None or self.status[0] <= answer.status <= self.status[1]
        yield not self.code or answer.code in self.code
        yield not self.number or answer.number in self.number
        yield not self.asked or answer.asked in self.asked
        yield not self.kind or answer.kind in self.kind
        yield not self.unlimited or not answer.limited
        yield not self.whole or (answer.param is None and not _PARAMETER.match(answer.sentence))
        yield self.words is None or self.words.search(answer.sentence, 0, _SEARCHED) is not None


_PARAMETER = re.compile(r"Input validation error", re.I)  # stanford-crfm/helm#2079: 422 for too many tokens


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.I | re.S)


RULES: tuple[Rule, ...] = (
    # Codes that mean one thing wherever they stand.
    Rule(V1Closed, "dossier 1.6", code=frozenset({"endpoints_v1_create_access_disabled"})),
    Rule(NotRouted, "dossier 2.9", code=frozenset({"endpoint_not_configured", "routing_error"})),
    Rule(Stopped, "dossier 5.2, HeyPuter/puter#3168", code=frozenset({"dedicated_endpoint_not_running"})),
    Rule(
        ModelUnavailable,
        "dossier 5.2, HeyPuter/puter#3168, evo-design/evo#14",
        code=frozenset({"model_not_available", "model_not_found"}),
    ),
    Rule(OutOfCredit, "dossier 5.2", code=frozenset({"insufficient_balance"})),
    Rule(KeyRejected, "harshitv804/LawGPT#4", code=frozenset({"invalid_api_key", "missing_api_key"})),
    # What is exhausted depends on what was asked for; gRPC has one code for all of it.
    Rule(
        SlotsFull,
        "dossier 2.8 (force evicts the oldest when full), google/rpc/code.proto",
        status=(400, 499),
        number=frozenset({_RESOURCE_EXHAUSTED}),
        asked=frozenset({Asked.ADAPTER}),
    ),
    Rule(
        NoCapacity,
        "dossier 5.5 (capacity); a refusal at creation has no published text",
        status=(400, 503),
        asked=frozenset({Asked.DEPLOYMENT, Asked.CONTAINER}),
        words=_words(r"\bcapacity\b|out of stock"),
    ),
    Rule(
        QuotaReached,
        "google/rpc/code.proto (RESOURCE_EXHAUSTED: perhaps a quota); a published text was not found",
        status=(400, 499),
        number=frozenset({_RESOURCE_EXHAUSTED}),
        asked=_CREATED,
        unlimited=True,
    ),
    Rule(
        Conflict,
        "dossier 2.0, google/rpc/code.proto",
        status=(400, 499),
        number=frozenset({_ALREADY_EXISTS, _ABORTED}),
    ),
    # Words, where there is nothing else.
    Rule(
        Conflict,
        "dossier 5.5 (Model name already exists), 1.5 (already bound)",
        status=(400, 400),
        asked=_CREATED | {Asked.ADAPTER},
        words=_words(r"already (exists|bound|attached)"),
    ),
    Rule(
        BaseUnsupported,
        "dossier 1.5 and 5.5 (not compatible with base), togethercomputer/skills (layer type, adapter rank)",
        status=(400, 422),
        asked=frozenset({Asked.MODEL, Asked.IMPORT, Asked.UPLOAD, Asked.ADAPTER}),
        words=_words(_UNSUPPORTED),
    ),
    Rule(
        NoConfiguration,
        "dossier 1.5 (endpoint not LoRA-enabled)",
        status=(400, 400),
        asked=frozenset({Asked.ADAPTER}),
        words=_words(r"lora|takes no adapters|adapter.mode"),
    ),
    Rule(
        NoConfiguration,
        "dossier 5.5 (zero configs; v1 hardware), 9 (field 66713159689: refused for want of a config)",
        status=(400, 422),
        asked=frozenset({Asked.DEPLOYMENT}),
        words=_words(
            r"\bconfigs?\b(?!\.json)|check the hardware api|invalid hardware provided"
            r"|the selected configuration|hardware is required"
        ),
    ),
    Rule(
        NoConfiguration,
        "dossier 1.6 (field 70500807445: No GPU configurations found for model)",
        status=(400, 422),
        asked=frozenset({Asked.HARDWARE}),
        words=_words(r"no gpu configurations"),
    ),
    # The status alone, apart from two that generating uses in its own way.
    Rule(SafetyRefused, "dossier 5.1", status=(422, 422), asked=frozenset({Asked.PICTURES}), whole=True),
    Rule(
        RequestRefused,
        "dossier 5.1 (403: the context is too long)",
        status=(403, 403),
        asked=frozenset({Asked.WORDS}),
        kind=frozenset({"invalid_request_error"}),
    ),
    Rule(KeyRejected, "dossier 5.1", status=(401, 401)),
    Rule(OutOfCredit, "dossier 5.1", status=(402, 402)),
    Rule(AccessDenied, "dossier 5.1", status=(403, 403)),
    Rule(
        ModelUnavailable,
        "dossier 5.1 (404: the URL or the model's name)",
        status=(404, 404),
        asked=_GENERATED,
        kind=frozenset({"invalid_request_error"}),
    ),
    Rule(NotThere, "dossier 5.1", status=(404, 404)),
    Rule(PlatformBusy, "dossier 5.4 (the official client repeats it)", status=(408, 408)),
    Rule(Conflict, "dossier 5.1", status=(409, 409)),
    Rule(RateLimited, "dossier 5.1", status=(429, 429)),
    Rule(RequestRefused, "RFC 9110, 15.5", status=(400, 499)),
    Rule(PlatformBusy, "dossier 5.1", status=(503, 504)),
    Rule(PlatformFull, "RFC 4918, 11.5: Insufficient Storage", status=(507, 507)),
    Rule(
        PlatformBusy, "pub.dev/documentation/together_ai_sdk (524 a timeout, 529 unknown)", status=(524, 529)
    ),
    Rule(PlatformFault, "dossier 5.1", status=(500, 599)),
)


def error_of(answer: Answer) -> type[PlatformError]:
    """Choose the error of an answer; a status that HTTP does not know is a fault of the platform.

    Args:
        answer: Of a status of 400 or above.
    """
    return next((rule.error for rule in RULES if rule.fits(answer)), PlatformFault)
