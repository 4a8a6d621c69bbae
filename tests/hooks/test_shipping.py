"""`ship_trained`: the last line of a training script."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from lorry.engine.testing import RunningEngine
from lorry.errors import NameTaken, PriceNotAccepted, SourceNotFound
from lorry.hooks import ship_trained
from lorry.model.options import ShipOptions
from lorry.model.placement import PlacementState
from lorry.settings import Settings

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own

FILE = "pytorch_lora_weights.safetensors"


def trained(folder: Path, example: str = "tok") -> Path:
    """Save as a diffusers script does."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(EXAMPLES / example / FILE, folder / FILE)
    return folder


def test_what_was_saved_is_shipped(settings: Settings, engine: RunningEngine, tmp_path: Path) -> None:
    """It answers when the call returns; the same weights again cost nothing."""
    folder = trained(tmp_path / "Ann Smith")
    for _ in range(2):
        placement = ship_trained(folder, settings=settings)
        assert placement is not None
        assert (placement.model, placement.state) == ("ann-smith", PlacementState.READY)
    assert set(engine.counts().values()) == {1}


def test_training_again_gives_a_new_model(settings: Settings, tmp_path: Path) -> None:
    """A name that was made is counted up; one that was given belongs to the first weights."""
    ship_trained(trained(tmp_path / "ann"), settings=settings)
    again = ship_trained(trained(tmp_path / "ann", "blueprint"), settings=settings)
    assert again is not None
    assert again.model == "ann-2"
    with pytest.raises(NameTaken):
        ship_trained(tmp_path / "ann", "ann", settings=settings)


@pytest.mark.parametrize("rank", ["RANK", "SLURM_PROCID"])
def test_one_process_of_a_training_ships(
    rank: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others do nothing at all."""
    monkeypatch.setenv(rank, "3")
    assert ship_trained(trained(tmp_path / "ann"), settings=settings) is None
    assert not settings.home.exists()


async def test_a_notebook_has_a_loop_of_its_own(settings: Settings, tmp_path: Path) -> None:
    """It can be called where an event loop runs already."""
    await asyncio.sleep(0)
    placement = ship_trained(trained(tmp_path / "ann"), settings=settings, hand_over=True)
    assert placement is not None
    assert placement.state is PlacementState.DELIVERING


def test_nothing_saved_and_nothing_agreed_are_errors(settings: Settings, tmp_path: Path) -> None:
    """A folder that is not there is named; what bills is not started without a word."""
    with pytest.raises(SourceNotFound, match="saved nothing"):
        ship_trained(tmp_path / "nowhere", settings=settings)
    folder = trained(tmp_path / "ann")
    with pytest.raises(PriceNotAccepted):
        ship_trained(
            folder,
            settings=settings,
            route="together-container",
            rehearse=True,
            options=ShipOptions(public=True, image="registry.test/worker:1"),
        )
