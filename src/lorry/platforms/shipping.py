"""What a delivery asks of a file for one route: a check that knows the route, and the copy that it needs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from lorry.delivery.mending import Mended
from lorry.delivery.place import SharedBase
from lorry.model.forecast import Price
from lorry.model.report import WeightsReport
from lorry.model.verdict import Reason
from lorry.platforms.profiles import BaseStatus, Profile, ServedBase
from lorry.platforms.profiles import profile as read
from lorry.platforms.reasons import reasons
from lorry.weights import check
from lorry.weights.catalogue import finding
from lorry.weights.origins.access import Access

_COMPANION = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class RouteCheck:
    """Checks what is to be shipped: all of it, wherever it lies, and whether the route takes its kind at all.

    Attributes:
        profile: The route.
        access: What may be asked for a file that is not on this machine.
    """

    profile: Profile
    access: Access

    def __call__(self, source: str | Path) -> WeightsReport:
        """Check a source.

        Args:
            source: A file, a folder, an archive, a Hub repository or an address.
        """
        report = check(source, access=self.access)
        wrong = self._refused(report)
        if wrong is not None and report.summary.kind is not None:
            refused = finding(wrong.code, f"{self.profile.target}: {wrong.sentence}")
            return replace(report, findings=(refused, *report.findings))
        if report.ok and not _is_here(report):
            return check(source, access=self.access, deep=True)  # its numbers were not fetched so far
        return report

    def _refused(self, report: WeightsReport) -> Reason | None:
        """Find why the route takes nothing of this kind, or no adapter of this base."""
        # The embedded engine names its bases itself, with a sentence that is worth more.
        codes = {"KIND_LIMIT"} if self.profile.platform == "local" else {"KIND_LIMIT", "BASE_LIMIT"}
        found = reasons(report, self.profile)
        return next((each for each in found if each.code in codes and each.blocks), None)


def rehearsed(profile: Profile) -> Profile:
    """Give the profile of a route as the embedded engine plays it: with the engine's bases, and never closed.

    Args:
        profile: The route's own profile.
    """
    if profile.platform == "local":
        return profile
    embedded = read("local")
    bases = embedded.bases if profile.bases else ()
    return replace(profile, bases=bases, families=None, closed=None, loader=_played(profile, embedded))


def _played(profile: Profile, embedded: Profile) -> str:
    pictures = "image-lora" in profile.kinds.value
    return embedded.loader if pictures else profile.loader


def shared_bases(profile: Profile) -> dict[str, SharedBase]:
    """List the bases of a route that take adapters by their address, by the key of their family.

    Args:
        profile: The route.
    """
    if profile.by_url is None or not profile.by_url.value:
        return {}
    lasting = [base for base in profile.bases if base.status is not BaseStatus.DEPRECATED]
    return {base.family: SharedBase(base.id, _price(base), base.note) for base in lasting}


def _price(base: ServedBase) -> Price:
    source = f"{base.source.origin}, {base.source.date}"
    return Price(base.cents_per_megapixel, "megapixel", source)


@dataclass(frozen=True, slots=True)
class RouteMender:
    """Converts a file when that is all it needs, and takes it out of an archive or off the network.

    Attributes:
        access: What may be asked for a file that is not on this machine.
    """

    access: Access

    def can(self, report: WeightsReport) -> bool:
        """Tell whether a copy has to be made: converted without loss, or only fetched.

        Args:
            report: What the check said.
        """
        from lorry.weights.convert.mending import mends

        return mends(report) or (report.ok and report.summary.kind is not None and not _is_here(report))

    def mend(self, report: WeightsReport, folder: Path) -> Mended:
        """Make the copy.

        Args:
            report: What the check said.
            folder: Where to put it.
        """
        from lorry.weights.convert.conversion import convert
        from lorry.weights.convert.mending import mends
        from lorry.weights.convert.options import Options
        from lorry.weights.origins.fetching import fetched
        from lorry.weights.origins.folder import locate

        with fetched(report.summary.path, self.access) as here:
            if mends(report):
                done = convert(here, folder, Options(base=report.summary.family))
                return Mended(done.file, tuple(done.steps))
            file = locate(here)
            for each in (file, file.with_name(_COMPANION)):
                if each.is_file():
                    shutil.copyfile(each, folder / each.name)
            return Mended(folder / file.name, (f"taken from {report.summary.path}",))


def _is_here(report: WeightsReport) -> bool:
    """Tell whether the weights are on this machine, and no part of an archive; a whole model is a folder."""
    return Path(report.summary.file).exists()
