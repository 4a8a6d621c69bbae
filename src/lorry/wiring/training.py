"""The base models that `lorry train` trains on."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from lorry.errors import ExtraMissing
from lorry.training.lora.ports import Recipe, Seen, TrainableBase

#: The embedded engine's base.
SMALL = "lorry/flux-icons-64"

_NEEDED = ("torch", "diffusers", "peft", "transformers")


def recipe_for(base: str, trigger: str, *, steps: int | None, rank: int | None, seed: int) -> Recipe:
    """Give the recipe that suits a base.

    Args:
        base: Public id of it.
        trigger: The word that calls what is learnt.
        steps: Other than the recipe's.
        rank: Other than the recipe's.
        seed: Start of everything that is random.
    """
    # The small one: measured (docs/how-to/train.md). FLUX's: as diffusers' example and ai-toolkit begin with.
    usual = Recipe(trigger) if base == SMALL else Recipe(trigger, 800, 16, 1, 1e-4, 0.5, every=200)
    chosen = steps or usual.steps
    return Recipe(
        trigger,
        chosen,
        rank or usual.rank,
        usual.batch,
        usual.rate,
        usual.prior,
        seed,
        min(usual.every, max(1, chosen // 4)),
    )


def trainable(base: str) -> TrainableBase:
    """Open a base for training.

    Args:
        base: The embedded engine's, or one of FLUX's kind by its repository or folder.

    Raises:
        ExtraMissing: The libraries that train are not installed.
        OptionInvalid: It can't be opened, or needs a GPU and there is none.
    """
    missing = [package for package in _NEEDED if find_spec(package) is None]
    if missing:
        raise ExtraMissing(
            f"Training needs {', '.join(missing)}.",
            fix="pip install 'lorry[diffusers]'",
            evidence={"missing": missing},
        )
    from lorry.engine.renderers.quiet import quiet_libraries

    quiet_libraries()
    if base == SMALL:
        from lorry.engine.renderers.trainable import SmallBase

        return SmallBase()
    from lorry.engine.renderers.trainable_flux import FluxBase

    return FluxBase(base, "cuda")


def train_lora(
    pictures: Path, out: Path, base: str, recipe: Recipe, begin: Callable[[int, int], None], seen: Seen
) -> tuple[Path, int]:
    """Train a LoRA on a folder of pictures, from where an earlier run stood.

    Args:
        pictures: The folder.
        out: Where checkpoints, previews and the result go.
        base: Public id of the base.
        recipe: How.
        begin: Told before the first step: how many pictures there are, and the steps that were done before.
        seen: Told after each step.

    Returns:
        The finished file, and the steps that were done before.

    Raises:
        SourceNotFound: There is no picture.
        OptionInvalid: A picture can't be read, the base can't be opened, or `out` holds another training.
        ExtraMissing: The libraries that train are not installed.
    """
    from lorry.training.lora.pictures import digest_of, read_examples

    model = trainable(base)
    examples = read_examples(pictures, recipe.trigger, model.edge)
    from lorry.training.lora.keeping import Keeping
    from lorry.training.lora.loop import train

    keeping = Keeping(out, recipe, digest_of(examples), base)
    before = keeping.standing()
    if before < recipe.steps:
        begin(len(examples), before)
        train(model, examples, recipe, keeping, seen)
    return keeping.result, before
