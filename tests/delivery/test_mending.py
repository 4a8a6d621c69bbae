"""A file that the route does not take as it is goes there converted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lorry.delivery.doubles import PrefixMender
from lorry.errors import DiskFull, WeightsRejected
from lorry.model.placement import PlacementState
from lorry.model.report import Finding, Mend, Severity, WeightsReport
from tests.delivery.conftest import Bench, Checker

RAW = b"raw:"
SPELLING = Finding("KEYS_PREFIX", Severity.ERROR, "Nothing would act.", "Convert it.", mend=Mend.CONVERT)
BROKEN = Finding("VAL_NAN", Severity.ERROR, "3 values are NaN.", "Train again.")


class Fussy(Checker):
    """A check that finds fault with every file that begins with the prefix."""

    def __call__(self, source: str | Path) -> WeightsReport:
        """Judge a file, or the one file of a folder."""
        source = Path(source)
        file = next(source.iterdir()) if source.is_dir() else source
        self.findings = (SPELLING,) if file.read_bytes().startswith(RAW) else ()
        return super().__call__(file)


@pytest.fixture
def raw(bench: Bench, change: Callable[[bytes], None]) -> Bench:
    """Give a bench whose file needs a conversion."""
    change(RAW + b"weights" * 300)
    bench.check = Fussy()
    return bench


async def test_a_mendable_file_is_shipped_converted(raw: Bench) -> None:
    """The copy goes up, not the file; the journal says what was done; the user's file stays as it was."""
    before = raw.source.read_bytes()
    async with raw.open(mender=PrefixMender(RAW)) as deliveries:
        placement = await deliveries.ship(raw.source, "tok")
    model = await raw.store.model("tok")
    assert placement.state is PlacementState.READY
    assert model is not None
    assert model.digest == hashlib.sha256(b"weights" * 300).hexdigest()
    assert Path(model.source).parent.parent == raw.home / "converted"
    assert raw.source.read_bytes() == before
    assert (await raw.told())[:4] == ["check started", "check done", "convert started", "convert done"]
    events = await raw.store.read("tok")
    assert "A conversion makes it fit." in events[1].message
    assert events[3].message == "the prefix was taken off."


async def test_the_same_file_again_finds_its_copy(raw: Bench) -> None:
    """Shipping it again converts nothing and creates nothing; retiring deletes the copy, not the file."""
    mender = PrefixMender(RAW)
    async with raw.open(mender=mender) as deliveries:
        first = await deliveries.ship(raw.source, "tok")
        assert await deliveries.ship(raw.source, "tok") == first
        assert len(mender.asked) == 1
        await deliveries.retire("tok")
    assert list((raw.home / "converted").iterdir()) == []
    assert raw.source.exists()


async def test_a_spoiled_copy_is_made_again(raw: Bench) -> None:
    """A copy that does not pass the check any more is thrown away and written anew."""
    digest = hashlib.sha256(raw.source.read_bytes()).hexdigest()
    left = raw.home / "converted" / digest[:16]
    left.mkdir(parents=True)
    (left / "weights.safetensors").write_bytes(RAW + b"half")
    mender = PrefixMender(RAW)
    async with raw.open(mender=mender) as deliveries:
        placement = await deliveries.ship(raw.source, "tok")
    assert placement.state is PlacementState.READY
    assert len(mender.asked) == 1


async def test_a_failed_conversion_leaves_nothing(raw: Bench) -> None:
    """When the conversion fails, its error is told, no half copy stays, and nothing exists anywhere."""
    mender = PrefixMender(RAW, fails=DiskFull("The disk is full."))
    async with raw.open(mender=mender) as deliveries:
        with pytest.raises(DiskFull):
            await deliveries.ship(raw.source, "tok")
    assert list((raw.home / "converted").iterdir()) == []
    assert sum(raw.ground.counts().values()) == 0
    assert raw.heard[-1].subject == "convert"
    assert raw.heard[-1].action == "failed"


async def test_what_no_conversion_mends_is_refused_untouched(bench: Bench) -> None:
    """One error that can't be mended refuses the file; nothing is converted on the way."""
    bench.check.findings = (SPELLING, BROKEN)
    mender = PrefixMender(b"")
    async with bench.open(mender=mender) as deliveries:
        with pytest.raises(WeightsRejected):
            await deliveries.ship(bench.source, "tok")
    assert mender.asked == []
