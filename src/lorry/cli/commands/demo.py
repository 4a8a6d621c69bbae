"""`lorry demo`: the main job from end to end, on this machine."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lorry.cli.engine_process import EngineProcess, engine_process
from lorry.cli.options import Output
from lorry.cli.printing import proof_lines
from lorry.cli.progress import Steps
from lorry.errors import HomeBusy, NotWritable, SourceNotFound
from lorry.model.generation import Generation
from lorry.model.placement import Placement

if TYPE_CHECKING:
    from lorry.api import Lorry

#: The trigger word alone, and combined with what the LoRA saw in no training picture: purple and green.
PROMPTS = (
    "TOK",
    "TOK on a black background",
    "TOK with arms up on a purple background",
    "TOK with a red hat on a green background",
)
_SEED = 7
_MODEL = "tok"
_MARK = "made-by-lorry-demo"


def demo(*, folder: Path = Path("lorry-demo"), output: Output = Output()) -> None:  # noqa: B008 - frozen
    """Take the sample LoRA from its folder to pictures, with an engine of its own.

    Args:
        folder: Where the contact sheet and the demo's state go; made anew each time.
    """
    began = time.monotonic()
    console = output.steps_console()
    source = sample()
    home = _fresh_home(folder)
    console.print(f"Shipping {_shown(source)} on the embedded engine.", highlight=False)
    with Steps(console) as steps, engine_process(home, folder / "engine.log") as engine:
        steps.done("engine", engine.seconds, f"answers at {engine.url}, process {engine.pid}")
        placement, sheet = asyncio.run(_run(engine, source, home, folder, steps))
    seconds = time.monotonic() - began
    data = {"placement": placement.as_dict(), "sheet": str(sheet), "seconds": round(seconds, 2)}
    output.out(data, _closing(placement, sheet, home, seconds))


def sample() -> Path:
    """Find the sample LoRA: in the checkout, or where the wheel puts it.

    Raises:
        SourceNotFound: Neither has it.
    """
    package = Path(__file__).resolve().parents[2]
    candidates = (package.parents[1] / "examples" / _MODEL, package / "examples" / _MODEL)
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise SourceNotFound(
        "The sample LoRA is missing from this installation.",
        fix="Run `make demo` in a checkout of the project.",
        evidence={"looked_in": [str(folder) for folder in candidates]},
    )


async def _run(
    engine: EngineProcess, source: Path, home: Path, folder: Path, steps: Steps
) -> tuple[Placement, Path]:
    from lorry.api import Lorry
    from lorry.settings import Settings

    settings = Settings(home=home, engine_url=engine.url)
    async with Lorry(settings, listen=steps.show) as lorry:
        placement = await lorry.ship(source, _MODEL)
        began = time.monotonic()
        rows = [[await _draw(lorry, prompt, scale) for prompt in PROMPTS] for scale in (0.0, None)]
        count = len(PROMPTS) * len(rows)
        steps.done(
            "generate",
            time.monotonic() - began,
            f"{count} pictures: {len(PROMPTS)} prompts, without and with it",
        )
    sheet = folder / "contact-sheet.png"
    began = time.monotonic()
    _write_sheet(sheet, *rows)
    steps.done("sheet", time.monotonic() - began, str(sheet))
    return placement, sheet


async def _draw(lorry: Lorry, prompt: str, scale: float | None) -> Generation:
    return await lorry.generate(_MODEL, prompt, seed=_SEED, scale=scale)


def _write_sheet(path: Path, without: list[Generation], with_: list[Generation]) -> None:
    from lorry.generation import SheetRow, contact_sheet, write_file

    rows = [
        SheetRow(label, tuple(made.pictures[0].png for made in row))
        for label, row in (("without the LoRA", without), ("with the LoRA", with_))
    ]
    write_file(
        path, contact_sheet(rows, captions=PROMPTS, title=f"{_MODEL}: the same prompts and seed {_SEED}")
    )


def _fresh_home(folder: Path) -> Path:
    from lorry.engine.discovery import running

    home = folder / "home"
    if url := running(home):
        raise HomeBusy(
            f"An engine still runs on the state of an earlier demo ({url}).",
            fix="Stop it with Ctrl-C in its terminal, then run the demo again.",
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MARK).is_file():
        raise NotWritable(
            f"{folder} holds something that is not a demo's, so it was left alone.",
            fix="Choose another place with `lorry demo --folder NEW`.",
        )
    shutil.rmtree(home, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).write_text("This folder is made anew by every `lorry demo`.\n")
    return home.absolute()


def _closing(placement: Placement, sheet: Path, home: Path, seconds: float) -> list[str]:
    program = _shown(Path(sys.argv[0]))
    option = f"--home {_shown(home)}"
    return [
        *_proof(placement),
        "",
        f"Done in {seconds:.1f} s. Look at {sheet}",
        "",
        "Try next (the first one in a second terminal, it keeps running):",
        f"  {program} engine {option}",
        f'  {program} generate {_MODEL} "TOK on a pink background" -o tok.png {option}',
        f"  {program} show {_MODEL} {option}",
    ]


def _proof(placement: Placement) -> list[str]:
    proof = placement.proof
    if proof is None:
        return []
    without = _shown(Path(proof.file_without)) if proof.file_without else None
    return proof_lines(replace(proof, file_without=without, file_with=_shown(Path(proof.file_with))))


def _shown(path: Path) -> str:
    """Write a path relative to the working folder when it lies below it."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
