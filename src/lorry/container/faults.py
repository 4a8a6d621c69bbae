"""A job that can't be drawn, as data: what stands in its outputs instead of pictures."""

from __future__ import annotations

from typing import Any

from lorry.errors import InternalError, LorryError, WeightsRejected

_FINDING = ("code", "severity", "message", "fix", "subject")


def fault_data(error: Exception) -> dict[str, Any]:
    """Write an error down as JSON values, in the form of `LorryError.as_dict`.

    Args:
        error: What went wrong; anything but ours is a fault of ours, named without its traceback.
    """
    if not isinstance(error, LorryError):
        error = InternalError(
            f"{type(error).__name__}: {error}", fix="Read the container's logs: `lorry container logs NAME`."
        )
    data = error.as_dict()
    if isinstance(error, WeightsRejected):
        # Without what speaks for and against each family: a queue's answer is no place for ten kilobytes.
        rows = [finding.as_dict() for finding in error.report.errors]
        data["message"] = f"{error.report.summary.path} is not used: {error.report.errors[0].message}"
        data["evidence"] = {"findings": [{name: row.get(name) for name in _FINDING} for row in rows]}
    return data
