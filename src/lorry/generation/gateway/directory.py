"""What requests are looked up in: models with their places, policies and tokens, kept in memory.

A request must not wait for a database, so the tables are read when something in them changed, which is looked
for once a second. A token that is revoked, or a model that moved, counts within that second.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from lorry.errors import ModelNotFound, TokenInvalid
from lorry.generation.gateway.callers import HOUSE, Caller
from lorry.generation.ports import Directory
from lorry.generation.routing.choosing import Ranking
from lorry.model.placement import Placement, TrainedModel
from lorry.model.serving import DEFAULT_POLICY, Place, Policy, Token


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The tables at one moment.

    Attributes:
        models: By name.
        placements: By model.
        places: Both, by model, where there are both.
        policies: By model; those that were set.
        callers: By the digest of their token; only those that are valid.
        guarded: Whether any token was ever made, so that requests need one.
        usual: Rankings found with these tables, by model and whether words are asked for, as far as they hold
            whoever asks.
        headers: Callers by the header `Authorization` that they sent, as far as it was looked at.
        kept_anyway: Whether results of a model are kept whoever asks, as far as it was worked out.
    """

    models: Mapping[str, TrainedModel] = field(default_factory=dict)
    placements: Mapping[str, Placement] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    callers: Mapping[str, Caller] = field(default_factory=dict)
    guarded: bool = False
    usual: dict[tuple[str, bool], Ranking] = field(default_factory=dict, compare=False)
    headers: dict[bytes, Caller] = field(default_factory=dict, compare=False, repr=False)
    kept_anyway: dict[str, bool] = field(default_factory=dict, compare=False)

    def policy(self, model: str) -> Policy:
        """Give a model's policy."""
        return self.policies.get(model, DEFAULT_POLICY)

    def place(self, model: str) -> Place | None:
        """Give a model's place; `None` for one that is nowhere."""
        return self.places.get(model)

    def others(self, policy: Policy) -> list[Place]:
        """Give the places that may answer for a model by its policy."""
        return [place for name in policy.also if (place := self.place(name)) is not None]

    def seen_by(self, caller: Caller) -> list[str]:
        """List the models that a caller may know of, by name."""
        return [name for name in self.models if caller.sees(name, self.policy(name).owner)]

    def require(self, model: str, caller: Caller) -> TrainedModel:
        """Find a model that a caller may ask for.

        Raises:
            ModelNotFound: There is none, or not for this caller: the two look the same. Names the similar
                ones that are.
        """
        found = self.models.get(model)
        if found is not None and caller.sees(model, self.policy(model).owner):
            return found
        near = difflib.get_close_matches(model, self.seen_by(caller), 3, 0.5)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        raise ModelNotFound(
            f"No model {model[:100]!r} is known here.{hint}",
            fix="`GET /v1/models` lists what there is.",
            evidence={"model": model[:100], "similar": near},
        )


class LiveDirectory:
    """The newest snapshot.

    Args:
        tables: What is read.
    """

    def __init__(self, tables: Directory) -> None:
        self._tables = tables
        self._mark = self._since = ""
        self.now = Snapshot()

    async def refresh(self) -> bool:
        """Read the tables again where something changed; say whether it did."""
        mark = await self._tables.mark()
        if mark == self._mark:
            return False
        tokens = await self._tables.tokens()
        models, placements = await self._records()
        self.now = Snapshot(
            models,
            placements,
            {name: Place(models[name], found) for name, found in placements.items() if name in models},
            await self._tables.policies(),
            self._callers(tokens),
            bool(tokens),
        )
        self._mark = mark
        return True

    async def _records(self) -> tuple[dict[str, TrainedModel], dict[str, Placement]]:
        """Read what changed since the last time; everything where something is gone."""
        models, placements = dict(self.now.models), dict(self.now.placements)
        for since in (self._since, ""):
            if not since:
                models, placements = {}, {}
            new, moved, until = await self._tables.changed(since)
            models.update((model.name, model) for model in new)
            placements.update((placement.model, placement) for placement in moved)
            self._since = until
            if (len(models), len(placements)) == await self._tables.counts():
                break
        return models, placements

    def _callers(self, tokens: tuple[Token, ...]) -> dict[str, Caller]:
        """Give the valid callers; one that was there already stays, with what it has used of its rate."""
        known = self.now.callers
        valid = [token for token in tokens if token.revoked_at is None]
        return {
            token.digest: known[token.digest] if token.digest in known else Caller.of(token)
            for token in valid
        }

    def caller(self, given: bytes | None) -> Caller:
        """Find who sent a request.

        Args:
            given: The header `Authorization` that came with it; `None` without one.

        Raises:
            TokenInvalid: A token is needed, and this is none that is valid.
        """
        now = self.now
        if not now.guarded:
            return HOUSE
        if given is None:
            raise TokenInvalid("The request has no token.")
        found = now.headers.get(given)
        if found is None:
            found = self._found(given)
            if len(now.headers) < _MOST_HEADERS:
                now.headers[given] = found  # hashed once, and not for every request
        return found

    def _found(self, given: bytes) -> Caller:
        kind, _, secret = given.partition(b" ")
        if kind.lower() != b"bearer":
            raise TokenInvalid("The header `Authorization` is of a kind that is not taken; it takes Bearer.")
        found = self.now.callers.get(hashlib.sha256(secret.strip()).hexdigest())
        if found is None:
            raise TokenInvalid("The token is unknown or was revoked.")
        return found


#: Valid tokens whose header is remembered until the tables change.
_MOST_HEADERS = 10_000
