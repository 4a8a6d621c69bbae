"""The engine draws for real: the shipped base, a shipped adapter, the default renderer."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lorry.engine.clock import ManualClock
from lorry.engine.renderers import open_renderer
from tests.engine.conftest import opened
from tests.engine.samples import Api

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "tok" / "pytorch_lora_weights.safetensors"


def draw(api: Api, model: str, **more: object) -> npt.NDArray[np.int64]:
    answer = api.pictures(model, "a picture of TOK", steps=2, output_format="png", **more)
    assert answer.status_code == 200, answer.text
    data = base64.b64decode(answer.json()["data"][0]["b64_json"])
    return np.asarray(Image.open(io.BytesIO(data))).astype(np.int64)


def test_a_real_adapter_acts_as_the_check_predicted(home: Path, clock: ManualClock) -> None:
    """It loads into as many layers as predicted, gives the base's picture at 0, and another at 1."""
    with opened(home, clock, renderer=open_renderer) as api:
        endpoint, deployment = api.served(SAMPLE)
        assert api.state(endpoint["id"], deployment["id"]) == "READY"
        base = draw(api, "lorry/flux-icons-64")
        off = draw(api, "local/tok", image_loras=[{"path": "local/tok", "scale": 0}])
        assert np.abs(base - off).max() <= 1
        assert np.abs(base - draw(api, "local/tok")).mean() > 5
        assert np.abs(base - draw(api, "lorry/flux-icons-64")).max() == 0
