"""What `lorry check` does once its arguments are known; apart from its parser, which takes longer to load."""

from __future__ import annotations

import os
from pathlib import Path

from lorry.cli.reports import report_lines


def checked(path: Path, *, base: str | None = None, as_json: bool = False) -> int:
    """Check weights and print the report.

    Args:
        path: A .safetensors file, or the folder that holds it.
        base: The base model that it is meant for.
        as_json: Print one JSON document instead of text.

    Returns:
        The exit status: 0 fit to ship, 1 with errors.
    """
    # A check multiplies no matrices; OpenBLAS would start threads when numpy is loaded, and end them: 35 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lorry.weights import check

    report = check(path, base=base)
    if as_json:
        import json

        print(json.dumps(report.as_dict(), indent=2, default=str))  # noqa: T201 - the door prints
    else:
        print("\n".join(report_lines(report)))  # noqa: T201
    return 0 if report.ok else 1
