"""Policies and tokens in the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, insert, literal, select, update

from lorry.model.serving import DEFAULT_POLICY, Policy, Scope, Token, policy_from
from lorry.store.database import Database, unbroken
from lorry.store.dialects import upsert
from lorry.store.tables import MODELS, PLACEMENTS, SERVING, TOKENS


class StoredAccess:
    """Who may ask for which model, and how it is routed: the tables `serving` and `tokens`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def policy(self, model: str) -> Policy:
        """Read a model's policy; the default where none was set."""
        rows = await self.database.rows(select(SERVING).where(SERVING.c.model == model))
        return policy_from(rows[0]["policy"]) if rows else DEFAULT_POLICY

    async def policies(self) -> Mapping[str, Policy]:
        """Read all policies, by model."""
        rows = await self.database.rows(select(SERVING))
        return {row["model"]: policy_from(row["policy"]) for row in rows}

    async def set_policy(self, model: str, policy: Policy) -> None:
        """Write a model's policy."""
        values = {"model": model, "policy": policy.as_dict(), "updated_at": _now()}
        await self.database.run(upsert(self.database.dialect, SERVING, values, ["policy", "updated_at"]))

    async def tokens(self) -> tuple[Token, ...]:
        """Read all tokens, oldest first."""
        return tuple(map(_token, await self.database.rows(select(TOKENS).order_by(TOKENS.c.created_at))))

    async def add_token(self, token: Token) -> None:
        """Write a token."""
        values = {**token.as_dict(), "digest": token.digest}
        await self.database.run(insert(TOKENS).values(**values))

    @unbroken
    async def revoke(self, token: str) -> bool:
        """Revoke a token by its id; say whether it was valid."""
        valid = (TOKENS.c.id == token) & TOKENS.c.revoked_at.is_(None)
        async with self.database.writing() as connection:
            done = await connection.execute(update(TOKENS).where(valid).values(revoked_at=_now()))
            return bool(done.rowcount)

    async def forget_policy(self, model: str) -> None:
        """Forget a model's policy."""
        await self.database.run(delete(SERVING).where(SERVING.c.model == model))

    async def mark(self) -> str:
        """Give a mark of models, placements, policies and tokens; it differs when any of them changed."""
        parts = [
            _mark("models", MODELS.c.created_at),
            _mark("placements", PLACEMENTS.c.updated_at),
            _mark("serving", SERVING.c.updated_at),
            _mark("tokens", TOKENS.c.created_at),
            _mark("revoked", TOKENS.c.revoked_at),
        ]
        first, *rest = parts
        rows = await self.database.rows(first.union_all(*rest))
        return str(sorted(map(str, rows)))


def _mark(name: str, column: Any) -> Any:
    return select(literal(name).label("name"), func.count(column).label("rows"), func.max(column).label("at"))


def _token(row: Mapping[str, Any]) -> Token:
    read = {
        **row,
        "scopes": frozenset(map(Scope, row["scopes"])),
        "models": None if row["models"] is None else frozenset(row["models"]),
        "created_at": datetime.fromisoformat(row["created_at"]),
        "revoked_at": datetime.fromisoformat(row["revoked_at"]) if row["revoked_at"] else None,
    }
    return Token(**read)


def _now() -> str:
    return datetime.now(UTC).isoformat()
