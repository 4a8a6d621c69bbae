"""`lorry train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from lorry.cli.options import Common

if TYPE_CHECKING:
    from lorry.training.lora.ports import Moment

_BASE = "lorry/flux-icons-64"


def train(
    pictures: Path,
    /,
    *,
    trigger: str,
    name: str,
    out: Path | None = None,
    base: str = _BASE,
    steps: Annotated[int | None, Parameter(validator=validators.Number(gte=10, lte=100_000))] = None,
    rank: Annotated[int | None, Parameter(validator=validators.Number(gte=1, lte=256))] = None,
    seed: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0,
    ship: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    common: Common = Common(),  # noqa: B008 - frozen
) -> int:
    """Train a small LoRA on a folder of pictures; on the embedded engine's base in two minutes on a CPU.

    It can be interrupted; the same command goes on from the last checkpoint. What it leaves is what `lorry
    check` and `lorry ship` expect. It needs the extra `diffusers`.

    Args:
        pictures: Folder of pictures, each with its caption in a .txt beside it (or in metadata.jsonl); one
            without is captioned by the trigger word alone.
        trigger: The word that calls what is learnt; put before captions that lack it.
        name: What the model is called.
        out: Where checkpoints, previews and the result go; a folder of the model's name when omitted.
        base: What to train on: the embedded engine's base, or one of FLUX's kind on a GPU, by its repository
            or folder.
        steps: Steps in all; what suits the base when omitted.
        rank: Rank of the adapter; 16 when omitted.
        seed: Start of everything that is random.
        ship: Ship it to the embedded engine when it is trained.
    """
    from lorry.model.names import parse_name
    from lorry.wiring.training import recipe_for, train_lora

    parse_name(name)
    folder = out or Path(name)
    recipe = recipe_for(base, _word(trigger), steps=steps, rank=rank, seed=seed)
    with _Watching(common, recipe.steps) as watching:
        result, before = train_lora(pictures, folder, base, recipe, watching.begin, watching.seen)
    told = {"file": str(result), "steps": recipe.steps, "steps_before": before, "trigger": recipe.trigger}
    lines = [f"{result} is trained: {recipe.steps:,} steps on {base}."]
    if before == recipe.steps:
        lines = [f"{result} was trained already."]
    elif before:
        lines += [f"It went on from step {before:,}."]
    if not ship:
        common.out(told, [*lines, f"next: lorry ship {folder} --name {name}"])
        return 0
    from lorry.cli.commands.ship import ship as carry

    common.say("\n".join(lines))
    return carry(str(folder), name=name, common=common)


def _word(trigger: str) -> str:
    from lorry.errors import OptionInvalid

    word = " ".join(trigger.split())
    if not word or len(word) > 60 or not word.isprintable():
        raise OptionInvalid(
            f"{trigger!r} can't be a trigger word.", fix="Choose a short word that means nothing, as TOK."
        )
    return word


class _Watching:
    """A bar with the loss; with `--json` nothing."""

    def __init__(self, common: Common, steps: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._common = common
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("loss {task.fields[loss]}  ordinary pictures moved by {task.fields[kept]}"),
            console=common.steps_console(),
            disable=common.json,
        )
        self._task = self._bar.add_task("training", total=steps, loss="", kept="")

    def __enter__(self) -> _Watching:
        return self

    def begin(self, pictures: int, before: int) -> None:
        """Say what begins, and show the bar."""
        from_where = f", from step {before:,} on" if before else ""
        self._common.say(
            f"Training on {pictures:,} pictures{from_where}. First the base draws ordinary ones to keep."
        )
        self._bar.update(self._task, completed=before)
        self._bar.start()

    def __exit__(self, *_: object) -> None:
        if self._bar.live.is_started:
            self._bar.stop()

    def seen(self, moment: Moment) -> None:
        """Show where it stands."""
        self._bar.update(
            self._task, completed=moment.step, loss=f"{moment.loss:.3f}", kept=f"{moment.kept:.4f}"
        )
        if moment.preview is not None and not self._common.json:
            self._bar.console.print(f"step {moment.step:,}: {moment.preview}", highlight=False)
