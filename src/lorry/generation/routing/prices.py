"""What a request costs on the routes that bill by the request.

Pictures: megapixels x price x (steps / the base's default steps), the last factor only above the default
(Together API dossier, section 6, read in May 2026). Own replicas bill by the hour, whether they are asked or
not: a request to one costs nothing more.
"""

from __future__ import annotations

from lorry.model.prices import PICTURES, UNKNOWN_PICTURE

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
    price = PICTURES.get(base, UNKNOWN_PICTURE)
    factor = max(1.0, steps / price.default_steps) if steps and price.default_steps else 1.0
    return width * height / 1e6 * price.cents_per_megapixel * factor * count
