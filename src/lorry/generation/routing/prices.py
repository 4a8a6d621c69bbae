"""What a request costs on the routes that bill by the request.

Pictures: megapixels x price x (steps / the base's default steps), the last factor only above the default
(Together API dossier, section 6, read in May 2026). Own replicas bill by the hour, whether they are asked or
not: a request to one costs nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PicturePrice:
    """The price of a base model's pictures.

    Attributes:
        cents_per_megapixel: US cents.
        default_steps: Denoising steps up to which it holds; `None` where it always does.
    """

    cents_per_megapixel: float
    default_steps: int | None = None


#: Together API dossier 6: docs, serverless models, May 2026. FLUX.2-dev's default of 28 steps is from there.
PICTURES = {
    "black-forest-labs/FLUX.2-dev": PicturePrice(1.54, 28),
    "black-forest-labs/FLUX.1-schnell": PicturePrice(0.27),
    "Qwen/Qwen-Image": PicturePrice(0.58),
}

#: For a base of which no price is known: the dearest that is published for an open base (FLUX.2 max), so that
#: a limit errs on the side of whoever pays.
UNKNOWN = PicturePrice(7.0)

#: Routes on which a request is what bills.
BY_REQUEST = frozenset({"together-url"})


def picture_cents(route: str, base: str, width: int, height: int, steps: int | None, count: int) -> float:
    """Say what pictures cost, US cents.

    Args:
        route: By which route.
        base: Public id of the base model.
        width: Pixels.
        height: Pixels.
        steps: Denoising steps; the base's default when `None`.
        count: Number of pictures.
    """
    if route not in BY_REQUEST:
        return 0.0
    price = PICTURES.get(base, UNKNOWN)
    factor = max(1.0, steps / price.default_steps) if steps and price.default_steps else 1.0
    return width * height / 1e6 * price.cents_per_megapixel * factor * count
