"""An engine that was told to draw with another base: it serves that one, in its sizes, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lorry.engine.clock import ManualClock
from lorry.engine.drawing.serving import Serving
from lorry.engine.hub.storage import stored
from lorry.engine.renderers.pipeline_opening import Base
from lorry.engine.renderers.pipelines import PipelineRenderer
from lorry.engine.together.bases import catalog
from tests.engine.conftest import opened
from tests.engine.renderers.tiny_pipelines import FAMILIES, save, save_lora
from tests.engine.samples import Api
from tests.engine.test_images import difference, pixels

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]

NAME = "tiny/FLUX.1-dev"


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny FLUX.1."""
    return save("flux", tmp_path_factory.mktemp("flux"))


@pytest.fixture
def api(home: Path, clock: ManualClock, flux: Path) -> Iterator[Api]:
    """Open an engine that draws with it."""
    serving = Serving(lambda: PipelineRenderer(Base(NAME, flux)))
    with opened(home, clock, base=NAME, serving=serving) as api:
        yield api


def test_pictures_come_in_the_size_that_is_asked_for(api: Api) -> None:
    """Sides may differ, in the base's multiples; what it can't draw is refused with every reason."""
    answer = api.pictures(NAME, width=32, height=48, steps=2, output_format="png")
    assert pixels(answer).shape == (48, 32, 3)
    refused = api.pictures(NAME, width=33, height=5000, steps=2)
    assert refused.status_code == 400
    assert "4 to 2048 in multiples of 4; 33x5000 was asked for" in refused.json()["error"]["message"]


def test_a_lora_on_the_hub_acts_on_it(api: Api, flux: Path, tmp_path: Path) -> None:
    """A LoRA of that base changes the picture by its scale."""
    from diffusers import DiffusionPipeline

    official = DiffusionPipeline.from_pretrained(flux, local_files_only=True)
    lora = save_lora(official, tmp_path / "lora", FAMILIES["flux"], seed=1)
    hub = api.hub
    hub.create("ann/tok", private=False)
    blob = hub.works.blobs.put(lora.read_bytes())
    hub.advance("ann/tok", "weights", "", [stored("w.safetensors", blob.sha256, blob.size)], [], None)

    def drawn(scale: float | None) -> object:
        loras = [] if scale is None else [{"path": "ann/tok", "scale": scale}]
        return api.pictures(NAME, width=32, height=32, steps=2, image_loras=loras, output_format="png")

    plain = pixels(drawn(None))
    assert difference(pixels(drawn(0)), plain) == 0
    assert difference(pixels(drawn(1)), plain) > 0


def test_the_catalog_has_it_in_the_place_of_the_own_base(api: Api) -> None:
    """It is listed and found by its name; the one that comes along is not served, and says so."""
    assert api.pictures("lorry/flux-icons-64").status_code == 404
    bases = catalog(drawn=NAME)
    assert bases.drawn == NAME
    assert [base.name for base in bases.asleep] == ["lorry/flux-icons-64"]
    assert NAME in {base.name for base in bases.bases}


def test_an_adapter_that_was_deployed_for_another_base_says_so(
    home: Path, clock: ManualClock, flux: Path, weights: Path
) -> None:
    """On the same home, what runs on the base that comes along is not drawn with this one."""
    with opened(home, clock) as before:
        before.served(weights)
        assert before.pictures("local/tok").status_code == 200
    serving = Serving(lambda: PipelineRenderer(Base(NAME, flux)))
    with opened(home, clock, base=NAME, serving=serving) as after:
        answer = after.pictures("local/tok")
        assert answer.status_code >= 400
        assert f"draws with {NAME}" in answer.json()["error"]["message"]
