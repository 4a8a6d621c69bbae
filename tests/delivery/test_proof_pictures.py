"""The measure of the proof, and when it passes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lorry.delivery.doubles import flat_png
from lorry.delivery.proofs.pictures import (
    FLOOR,
    NEUTRAL_PROMPT,
    SEEDS,
    difference,
    measure,
    proof_prompt,
    threshold,
)
from lorry.delivery.proofs.trial import Trial
from lorry.errors import PlatformFault

levels = st.integers(0, 255)


def _png(pixels: np.ndarray, form: str = "PNG") -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(target, form)
    return target.getvalue()


class Scripted:
    """A trial that answers from a list of grey levels: without, again without, with, for each seed."""

    def __init__(self, *rows: tuple[int, int, int]) -> None:
        self._levels = iter([level for row in rows for level in row])
        self.asked: list[tuple[str, str, int]] = []

    @property
    def trial(self) -> Trial[bytes]:
        """Give the trial."""

        async def without(prompt: str, seed: int) -> bytes:
            return self._next("without", prompt, seed)

        async def acting(prompt: str, seed: int) -> bytes:
            return self._next("with", prompt, seed)

        return Trial(acting, without)

    def _next(self, how: str, prompt: str, seed: int) -> bytes:
        self.asked.append((how, prompt, seed))
        return flat_png(next(self._levels))


@given(levels, levels)
def test_the_difference_of_flat_pictures_is_their_distance(one: int, other: int) -> None:
    """The measure is the distance in levels, the same both ways, and 0 for a picture and itself."""
    first, second = flat_png(one), flat_png(other)
    assert difference(first, second) == difference(second, first) == abs(one - other)
    assert difference(first, first) == 0


def test_a_change_in_one_corner_counts_by_its_share() -> None:
    """The mean runs over the whole picture: a quarter that changes by 80 levels gives 20."""
    plain = np.zeros((8, 8, 3))
    corner = plain.copy()
    corner[:4, :4] = 80
    assert difference(_png(plain), _png(corner)) == 20


def test_equal_pictures_stay_equal_through_jpeg() -> None:
    """A platform that encodes JPEG inside does not make an effect out of nothing."""
    noise = np.random.default_rng(1).integers(0, 256, (32, 32, 3))
    assert difference(_png(noise, "JPEG"), _png(noise, "JPEG")) == 0


def test_jpeg_moves_near_pictures_below_the_floor() -> None:
    """What encoding adds to two nearly equal pictures stays under the threshold."""
    base = np.random.default_rng(1).integers(40, 200, (64, 64, 3))
    near = base.copy()
    near[::8, ::8] += 1
    assert difference(_png(base, "JPEG"), _png(near, "JPEG")) < FLOOR


@given(st.floats(0, 60))
def test_the_threshold_is_above_the_noise_and_the_floor(noise: float) -> None:
    """Never below 1 level, never below four times the noise."""
    assert threshold(noise) >= FLOOR
    assert threshold(noise) >= 4 * noise


@pytest.mark.parametrize("answer", [b"", b"<html>", flat_png(7)[:40]])
def test_what_is_no_picture_is_the_platform_s_fault(answer: bytes) -> None:
    """An answer that can't be decoded is told as such, not as a missing effect."""
    with pytest.raises(PlatformFault, match="no picture"):
        difference(flat_png(7), answer)


def test_two_sizes_for_one_order_are_the_platform_s_fault() -> None:
    """Pictures of different sizes can't be compared."""
    with pytest.raises(PlatformFault, match="8x8 and 16x16"):
        difference(flat_png(7, 8), flat_png(7, 16))


async def test_the_first_seed_that_shows_an_effect_is_enough() -> None:
    """A clear effect needs three pictures: without it twice, with it once, one prompt and seed."""
    script = Scripted((100, 100, 140))
    evidence = await measure(script.trial, "a picture of TOK")
    assert (evidence.passed, evidence.difference, evidence.noise, evidence.threshold) == (True, 40, 0, 1)
    prompt = "a picture of TOK"
    assert script.asked == [(how, prompt, SEEDS[0]) for how in ("without", "without", "with")]


async def test_other_seeds_get_their_chance() -> None:
    """A seed on which nothing shows is followed by the next."""
    evidence = await measure(Scripted((100, 100, 100), (90, 90, 130)).trial, "p")
    assert (evidence.passed, evidence.seed, evidence.difference) == (True, SEEDS[1], 40)


async def test_no_effect_on_any_seed_fails() -> None:
    """An adapter that changes nothing fails on all seeds; the nearest attempt is kept."""
    evidence = await measure(Scripted((100, 100, 100), (90, 90, 91), (80, 80, 80)).trial, "p")
    assert (evidence.passed, evidence.difference, evidence.seed) == (False, 1, SEEDS[1])


async def test_noise_is_no_effect() -> None:
    """A difference that the platform's own noise explains does not pass."""
    evidence = await measure(Scripted((100, 103, 106), (100, 103, 106), (100, 103, 106)).trial, "p")
    assert (evidence.passed, evidence.noise, evidence.threshold) == (False, 3, 12)


def test_the_prompt_calls_the_adapter_when_it_has_a_trigger() -> None:
    """The trigger word is in the prompt; without one it is neutral."""
    assert proof_prompt("TOK") == "a picture of TOK"
    assert proof_prompt(None) == proof_prompt("") == NEUTRAL_PROMPT
