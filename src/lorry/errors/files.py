"""The user's own files were refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lorry.errors.root import LorryError

if TYPE_CHECKING:
    from lorry.model.report import WeightsReport


class WeightsRejected(LorryError):
    """The check found errors, so nothing was sent anywhere."""

    code = "weights_rejected"
    default_fix = "Run `lorry check PATH` to see every finding with its fix."

    def __init__(self, report: WeightsReport) -> None:
        errors = report.errors
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(
            f"{report.summary.path} was not shipped: {errors[0].message}{more}",
            fix=errors[0].fix,
            evidence={"findings": [finding.as_dict() for finding in report.findings]},
        )
        self.report = report


class ConversionError(LorryError):
    """A file can't be converted; nothing was written."""

    code = "conversion_error"
    default_fix = "Run `lorry check PATH` to see what the file is, with every finding and its fix."


class ConversionRefused(ConversionError):
    """The file can't be converted as asked for."""

    code = "conversion_refused"


class StrengthChanged(ConversionError):
    """The converted file would act with another strength than the original, so it was not kept."""

    code = "conversion_changed_strength"
    default_fix = "Keep the original; please report this with the evidence below, it is a fault of ours."


class ConversionFailed(ConversionError):
    """What was written did not pass the check, so it was not kept."""

    code = "conversion_failed"
