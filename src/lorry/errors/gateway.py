"""A request to the gateway is refused, or can't be answered now."""

from __future__ import annotations

from typing import ClassVar

from lorry.errors.root import LorryError, Pays


class GatewayError(LorryError):
    """A request to the gateway can't be answered."""

    code = "gateway_error"
    #: The HTTP status that it is answered with.
    status: ClassVar[int] = 503


class BodyInvalid(GatewayError):
    """The body of a request can't be used."""

    code = "body_invalid"
    status = 400
    default_fix = "Correct what is named and send it again; `/openapi.json` describes the fields."


class BodyTooLarge(GatewayError):
    """The body of a request is larger than is taken."""

    code = "body_too_large"
    status = 413
    default_fix = "Send less, or raise LORRY_BODY_LIMIT where the server runs."


class BodyTooSlow(GatewayError):
    """The body of a request did not arrive in time."""

    code = "body_too_slow"
    status = 408
    retryable = True
    default_fix = "Send it again over a better connection."


class TokenInvalid(GatewayError):
    """The token of a request is missing, unknown or revoked."""

    code = "token_invalid"
    status = 401
    default_fix = "Send a token in the header `Authorization`; `lorry token create` makes one."


class SignatureInvalid(GatewayError):
    """A message is not signed, or with another secret, or too long ago."""

    code = "signature_invalid"
    status = 401
    default_fix = "Sign it as Standard Webhooks say, with the secret of `GET /api/training-secret`."


class TokenNotAllowed(GatewayError):
    """The token is valid, but not for this."""

    code = "token_not_allowed"
    status = 403
    default_fix = "Use a token with the scope that is named, or ask whoever runs the server for one."


class TokenRateLimited(GatewayError):
    """The token's own limit of requests is reached."""

    code = "token_rate_limited"
    status = 429
    retryable = True
    default_fix = "Wait as long as `Retry-After` says, and send it again."


class SpendLimitReached(GatewayError):
    """The request could cost more than is left of a limit."""

    code = "spend_limit_reached"
    status = 402
    default_fix = "Wait until the limit begins anew, or have it raised."


class BudgetSpent(SpendLimitReached):
    """What is asked for does not fit into a budget that stops."""

    code = "budget_spent"
    default_fix = "Wait until the budget begins anew, or raise it: `lorry budget SCOPE --day DOLLARS`."


class KeyReused(GatewayError):
    """The idempotency key belongs to another request."""

    code = "idempotency_key_reused"
    status = 409
    default_fix = "Use a new key for a new request; the same key only repeats the same request."


class StillRunning(GatewayError):
    """The request with this idempotency key is being answered elsewhere."""

    code = "request_in_progress"
    status = 409
    retryable = True
    default_fix = "Ask again with the same key in a moment; nothing is done twice."


class OutcomeUnknown(GatewayError):
    """The request was sent, its answer was lost, and it is not sent again by itself."""

    code = "outcome_unknown"
    status = 502
    pays = Pays.UNKNOWN
    default_fix = "Send it again with a new Idempotency-Key to pay for it once more, or allow that by policy."


class NoRoute(GatewayError):
    """No place of the model can take the request now."""

    code = "no_route"
    status = 503
    default_fix = "The evidence says for each place why; `GET /api/routes` shows them all."


class PlacesUnwell(GatewayError):
    """The places of the model failed a moment ago and are left alone for a while."""

    code = "places_unwell"
    status = 503
    retryable = True
    default_fix = "Wait as long as `Retry-After` says, and send it again."


class ModelStarting(GatewayError):
    """The model was asleep and is being started."""

    code = "model_starting"
    status = 503
    retryable = True
    default_fix = "Send it again after `Retry-After`, or with `Prefer: respond-async` and look later."


class Overloaded(GatewayError):
    """The gateway has as many requests under way as it takes."""

    code = "overloaded"
    status = 503
    retryable = True
    default_fix = "Wait as long as `Retry-After` says, and send it again."


class AnswerUnusable(GatewayError):
    """The platform answered something that is no result."""

    code = "answer_unusable"
    status = 502
    pays = Pays.UNKNOWN
    default_fix = "`lorry models` shows where the model is; look at the platform's status page."


class GenerationNotFound(GatewayError):
    """There is no generation of this id for this caller."""

    code = "generation_not_found"
    status = 404
    default_fix = "Check the id; results are kept for LORRY_KEEP_DAYS."


class GenerationEnded(GatewayError):
    """The generation has ended, or has begun, so it can't be canceled."""

    code = "generation_ended"
    status = 409
    default_fix = "Read its result at its status address."


class TokenUnknown(GatewayError):
    """There is no such token that could be revoked."""

    code = "token_unknown"
    status = 404
    default_fix = "Run `lorry token list`, or ask `GET /api/tokens`, to see them."


class NoSuchPath(GatewayError):
    """There is nothing at this path, or not with this method."""

    code = "no_such_path"
    status = 404
    default_fix = "`GET /openapi.json` lists every path with its methods."
