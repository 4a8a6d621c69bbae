"""`lorry check`."""

from __future__ import annotations

from pathlib import Path

from lorry.cli.options import Output
from lorry.cli.reports import report_lines


def check(path: Path, /, *, base: str | None = None, output: Output = Output()) -> int:  # noqa: B008 - frozen
    """Say what a LoRA is and everything that is wrong with it.

    Exit status: 0 fit to ship, 1 with errors, 2 wrong usage.

    Args:
        path: A .safetensors file, or the folder that holds it.
        base: The base model that it is meant for; a file for another one is then an error.
    """
    from lorry.weights import check as check_weights

    report = check_weights(path, base=base)
    output.out(report.as_dict(), report_lines(report))
    return 0 if report.ok else 1
