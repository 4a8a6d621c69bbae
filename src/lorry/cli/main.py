"""The door: one parser over plain functions. It reads arguments, prints, and turns errors into exit statuses.

Exit status: 0 done, 1 an error (or a check with errors), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from lorry.errors import InternalError, LorryError, UsageError

if TYPE_CHECKING:
    from cyclopts import App, CycloptsError

_HELP = """Takes a trained LoRA from a folder to pictures in production.

Without any account: `lorry engine` in one terminal, `lorry ship PATH --name NAME` in another."""

_INTERRUPTED = "Interrupted. A delivery goes on where it stood when you run the same command again."

#: Commands in the order in which a user meets them; each is imported only when it runs.
COMMANDS = {
    "demo": "The main job from end to end on this machine: a LoRA goes from its folder to pictures.",
    "train": "Train a small LoRA on a folder of pictures, on this machine.",
    "check": "Say what weights are, everything that is wrong with them, and where they run.",
    "convert": "Write a LoRA in another layout, with the same strength, and prove it.",
    "ship": "Bring a LoRA to its platform: check, convert, publish, upload, deploy, prove.",
    "watch": "Ship each training in some folders as soon as it has finished.",
    "resume": "Go on with a delivery that was interrupted.",
    "deliveries": "List what is under way, failed or waits for a person, and who works on it.",
    "cancel": "Stop a delivery at once, keeping or undoing what it made.",
    "retry": "Do a delivery again from one of its steps on.",
    "worker": "Go on with every delivery that nobody works on.",
    "generate": "Generate pictures with a model.",
    "models": "List the models.",
    "show": "Show one model: where it is, its proof, its last error.",
    "events": "Show what happened in a model's life.",
    "debug": "Put together what is known about a model, as one page for a support ticket.",
    "retire": "Remove a model from its platform, all of it.",
    "serve": "Run the gateway: one address to generate from, wherever the models are.",
    "token": "Make, list and revoke the tokens that the gateway takes.",
    "policy": "Say how requests for a model are routed, whose it is, and what they may cost.",
    "start": "Start what a model runs on, with its price in the question.",
    "stop": "Stop what a model runs on, so that it bills nothing.",
    "scale": "Change how many replicas a model runs on.",
    "costs": "Show what was spent, what bills now, and what the month will come to.",
    "budget": "Say what may be spent by a model, an owner, or in all.",
    "keeper": "Stop what bills and is not used.",
    "plan": "Say what each policy would have cost on recorded traffic.",
    "prices": "Show what hardware, pictures and words cost.",
    "mend": "Say that what a person had to mend is mended, so that requests go there again.",
    "engine": "Run the embedded platform.",
    "container": "Run Lorry's worker on a dedicated container, and give it jobs.",
    "doctor": "Say what this machine has, and what Together really offers.",
}


def build() -> App:
    """Build the parser."""
    from cyclopts import App

    app = App(
        name="lorry",
        help=_HELP,
        version=_version,
        version_flags=["--version"],
        suppress_keyboard_interrupt=False,  # `finish` says what an interrupted command leaves
    )
    for place, (name, line) in enumerate(COMMANDS.items()):
        app.command(f"lorry.cli.commands.{name}:{name}", name=name, help=line, sort_key=place)
    return app


def _version() -> str:
    from importlib.metadata import version  # imports half of the mail library

    return version("lorry")


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit status.

    Args:
        arguments: What the user typed after `lorry`.
    """
    as_json = "--json" in arguments
    try:
        return _carry_out(list(arguments))
    except LorryError as error:
        _tell(error, as_json=as_json)
        return error.exit_status
    except BrokenPipeError:
        return 1  # the reader went away (`lorry events tok | head`)
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user; the last resort reports what it can
        _tell(_unforeseen(error), as_json=as_json)
        return 1


def _carry_out(arguments: list[str]) -> int:
    plain = _plain_check(arguments)
    if plain is not None:
        from lorry.cli.checking import checked

        return checked(plain, as_json="--json" in arguments)
    from cyclopts import CycloptsError

    try:
        status = build()(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise _misused(error, arguments) from None
    return status if isinstance(status, int) else 0


def _plain_check(arguments: list[str]) -> str | None:
    """Give the path of `lorry check PATH` and `lorry check PATH --json`, which need no parser.

    They are what a program asks for each file that it is given; loading the parser takes a third of the time.
    """
    match arguments:
        case ["check", path] | ["check", path, "--json"] | ["check", "--json", path]:
            return path if path and not path.startswith("-") else None
        case _:
            return None


def main() -> NoReturn:
    """Run the command line of this process."""
    sys.exit(finish(lambda: run(sys.argv[1:])))


def finish(command: Callable[[], int]) -> int:
    """Carry a command out, and end in order when Ctrl-C cuts it off.

    Args:
        command: What to do; gives the exit status.
    """
    try:
        return command()
    except KeyboardInterrupt:
        # Ctrl-C can fall into the middle of anything, such as the making of an event loop; what Python says
        # of half-made objects while it lets go of them helps nobody.
        import warnings

        sys.unraisablehook = _say_nothing
        warnings.simplefilter("ignore")
        print(_INTERRUPTED, file=sys.stderr)  # noqa: T201 - the door prints
        return 130


def _say_nothing(_unraisable: object) -> None:
    """Hear what could not be raised, and keep it to ourselves."""


def _tell(error: LorryError, *, as_json: bool) -> None:
    from lorry.settings import secrets_around

    error.hide(secrets_around())
    if as_json:
        import json

        print(json.dumps({"error": error.as_dict()}, indent=2, default=str))  # noqa: T201
    else:
        from lorry.cli.printing import error_lines

        print("\n".join(error_lines(error)), file=sys.stderr)  # noqa: T201


def _misused(error: CycloptsError, arguments: Sequence[str]) -> LorryError:
    command = next((f" {word}" for word in arguments if word in COMMANDS), "")
    return UsageError(" ".join(str(error).split()), fix=f"Run `lorry{command} --help`.")


def _unforeseen(error: Exception) -> LorryError:
    """Keep where it happened as evidence, so that a report of it can be acted on."""
    import traceback

    frames = [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    return InternalError(
        f"{type(error).__name__}: {error}",
        evidence={"frames": frames[-6:]},
    )
