"""What can be done with a model from its page; each is a command of `lorry`, and is in the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from lorry.errors import NoSuchPath, OptionInvalid, PriceNotAccepted
from lorry.model.events import Event
from lorry.model.serving import Scope
from lorry.server.api.asking import TheRooms
from lorry.server.pages.rendering import page, told
from lorry.server.pages.visiting import AnyVisitor, Form, TheForm, Visitor
from lorry.server.rooms import Rooms

#: Seconds that a quick command may take, and those for which a slow one is watched for what fails at once.
_QUICK, _WATCHED = 120.0, 2.5

_MOST_REPLICAS = 1000

#: Seconds to wait for the numbers after something was done.
_PATIENCE = 1.0

#: Where a question belongs that comes back in place of what was done.
_TO_DIALOG = {"HX-Retarget": "#ask", "HX-Reswap": "innerHTML"}


@dataclass(frozen=True, slots=True)
class Act:
    """Something that can be done with a model.

    Attributes:
        title: Of the question.
        text: What it does, in a sentence with `{name}`.
        button: The word on the button.
        words: The command, from the model's name and the form.
        done: What is said afterwards, with `{name}`.
        slow: Whether it goes on after it was begun.
        grave: Whether it can't be taken back.
        then: The page to go to afterwards.
    """

    title: str
    text: str
    button: str
    words: Callable[[str, Form], Sequence[str]]
    done: str
    slow: bool = False
    grave: bool = False
    then: str | None = None


def _replicas(name: str, form: Form) -> list[str]:
    count = form.number("replicas", "The number of replicas")
    if count is None or count != int(count) or not 1 <= count <= _MOST_REPLICAS:
        raise OptionInvalid(f"Replicas are a whole number from 1 to {_MOST_REPLICAS}.", fix="Correct it.")
    return ["scale", name, str(int(count))]


def _minutes(name: str, form: Form) -> list[str]:
    minutes = form.number("minutes", "The number of minutes")
    if minutes is not None and not 0 < minutes <= 100_000:
        raise OptionInvalid("Minutes are more than 0, and at most 100,000.", fix="Correct it.")
    return ["start", name, *(["--minutes", f"{minutes:g}"] if minutes is not None else [])]


ACTS: Mapping[str, Act] = {
    "start": Act(
        "Start {name}?",
        "What it runs on is started. It stops by itself when nobody uses it.",
        "Start",
        _minutes,
        "{name} is being started.",
    ),
    "stop": Act(
        "Stop {name}?",
        "What it runs on is stopped, so that it bills nothing. Everything stays at the platform, and it can "
        "be started again.",
        "Stop",
        lambda name, _: ["stop", name],
        "{name} is stopped, and bills nothing by the hour.",
    ),
    "scale": Act(
        "Scale {name}?",
        "So many replicas of it run from now on.",
        "Scale",
        _replicas,
        "{name} is scaled.",
    ),
    "resume": Act(
        "Go on with {name}?",
        "Its delivery goes on where it stands; nothing is made twice.",
        "Go on",
        lambda name, _: ["resume", name],
        "The delivery of {name} goes on.",
        slow=True,
    ),
    "cancel": Act(
        "Hold {name}?",
        "Its delivery stops at once. What it made stays, and may bill, until it goes on or is undone.",
        "Hold",
        lambda name, _: ["cancel", name],
        "The delivery of {name} was stopped; what it made is kept.",
        slow=True,
    ),
    "undo": Act(
        "Undo {name}?",
        "Its delivery stops, and everything that it made is removed. The file on the disk stays.",
        "Undo",
        lambda name, _: ["cancel", name, "--undo"],
        "{name} is being undone.",
        slow=True,
        grave=True,
    ),
    "retire": Act(
        "Retire {name}?",
        "It is removed from its platform and from the Hub, all of it, and answers no more. The file on the "
        "disk and its journal stay.",
        "Retire",
        lambda name, _: ["retire", name],
        "{name} is being retired.",
        slow=True,
        grave=True,
    ),
}


def acting_routes(router: APIRouter) -> None:
    """Add the routes."""
    router.add_api_route("/models/{name}/ask/{act}", ask, methods=["GET"])
    router.add_api_route("/models/{name}/do/{act}", do, methods=["POST"])


async def ask(request: Request, rooms: TheRooms, visitor: AnyVisitor, name: str, act: str) -> Response:
    """Ask whether something shall be done."""
    wanted = _act(rooms, visitor, name, act)
    return page(request, visitor, "parts/ask.html", _question(name, act, wanted, {}))


async def do(
    request: Request, rooms: TheRooms, visitor: AnyVisitor, form: TheForm, name: str, act: str
) -> Response:
    """Do it; what bills is asked for again, with its price, until somebody agrees to it."""
    wanted = _act(rooms, visitor, name, act)
    words = list(wanted.words(name, form))
    agreed = "agreed" in form
    await note(rooms, visitor, name, act, f"{wanted.button}: asked for {name} on the dashboard.")
    try:
        if wanted.slow:
            await rooms.desk.errand.begin(words, _WATCHED)
        else:
            await rooms.desk.errand([*words, "--yes"] if agreed else words, _QUICK)
    except PriceNotAccepted as error:
        kept = {key: value for key, value in form.items() if key in ("replicas", "minutes")}
        view = {**_question(name, act, wanted, kept), "price": error.evidence, "warning": error.message}
        return page(request, visitor, "parts/ask.html", view, headers=_TO_DIALOG)
    except OptionInvalid as error:
        if not error.evidence.get("others"):
            raise
        view = {**_question(name, act, wanted, {}), "warning": error.message, "price": None}
        return page(request, visitor, "parts/ask.html", view, headers=_TO_DIALOG)
    await rooms.refresh()
    await rooms.desk.looks.today.again(_PATIENCE)
    return told(request, visitor, wanted.done.format(name=name), then=wanted.then)


async def note(rooms: Rooms, visitor: Visitor, model: str, did: str, sentence: str, **more: object) -> None:
    """Write into a model's journal who asked for what."""
    data = {"did": did, "who": visitor.who, "owner": visitor.caller.owner, **more}
    event = Event(
        model, "dashboard", "action", "asked", f"{sentence} By {visitor.who}.", rooms.now(), data=data
    )
    await rooms.desk.journal.write(event)


def _act(rooms: Rooms, visitor: Visitor, name: str, act: str) -> Act:
    visitor.require(Scope.SHIP)
    rooms.directory.now.require(name, visitor.caller)
    if act not in ACTS:
        raise NoSuchPath(f"Nothing here is called {act[:40]!r}.")
    return ACTS[act]


def _question(name: str, act: str, wanted: Act, kept: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "act": act,
        "title": wanted.title.format(name=name),
        "text": wanted.text,
        "button": wanted.button,
        "grave": wanted.grave,
        "kept": dict(kept),
        "price": None,
        "warning": None,
    }
