"""What `lorry convert` prints: what was done, what was proved, what got lost."""

from __future__ import annotations

from collections.abc import Iterator

from lorry.cli.printing import pairs, size
from lorry.weights.convert.options import Conversion

_WORST = 5  # modules with a loss that are listed


def conversion_lines(done: Conversion) -> list[str]:
    """Write a conversion for people.

    Args:
        done: What was done.
    """
    return [
        str(done.file),
        *pairs(
            [
                ("layout", str(done.layout)),
                ("base", done.after.base or done.after.family),
                ("rank", str(done.after.rank) if done.after.rank else None),
                (
                    "modules",
                    f"{done.modules} became {done.layers}"
                    if done.modules != done.layers
                    else str(done.layers),
                ),
                ("size", f"{size(done.after.size_bytes)} (was {size(done.before.size_bytes)})"),
                ("sha256", done.digest),
            ]
        ),
        "",
        *(f"- {step}" for step in done.steps),
        "",
        *_proof(done),
    ]


def _proof(done: Conversion) -> Iterator[str]:
    kept = done.modules - (len(done.losses.modules) if done.losses else 0)
    if kept:
        change = "" if done.largest_change < 1e-6 else f", to {100 * done.largest_change:.2g}%"
        yield f"{kept} of {done.modules} modules have the norm of scale · B · A that they had{change}."
    if done.losses is not None:
        yield f"{done.losses}."
        yield from pairs(
            [
                (loss.module, f"{100 * loss.energy:.3g}% of its energy")
                for loss in done.losses.modules[:_WORST]
            ]
        )
