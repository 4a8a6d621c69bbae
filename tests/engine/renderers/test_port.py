"""What the port promises before anything is opened, and the arithmetic that renderers share."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from lorry.engine.renderers import base_model, native_size, open_renderer
from lorry.engine.renderers.flow import sigmas, starting_noise
from lorry.engine.renderers.text import TOKENS, WIDTH, TextEncoder
from lorry.errors import OptionInvalid


def test_importing_the_room_loads_nothing_heavy() -> None:
    """The room, its port and the base's facts need neither torch nor onnxruntime."""
    code = (
        "import sys, lorry.engine.renderers as r; r.base_model(); "
        "print([n for n in ('torch', 'onnxruntime', 'diffusers', 'tokenizers') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_renderer() -> None:
    """A renderer that does not exist is a usage error that names the two that do."""
    with pytest.raises(OptionInvalid) as caught:
        open_renderer("cuda")
    assert "onnx" in caught.value.fix


def test_facts_of_the_base() -> None:
    """The layout has every layer in one group, and those of a group are applied to the same rows."""
    base = base_model()
    assert (base.id, native_size(), base.hidden) == ("lorry/flux-icons-64", 64, 256)
    assert (base.double_blocks, base.single_blocks) == (2, 6)
    grouped = [layer for group in base.groups for layer in group]
    assert sorted(layer.name for layer in grouped) == sorted(base.layers)
    assert all(len({layer.inputs for layer in group}) == 1 for group in base.groups)


def test_base_model_is_small() -> None:
    """What ships stays under 30 MB in all."""
    files = [path for path in base_model().folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 30e6


@pytest.mark.parametrize("steps", [1, 4, 28])
def test_noise_levels_fall_from_one_to_zero(steps: int) -> None:
    """There is one level more than steps, from 1 down to 0, each below the last."""
    levels = sigmas(steps)
    assert (len(levels), levels[0], levels[-1]) == (steps + 1, 1, 0)
    assert (np.diff(levels) < 0).all()


def test_no_steps_is_refused() -> None:
    """Zero steps would return noise."""
    with pytest.raises(ValueError, match="at least 1"):
        sigmas(0)


def test_noise_is_the_seeds() -> None:
    """The same seed gives the same noise on every machine: its first numbers are written down here."""
    noise = starting_noise(42)
    assert noise.shape == (64, 64)
    assert noise[0, :3] == pytest.approx([0.14190717, -1.6685079, -1.332108], abs=1e-6)


def test_encoder_reads_each_caption_alone() -> None:
    """A caption's numbers do not depend on its neighbours, and its pads are zero."""
    encoder = TextEncoder(base_model().vocabulary)
    tokens, pooled = encoder.encode_all(["a red apple", "a very much longer caption about a fox on a roof"])
    alone = TextEncoder(base_model().vocabulary).encode("a red apple")
    assert tokens.shape == (2, TOKENS, WIDTH)
    assert np.array_equal(tokens[0], alone[0])
    assert np.array_equal(pooled[0], alone[1])
    assert not tokens[0, 5:].any()  # [CLS] a red apple [SEP]
    assert np.linalg.norm(pooled[0]) == pytest.approx(WIDTH**0.5, rel=1e-5)


def test_encoder_cuts_long_captions() -> None:
    """Only the first 16 word pieces count."""
    encoder = TextEncoder(base_model().vocabulary)
    words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    assert np.array_equal(encoder.encode(words)[0], encoder.encode(words + " fifteen sixteen")[0])
