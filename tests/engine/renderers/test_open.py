"""Choosing a renderer."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from lorry.engine.renderers import require_renderer
from lorry.errors import ExtraMissing, OptionInvalid


def test_the_default_needs_nothing_more() -> None:
    """The renderer of the default install can always be opened."""
    require_renderer("onnx")


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    """A name that no renderer has is refused, and the error lists those that there are."""
    with pytest.raises(OptionInvalid) as caught:
        require_renderer("gpu")
    assert "diffusers" in caught.value.fix


@pytest.mark.skipif(find_spec("torch") is not None, reason="the extra is installed")
def test_a_missing_extra_is_told_with_its_install() -> None:
    """Without the extra the error names the missing packages and the command that installs them."""
    with pytest.raises(ExtraMissing) as caught:
        require_renderer("diffusers")
    assert "lorry[diffusers]" in caught.value.fix


def test_a_wrong_renderer_ends_the_engine_before_it_listens() -> None:
    """`lorry engine --renderer X` fails at once instead of at the first picture."""
    command = [sys.executable, "-m", "lorry", "engine", "--port", "0", "--renderer", "gpu"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "[option_invalid]" in done.stderr
    assert done.stdout == ""
