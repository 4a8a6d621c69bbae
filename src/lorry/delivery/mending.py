"""Converting before shipping: a file that the route does not take as it is, and would after a conversion.

The copy lies in the home, by the digest of the file that it was made from. So shipping the same file again
finds the same copy, whatever a newer version of the converter would write.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lorry.model.report import WeightsReport

_FOLDER = "converted"
_DIGITS = 16  # of the digest; enough to tell files apart, short enough for a path


@dataclass(frozen=True, slots=True)
class Mended:
    """A converted copy of a file, and what was done to it, in words."""

    file: Path
    steps: tuple[str, ...]


class Mender(Protocol):
    """Makes files run on a route that they don't run on as they are."""

    def can(self, report: WeightsReport) -> bool:
        """Tell whether the file needs a conversion, and a conversion without loss is all it needs."""

    def mend(self, report: WeightsReport, folder: Path) -> Mended:
        """Write a converted copy into a folder, whole or not at all."""


class Leave:
    """Converts nothing."""

    def can(self, report: WeightsReport) -> bool:  # noqa: ARG002 - the port's
        """Never."""
        return False

    def mend(self, report: WeightsReport, folder: Path) -> Mended:
        """Never asked."""
        raise NotImplementedError


#: Reads and judges what a user names.
Check = Callable[[str | Path], WeightsReport]


@dataclass(frozen=True, slots=True)
class Copy:
    """A converted copy that passed the check."""

    report: WeightsReport
    steps: tuple[str, ...]


def converted(report: WeightsReport, home: Path, mender: Mender, check: Check) -> Copy:
    """Give the converted copy of a file: the one of an earlier attempt, or a new one.

    Args:
        report: What the check said of the file; it has a digest.
        home: Folder of Lorry's own state.
        mender: Converts.
        check: Reads and judges the copy.

    Raises:
        LorryError: The conversion was refused, or changed what it must not change.
    """
    folder = home / _FOLDER / (report.summary.digest or "")[:_DIGITS]
    if folder.is_dir():
        known = check(folder)
        if known.ok:
            return Copy(known, ("the copy of an earlier conversion is used",))
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    try:
        mended = mender.mend(report, folder)
        return Copy(check(mended.file), mended.steps)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def forget_converted(home: Path, source: str) -> None:
    """Delete the converted copy that a model was shipped from; a user's own file stays.

    Args:
        home: Folder of Lorry's own state.
        source: Path of the weights file that was shipped.
    """
    folder = Path(source).parent
    if folder.parent == (home / _FOLDER).absolute():
        shutil.rmtree(folder, ignore_errors=True)
