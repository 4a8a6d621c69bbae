"""Taking single values out of a probe's answers. Each look is a function from the answers to one value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lorry.platforms.probing.asking import Reply

Replies = Mapping[str, Reply]
Row = Mapping[str, Any]


class NotSeen(Exception):
    """The answers do not show it; the message says why."""


def rows_of(reply: Reply | None) -> list[Row]:
    """Give the rows of a list, whether it is a bare array or an object with `data` (dossier 1.6 and 2.0)."""
    body = reply.body if reply is not None and reply.fault is None else None
    rows = body.get("data") if isinstance(body, Mapping) else body
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def rows_by_name(replies: Replies, name: str) -> list[Row]:
    """Give the rows of a list that was answered.

    Raises:
        NotSeen: It was not asked for, or was refused.
    """
    answered(replies, name)
    return rows_of(replies[name])


def answered(replies: Replies, name: str) -> Reply:
    """Give a reply that is a success.

    Raises:
        NotSeen: There is none.
    """
    reply = replies.get(name)
    if reply is None:
        raise NotSeen("it was not asked for")
    if reply.fault is not None:
        raise NotSeen(
            f"the answer was {reply.fault.code}" + (f" (status {reply.status})" if reply.status else "")
        )
    return reply


def status(replies: Replies, of: str) -> int:
    """Say with which status a question was answered."""
    reply = replies.get(of)
    if reply is None or reply.status == 0:
        raise NotSeen("no answer came")
    return reply.status


def count(replies: Replies, of: str) -> int:
    """Count the rows of a list."""
    return len(rows_by_name(replies, of))


def form(replies: Replies, of: str) -> str:
    """Say whether an answer is an array or an object."""
    return "array" if isinstance(answered(replies, of).body, list) else "object"


def headers(replies: Replies, of: str) -> bool:
    """Tell whether any answer had a header."""
    return any(of in reply.headers for reply in replies.values())


def key_kind(replies: Replies, of: str) -> str:  # noqa: ARG001 - every look has the same form
    """Say what kind of key it is."""
    body = answered(replies, "whoami").body
    return str(body.get("type")) if isinstance(body, Mapping) else "none"


def price(replies: Replies, of: str) -> float:
    """Give the price of an instance type, US cents for a replica and hour."""
    return _number(_named(rows_by_name(replies, "instance-types"), of), "priceCentsPerHour")


def gpu_price(replies: Replies, of: str) -> float:
    """Give the price of one accelerator of a kind, US cents for a replica and hour."""
    rows = rows_by_name(replies, "instance-types")
    single = [row for row in rows if of in str(row.get("gpuType")).upper() and row.get("gpuCount") == 1]
    if not single:
        raise NotSeen(f"no instance type is one {of}")
    return _number(single[0], "priceCentsPerHour")


def v1_price(replies: Replies, of: str) -> float:
    """Give the price of v1 hardware, US cents per minute."""
    row = _named(rows_by_name(replies, "v1-hardware"), of, "id")
    pricing = row.get("pricing")
    return _number(pricing if isinstance(pricing, Mapping) else {}, "cents_per_minute")


def headroom(replies: Replies, of: str) -> str:
    """Say how many replicas of an instance type fit now, by region."""
    row = _named(rows_by_name(replies, "instance-types"), of)
    regions = [region for region in row.get("regions") or () if isinstance(region, Mapping)]
    said = [f"{region.get('name')} {_headroom(region)}" for region in regions]
    return ", ".join(said) or "no region"


def instance_types(replies: Replies, of: str) -> list[str]:  # noqa: ARG001
    """Name all instance types."""
    return sorted(str(row.get("name")) for row in rows_by_name(replies, "instance-types"))


def capable(replies: Replies, of: str) -> list[str]:
    """Name the models of the catalogue with a capability."""
    return _names(
        row for row in rows_by_name(replies, "supported-models") if of in _list(row, "capabilities")
    )


def dedicated_and_capable(replies: Replies, of: str) -> list[str]:
    """Name the models with a capability that can have a deployment of their own."""
    rows = rows_by_name(replies, "supported-models")
    dedicated = (row for row in rows if "PRODUCT_DEDICATED" in _list(row, "products"))
    return _names(row for row in dedicated if of in _list(row, "capabilities"))


def profileless(replies: Replies, of: str) -> list[str]:  # noqa: ARG001
    """Name the models that are offered as dedicated and have no deployment profile."""
    rows = rows_by_name(replies, "supported-models")
    dedicated = (row for row in rows if "PRODUCT_DEDICATED" in _list(row, "products"))
    return _names(row for row in dedicated if not _list(row, "deploymentProfiles"))


def adapter_bases(replies: Replies, of: str) -> list[str]:
    """Name the models that have a deployment profile with an adapter mode."""
    rows = rows_by_name(replies, "supported-models")
    return _names(row for row in rows if any(profile.get("adapterMode") == of for profile in _profiles(row)))


def adapter_modes(replies: Replies, of: str) -> list[str]:  # noqa: ARG001
    """Name the adapter modes that profiles have."""
    rows = rows_by_name(replies, "supported-models")
    return sorted({str(profile.get("adapterMode")) for row in rows for profile in _profiles(row)})


def configurations(replies: Replies, of: str) -> list[int]:  # noqa: ARG001
    """Count the configurations of each base model that was asked for."""
    found = [name for name in replies if name.startswith("configs-")]
    if not found:
        raise NotSeen("no base model has a deployment profile")
    return [count(replies, name) for name in sorted(found)]


def listed_in_v1(replies: Replies, of: str) -> bool:
    """Tell whether the list of shared models has a model."""
    return any(row.get("id") == of for row in rows_by_name(replies, "v1-models"))


def v1_loras(replies: Replies, of: str) -> int:  # noqa: ARG001
    """Count the shared models that call themselves LoRA targets."""
    rows = rows_by_name(replies, "v1-models")
    return sum(str(row.get("id", "")).lower().endswith("-lora") for row in rows)


def v1_pricing(replies: Replies, of: str) -> str:
    """Give what the list of shared models says of a model's price."""
    return str(_named(rows_by_name(replies, "v1-models"), of, "id").get("pricing"))


def rules(replies: Replies, of: str) -> list[str]:  # noqa: ARG001
    """Name the rules that validation has complained of in the account's own revisions."""
    complaints = [
        complaint
        for row in rows_by_name(replies, "revisions")
        for complaint in _list(row, "validationErrors")
        if isinstance(complaint, Mapping)
    ]
    return sorted({str(complaint.get("rule")) for complaint in complaints})


def fields(replies: Replies, of: str) -> list[str]:
    """Name every field that the rows of a list have."""
    found = {str(name) for row in rows_by_name(replies, of) for name in row}
    if not found:
        raise NotSeen("the list is empty")
    return sorted(found)


#: Every look by its name in `beliefs.toml`.
LOOKS: Mapping[str, Callable[[Replies, str], Any]] = {
    look.__name__: look
    for look in (
        status,
        count,
        form,
        headers,
        key_kind,
        price,
        gpu_price,
        v1_price,
        headroom,
        instance_types,
        capable,
        dedicated_and_capable,
        profileless,
        adapter_bases,
        adapter_modes,
        configurations,
        listed_in_v1,
        v1_loras,
        v1_pricing,
        rules,
        fields,
    )
}


def _named(rows: list[Row], name: str, key: str = "name") -> Row:
    found = next((row for row in rows if row.get(key) == name), None)
    if found is None:
        raise NotSeen(f"{name} is not among the {len(rows)} rows")
    return found


def _number(row: Row, key: str) -> float:
    """Read a number; sizes and counts come as text (dossier 2.0)."""
    try:
        return float(row[key])
    except (KeyError, TypeError, ValueError):
        raise NotSeen(f"the row has no {key}") from None


def _headroom(region: Row) -> str:
    room = region.get("headroom")
    if not isinstance(room, Mapping):
        return "?"
    return f"{room.get('value')}{'+' if room.get('relation') == 'RELATION_GTE' else ''}"


def _list(row: Row, key: str) -> list[Any]:
    value = row.get(key)
    return value if isinstance(value, list) else []


def _profiles(row: Row) -> Iterator[Row]:
    yield from (profile for profile in _list(row, "deploymentProfiles") if isinstance(profile, Mapping))


def _names(rows: Iterator[Row]) -> list[str]:
    return sorted(str(row.get("name")) for row in rows)
