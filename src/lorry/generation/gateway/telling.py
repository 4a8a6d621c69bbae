"""What is told of a request that is not answered at once: where to look, and a message at its end."""

from __future__ import annotations

from typing import Any

import msgspec

from lorry.generation.gateway.rendering import Addresses, body_of
from lorry.model.kept import Generated, Hook, State


def status_of(row: Generated, server: str) -> dict[str, Any]:
    """Give where a request stands, as JSON values.

    Args:
        row: The request.
        server: Address of this server as the caller sees it.
    """
    times = ("created_at", "started_at", "ended_at")
    told = {name: value.isoformat() if (value := getattr(row, name)) else None for name in times}
    return {
        "id": row.id,
        "state": str(row.state),
        "model": row.model,
        "status_url": f"{server}/api/generations/{row.id}",
        **told,
        "note": row.note,
        "error": row.error,
    }


def accepted_body(row: Generated, server: str) -> bytes:
    """Write the answer 202: where to look, and how long it usually takes."""
    return msgspec.json.encode(status_of(row, server))


def hook_of(row: Generated, addresses: Addresses, server: str) -> Hook:
    """Give the message that tells the end of a request.

    Pictures are in it as addresses: a webhook is no place for megabytes.

    Args:
        row: The request, ended.
        addresses: Signs the addresses of pictures.
        server: Address of this server as the caller saw it.
    """
    told = status_of(row, server)
    if row.state is State.DONE:
        whole = row if not (row.answer or {}).get("pictures") else _as_addresses(row)
        told["result"] = msgspec.Raw(body_of(whole, {}, addresses, server)[0])
    kind = "generation.done" if row.state is State.DONE else "generation.failed"
    body = msgspec.json.encode({"type": kind, "data": told})
    return Hook(f"msg_{row.id}", row.owner, row.webhook or "", body.decode())


def _as_addresses(row: Generated) -> Generated:
    from dataclasses import replace

    return replace(row, answer={**(row.answer or {}), "address": True})
