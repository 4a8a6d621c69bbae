"""New tokens."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Iterator
from datetime import datetime

from lorry.errors import OptionInvalid
from lorry.model.serving import Scope, Token

#: What a secret begins with, so that scanners of leaked secrets know one.
PREFIX = "lorry_"


def mint(
    owner: str | None,
    scopes: frozenset[Scope],
    now: datetime,
    *,
    models: frozenset[str] | None = None,
    per_second: float | None = None,
    burst: int | None = None,
    day_cents: float | None = None,
    month_cents: float | None = None,
) -> tuple[str, Token]:
    """Make a token.

    Args:
        owner: Whose it is; `None` for the house.
        scopes: What it may do.
        now: The time, UTC.
        models: The only models that it may ask for; all that its owner sees when `None`.
        per_second: Requests a second, in the long run; `None` for no limit.
        burst: Requests at once after a silence; two seconds' worth when `None`.
        day_cents: What it may spend a day, US cents.
        month_cents: What it may spend a month.

    Returns:
        The secret, which is kept nowhere, and the token. A secret has 256 random bits, so one round of
        SHA-256 is enough to keep it: there is nothing to guess.

    Raises:
        OptionInvalid: With everything that can't be used.
    """
    numbers = {"rate": per_second, "burst": burst, "day-cents": day_cents, "month-cents": month_cents}
    problems = list(_problems(owner, scopes, numbers))
    if problems:
        sentence = "; ".join(problems)
        raise OptionInvalid(
            f"{sentence[0].upper()}{sentence[1:]}.",
            fix="Correct what is named; `lorry token --help` lists the options.",
            evidence={"problems": problems},
        )
    secret = PREFIX + secrets.token_urlsafe(32)
    token = Token(
        id=f"tok_{secrets.token_hex(8)}",
        digest=hashlib.sha256(secret.encode()).hexdigest(),
        owner=owner,
        scopes=scopes,
        models=models,
        per_second=per_second,
        burst=burst or max(1, round(2 * per_second) if per_second else 1),
        day_cents=day_cents,
        month_cents=month_cents,
        created_at=now,
    )
    return secret, token


def _problems(
    owner: str | None, scopes: frozenset[Scope], numbers: dict[str, float | int | None]
) -> Iterator[str]:
    if not scopes:
        yield f"a token needs a scope: {', '.join(Scope)}"
    if owner is not None and not 1 <= len(owner) <= 80:
        yield "an owner's name has 1 to 80 letters"
    for name, value in numbers.items():
        least_ok = value is None or (math.isfinite(value) and (value > 0 or name.endswith("cents")))
        if not least_ok or (value is not None and value < 0):
            yield f"{name} is {value}, it must be above 0"
