"""The question that costs: refused without a limit that covers it, and answered by pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from lorry.errors import NotThere, OptionInvalid, PriceNotAccepted
from lorry.model.generation import Picture, PictureOrder
from lorry.platforms.probing.spending import PICTURES, SIZE, Tried, estimate, try_lora

BASE = "black-forest-labs/FLUX.2-dev"
ADDRESS = "https://huggingface.co/ann/tok"
PRICE = 1.54


class Painter:
    """Draws one colour; a LoRA moves it by so many levels, another address is refused or does nothing."""

    def __init__(self, moves: int, *, strict: bool = True) -> None:
        self.moves = moves
        self.strict = strict
        self.orders: list[PictureOrder] = []

    async def paint(self, order: PictureOrder) -> tuple[Picture, ...]:
        """Draw one picture."""
        self.orders.append(order)
        shift = sum(self.moves for lora in order.loras if lora.path == ADDRESS)
        if self.strict and any(lora.path != ADDRESS for lora in order.loras):
            raise NotThere("There is no such LoRA.")
        pixels = np.full((8, 8, 3), 100 + order.seed + shift, np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        return (Picture(out.getvalue(), order.seed),)


async def _try(painter: Painter, allowed: float, price: float | None = PRICE) -> Tried:
    return await try_lora(painter, BASE, ADDRESS, "a portrait", allowed=allowed, cents_per_megapixel=price)


async def test_a_lora_that_acts_is_seen() -> None:
    """The first seed that shows an effect is enough; the LoRA goes at full strength, by its address."""
    painter = Painter(moves=40)
    found = await _try(painter, 5)
    assert (found.acts, found.difference, found.noise) == (True, 40.0, 0.0)
    assert found.nowhere == ("not_there", "There is no such LoRA.")
    assert [len(order.loras) for order in painter.orders] == [0, 0, 1, 1]
    assert {order.size for order in painter.orders} == {SIZE}
    assert found.as_dict()["nowhere"] == {"code": "not_there", "message": "There is no such LoRA."}


async def test_a_lora_without_effect_is_seen_on_all_seeds() -> None:
    """Three seeds are tried before it is said that nothing changes; more is never drawn."""
    painter = Painter(moves=0, strict=False)
    found = await _try(painter, 5)
    assert not found.acts
    assert found.nowhere is None
    assert len(painter.orders) == PICTURES
    assert {order.seed for order in painter.orders} == {1, 2, 3}


@pytest.mark.parametrize(("allowed", "price"), [(0, PRICE), (4, PRICE), (1000, None)])
async def test_nothing_is_drawn_that_nobody_agreed_to(allowed: float, price: float | None) -> None:
    """Below the price, or without a known one, it is refused with the figures, before the first picture."""
    painter = Painter(moves=40)
    with pytest.raises(PriceNotAccepted) as caught:
        await _try(painter, allowed, price)
    assert painter.orders == []
    assert caught.value.evidence["allowed_cents"] == allowed
    if price is not None:
        assert caught.value.evidence["cents"] == estimate(price) > allowed
        assert "--spend 5" in caught.value.fix


@pytest.mark.parametrize("allowed", [-1, float("nan"), float("inf")])
async def test_a_limit_that_is_none_is_refused(allowed: float) -> None:
    """A limit has to be an amount."""
    painter = Painter(moves=40)
    with pytest.raises(OptionInvalid):
        await _try(painter, allowed)
    assert painter.orders == []


def test_the_estimate_counts_every_picture() -> None:
    """Ten pictures of a quarter of a megapixel at 1.54 cents are 4.04 cents (dossier 6)."""
    assert estimate(PRICE) == pytest.approx(10 * 0.262144 * 1.54, abs=1e-4)


async def test_what_bills_nothing_needs_no_cents() -> None:
    """On the embedded engine a limit of 0 is enough."""
    assert (await _try(Painter(moves=40), 0, 0.0)).acts
