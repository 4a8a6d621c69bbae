"""The door: one parser over plain functions. It reads arguments, prints, and turns errors into exit statuses.

Exit status: 0 done, 1 an error (or a check with errors), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import NoReturn

from cyclopts import App, CycloptsError

from lorry.cli.printing import error_lines
from lorry.errors import InternalError, LorryError

_HELP = """Takes a trained LoRA from a folder to pictures in production.

Without any account: `lorry engine` in one terminal, `lorry ship PATH --name NAME` in another."""

#: Commands in the order in which a user meets them; each is imported only when it runs.
COMMANDS = (
    "demo",
    "check",
    "ship",
    "resume",
    "generate",
    "models",
    "show",
    "events",
    "retire",
    "engine",
)


def build() -> App:
    """Build the parser."""
    from importlib.metadata import version

    app = App(name="lorry", help=_HELP, version=lambda: version("lorry"), version_flags=["--version"])
    for name in COMMANDS:
        app.command(f"lorry.cli.commands.{name}:{name}", name=name)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit status.

    Args:
        arguments: What the user typed after `lorry`.
    """
    as_json = "--json" in arguments
    try:
        status = build()(list(arguments), exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return 2  # already printed, with the usage
    except LorryError as error:
        _tell(error, as_json=as_json)
        return error.exit_status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201 - the door prints
        return 130
    except BrokenPipeError:
        return 1  # the reader went away (`lorry events tok | head`)
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user; the last resort reports what it can
        _tell(_unforeseen(error), as_json=as_json)
        return 1
    return status if isinstance(status, int) else 0


def main() -> NoReturn:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def _tell(error: LorryError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": error.as_dict()}, indent=2, default=str))  # noqa: T201
    else:
        print("\n".join(error_lines(error)), file=sys.stderr)  # noqa: T201


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
