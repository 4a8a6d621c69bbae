"""Where a job's LoRAs come from, and the check that each passes before it comes near the base model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from lorry.container.cache import Cache
from lorry.container.orders import LoraOrder
from lorry.errors import AdapterUnusable, SourceNotFound, WeightsRejected
from lorry.model.report import WeightsReport
from lorry.weights.origins.access import Access, without_secrets

#: Checks a file for a base model.
Check = Callable[[Path, str], WeightsReport]


@dataclass(frozen=True, slots=True)
class Places:
    """Where files may lie that a job names.

    Attributes:
        adapters: The folder in which names are looked up; `None` for no names.
        mounts: Folders by the absolute path under which a job speaks of them: the mounted volumes.
    """

    adapters: Path | None = None
    mounts: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadyLora:
    """A LoRA that passed its check.

    Attributes:
        digest: SHA-256 of its file.
        file: Where it lies now.
        layers: Layers of the base that it is expected to change.
    """

    digest: str
    file: Path
    layers: int


def check_file(file: Path, base: str) -> WeightsReport:
    """Check a file as `lorry check` does, and that it is what a worker takes: a LoRA for pictures.

    Args:
        file: The weights file.
        base: Id of the base model that it has to fit.
    """
    from lorry.weights import check
    from lorry.weights.catalogue import finding

    report = check(file, base=base, deep=True, clock=None)
    if report.errors or report.summary.kind in (None, "image-lora"):
        return report
    other = finding("KIND_LIMIT", f"A worker draws with LoRAs for pictures; this is a {report.summary.kind}.")
    return replace(report, findings=(other, *report.findings))


class Loras:
    """Brings LoRAs to where they can be loaded from.

    Args:
        base: Id of the base model.
        places: Where files may lie.
        cache: Keeps what was fetched.
        access: What may be asked on the network.
        check: Checks a file.
    """

    def __init__(
        self, base: str, places: Places, cache: Cache, access: Access, check: Check = check_file
    ) -> None:
        self._base = base
        self._places = places
        self._cache = cache
        self._access = access
        self._check = check
        self._passed: dict[str, ReadyLora] = {}
        self._seen: dict[tuple[Path, int, int], str] = {}

    def ready(self, order: LoraOrder) -> ReadyLora:
        """Find or fetch a LoRA, and check it unless the same bytes passed before.

        Args:
            order: What the job wants.

        Raises:
            SourceNotFound: Nothing is there, or it is not among what a job may name.
            OptionInvalid: It is an address of a kind that is not fetched.
            WeightsRejected: It can't be fetched, or the check found errors; the report says why.
            AdapterUnusable: It is not the file that the job means, or changes nothing.
            DiskFull: There is no room for it.
        """
        if order.digest and (known := self._known(order.digest)):
            return known
        found = self._fetched(order) if "://" in order.path else self._local(order)
        if order.digest not in (None, found.digest):
            raise AdapterUnusable(
                f"What {_shown(order)} holds is not the file that the job means: its SHA-256 differs.",
                fix="Submit the job with the digest of the file as it is now, or without a digest.",
                evidence={"path": _shown(order), "expected": order.digest, "found": found.digest},
            )
        return found

    def _known(self, digest: str) -> ReadyLora | None:
        passed = self._passed.get(digest)
        if passed is not None and passed.file.is_file():
            return passed
        cached = self._cache.find(digest)
        return None if cached is None else self._checked(cached, cached.name)

    def _fetched(self, order: LoraOrder) -> ReadyLora:
        from lorry.weights import locate
        from lorry.weights.origins.fetching import fetched

        with fetched(order.path, self._access) as here:
            return self._kept(self._checked(locate(here), _shown(order)))

    def _local(self, order: LoraOrder) -> ReadyLora:
        from lorry.weights import locate
        from lorry.weights.origins.fetching import fetched

        place = self._place(order.path)
        told = place.stat()
        stamp = (place, told.st_size, told.st_mtime_ns)
        if passed := self._passed.get(self._seen.get(stamp, "")):
            return passed
        with fetched(str(place), self._access) as here:  # unpacks what is an archive
            passed = self._checked(locate(here), order.path)
            passed = passed if passed.file.is_relative_to(place) else self._kept(passed)
        if place.is_file():  # of a folder, the time says nothing about what lies in it
            self._seen[stamp] = passed.digest
        return passed

    def _kept(self, passed: ReadyLora) -> ReadyLora:
        kept = replace(passed, file=self._cache.keep(passed.digest, passed.file))
        self._passed[kept.digest] = kept
        return kept

    def _place(self, path: str) -> Path:
        """Find what a job names inside the volumes and the adapters' folder, and nowhere else."""
        named = PurePosixPath(path)
        if ".." in named.parts or "\0" in path:
            raise self._nowhere(path)
        for root, inside in self._candidates(named):
            for place in (root / inside, root / f"{inside}.safetensors"):
                # A link may lead out of a volume; what it leads to is not what was mounted.
                if place.exists() and place.resolve().is_relative_to(root.resolve()):
                    return place
        raise self._nowhere(path)

    def _candidates(self, named: PurePosixPath) -> list[tuple[Path, PurePosixPath]]:
        if named.is_absolute():
            return [
                (root, named.relative_to(mount))
                for mount, root in self._places.mounts.items()
                if named.is_relative_to(mount)
            ]
        return [(self._places.adapters, named)] if self._places.adapters else []

    def _nowhere(self, path: str) -> SourceNotFound:
        mounts = ", ".join(self._places.mounts) or "none is mounted"
        names = "" if self._places.adapters else "; this worker has no folder of adapters"
        return SourceNotFound(
            f"There is no LoRA {path} in this worker (volumes: {mounts}{names}).",
            fix="Name an https address, a file in a mounted volume, or one in the worker's adapters folder.",
            evidence={"path": path, "mounts": list(self._places.mounts)},
        )

    def _checked(self, file: Path, shown: str) -> ReadyLora:
        report = self._check(file, self._base)
        if report.errors:
            named = replace(report, summary=replace(report.summary, path=shown))
            raise WeightsRejected(named)
        digest = report.summary.digest
        if digest is None or report.summary.modules == 0:
            raise AdapterUnusable(
                f"{shown} changes no layer of {self._base}.", evidence={"path": shown, "base": self._base}
            )
        ready = ReadyLora(digest, file, report.summary.modules)
        self._passed[digest] = ready
        return ready


def _shown(order: LoraOrder) -> str:
    return without_secrets(order.path) if "://" in order.path else order.path
