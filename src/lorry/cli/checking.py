"""What `lorry check` does once its arguments are known; apart from its parser, which takes longer to load."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lorry.model.report import WeightsReport
    from lorry.weights.files.digest import Hashing


def checked(
    source: str,
    *,
    base: str | None = None,
    deep: bool | None = None,
    targets: Sequence[str] = (),
    home: Path | None = None,
    as_json: bool = False,
) -> int:
    """Check weights and print the report.

    Args:
        source: A file, a folder, an archive, a Hub repository or an address.
        base: The base model that it is meant for.
        deep: Whether to look at every number; by default for a single file on this machine.
        targets: Routes and loaders to judge it for, or `all`.
        home: Folder of Lorry's own state; tells what was shipped before.
        as_json: Print one JSON document instead of text.

    Returns:
        The exit status: 0 fit to ship, 1 with errors.
    """
    # A check multiplies no matrices; OpenBLAS would start threads when numpy is loaded, and end them: 35 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if targets:
        from lorry.platforms.profiles import chosen

        chosen(targets)  # a name that is none is told before anything is read
    report = _report(source, base, deep, home)
    _print(report, targets, as_json=as_json)
    return 0 if report.ok else 1


def _report(source: str, base: str | None, deep: bool | None, home: Path | None) -> WeightsReport:
    with ExitStack() as stack:
        # The hash takes longer than all the rest, which can be loaded meanwhile on another core.
        hashing = _hashing(source, stack) if deep is not False else None

        from lorry.settings import read_settings
        from lorry.store import shipped_as
        from lorry.weights import check
        from lorry.weights.origins.access import Access

        settings = read_settings(home)
        access = Access(settings.hub_url, settings.hub_token, settings.allow_private_addresses)
        return check(
            source,
            base=base,
            deep=deep,
            access=access,
            hashing=hashing,
            shipped=lambda digest: shipped_as(settings.home, digest),
        )


def _hashing(source: str, stack: ExitStack) -> Hashing | None:
    """Begin to hash what is plainly a file on this machine; whatever is wrong with it, the check says."""
    path = Path(source)
    if not os.path.isfile(path):  # noqa: PTH113 - a path that can't be one is no file, and no error here
        return None

    from lorry.errors import SourceNotFound
    from lorry.weights.files.digest import Hashing
    from lorry.weights.files.source import FileSource

    try:
        return stack.enter_context(Hashing(stack.enter_context(FileSource(path))))
    except SourceNotFound:
        return None


def _print(report: WeightsReport, targets: Sequence[str], *, as_json: bool) -> None:
    data, lines = report.as_dict() if as_json else {}, []
    if not as_json:
        from lorry.cli.reports import report_lines

        lines = report_lines(report)
    if targets:
        from lorry.cli.verdicts import verdict_lines
        from lorry.platforms.verdicts import as_data, verdicts

        found = verdicts(report, targets)
        data["verdicts"] = as_data(found)
        lines += ["", *verdict_lines(found)]
    if as_json:
        import json

        print(json.dumps(data, indent=2, default=str))  # noqa: T201 - the door prints
    else:
        print("\n".join(lines))  # noqa: T201
