"""Faults on request: what a client wants to meet, so that it can be seen what it makes of it.

A fault belongs to the API key that asked for it: clients with keys of their own don't meet each other's.
Faults are kept in memory, so that an engine that is started anew has none.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from lorry.engine.api_errors import invalid
from lorry.engine.documents import new_id


class Kind(StrEnum):
    """What happens to a request, or to what it made."""

    REFUSE = "refuse"  # it is answered with `status` and `body`, and does nothing
    DELAY = "delay"  # it acts after `seconds`
    LOSE = "lose"  # it acts, and its answer never comes: the line is held for `seconds`, then cut
    CUT = "cut"  # it acts, and half of its answer comes
    GARBLE = "garble"  # it acts, and its answer is no JSON
    REJECT = "reject"  # the revision that it made fails its validation, with `message`
    STICK = "stick"  # the import that it began never ends
    FAIL = "fail"  # the deployment that it made ends as FAILED, with `message`
    CAPACITY = "capacity"  # the deployment that it asks for is refused: no hardware is free


#: Which answers a kind can wait for, when nothing is said: method and path, as `fnmatch` reads them.
WHERE: dict[Kind, tuple[str, str]] = {
    Kind.REJECT: ("POST", "*/models/upload/complete"),
    Kind.STICK: ("POST", "*/models/uploads"),
    Kind.FAIL: ("POST", "*/endpoints/*/deployments"),
    Kind.CAPACITY: ("POST", "*/endpoints/*/deployments"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that waits for its request.

    Attributes:
        id: Its id.
        owner: Digest of the key that it belongs to.
        kind: What happens.
        method: Of the request; `*` for any.
        path: Of the request, as `fnmatch` reads it.
        times: How often it is still to happen.
        skip: Requests that pass before.
        status: HTTP status of a refusal.
        body: Body of a refusal; one in Together's form is written when `None`.
        headers: Further headers of a refusal, such as `Retry-After`.
        seconds: Of a delay, or of a line that is held.
        message: Why validation or a deployment fails.
    """

    id: str
    owner: str
    kind: Kind
    method: str = "*"
    path: str = "*"
    times: int = 1
    skip: int = 0
    status: int = 503
    body: dict[str, Any] | None = None
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    message: str = ""

    def fits(self, owner: str, method: str, path: str) -> bool:
        """Tell whether a request meets it."""
        return (
            hmac.compare_digest(self.owner, owner)
            and self.times > 0
            and self.method in ("*", method)
            and fnmatchcase(path, self.path)
        )

    def answer(self) -> dict[str, Any]:
        """Write it as an answer, without whose it is."""
        return {
            "id": self.id,
            "kind": str(self.kind),
            "method": self.method,
            "path": self.path,
            "times": self.times,
            "skip": self.skip,
            "status": self.status,
            "body": self.body,
            "headers": dict(self.headers),
            "seconds": self.seconds,
            "message": self.message,
        }


def owner_of(authorization: str) -> str:
    """Give the digest of the key in an `Authorization` header, or of nothing."""
    return hashlib.sha256(authorization.partition(" ")[2].strip().encode()).hexdigest()


class Faults:
    """The faults that wait in one engine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    @property
    def any(self) -> bool:
        """Whether any fault waits for anybody."""
        return bool(self._waiting)

    def add(self, owner: str, wanted: dict[str, Any]) -> Fault:
        """Have a fault wait.

        Args:
            owner: Whose it is.
            wanted: Its fields, as a request gives them.

        Raises:
            Refusal: Fields that can't be meant, all of them named.
        """
        fault = _read(owner, wanted)
        with self._lock:
            self._waiting.append(fault)
        return fault

    def of(self, owner: str) -> list[Fault]:
        """List the faults that wait for a client, in the order in which they were asked for."""
        return [fault for fault in self._waiting if fault.owner == owner]

    def clear(self, owner: str) -> int:
        """Forget a client's faults, and say how many they were."""
        with self._lock:
            before = len(self._waiting)
            self._waiting = [fault for fault in self._waiting if fault.owner != owner]
            return before - len(self._waiting)

    def take(self, owner: str, method: str, path: str) -> Fault | None:
        """Give the fault that a request meets, the one asked for first; it has happened once more then."""
        with self._lock:
            for place, fault in enumerate(self._waiting):
                if not fault.fits(owner, method, path):
                    continue
                if fault.skip:
                    self._waiting[place] = replace(fault, skip=fault.skip - 1)
                    return None
                self._waiting[place] = replace(fault, times=fault.times - 1)
                self._waiting = [each for each in self._waiting if each.times > 0]
                return fault
            return None


def _read(owner: str, wanted: dict[str, Any]) -> Fault:
    kind = wanted.get("kind")
    if kind not in list(Kind):
        raise invalid(f"kind is {kind!r}; it can be {', '.join(Kind)}.", "kind")
    problems: list[str] = []

    def number(name: str, low: float, high: float, otherwise: float, *, whole: bool) -> Any:
        value = wanted.get(name, otherwise)
        fine = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not fine or not low <= value <= high:
            noun = "a whole number" if whole else "a number"
            problems.append(f"{name} is {value!r}; it is {noun} from {low:g} to {high:g}")
            return otherwise
        return value

    def text(name: str, otherwise: str) -> str:
        value = wanted.get(name, otherwise)
        if not isinstance(value, str):
            problems.append(f"{name} is {value!r}; it is a text")
            return otherwise
        return value

    def table(name: str) -> dict[str, Any] | None:
        value = wanted.get(name)
        if value is not None and not isinstance(value, dict):
            problems.append(f"{name} is {value!r}; it is an object")
            return None
        return value

    known = Fault.__dataclass_fields__.keys() - {"id", "owner"}
    problems += [f"{name} is no field of a fault" for name in wanted if name not in known]
    method, path = WHERE.get(Kind(kind), ("*", "*"))
    fault = Fault(
        id=new_id("fault"),
        owner=owner,
        kind=Kind(kind),
        method=text("method", method).upper(),
        path=text("path", path),
        times=number("times", 1, 10_000, 1, whole=True),
        skip=number("skip", 0, 10_000, 0, whole=True),
        status=number("status", 400, 599, 503, whole=True),
        body=table("body"),
        headers=tuple((str(name), str(value)) for name, value in (table("headers") or {}).items()),
        seconds=number("seconds", 0, 600, 0.0, whole=False),
        message=text("message", ""),
    )
    if problems:
        raise invalid(f"The fault can't be meant so: {'; '.join(problems)}.", "fault")
    return fault
