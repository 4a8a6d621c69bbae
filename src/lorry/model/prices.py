"""Prices as data, each with its source and its date; what a platform tells now goes before them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

#: Together API dossier, section 6: prices that Together's documentation named.
_SERVERLESS, _DEDICATED = "docs.together.ai, serverless models, 2026-05", "docs.together.ai, pricing, 2026-08"


@dataclass(frozen=True, slots=True)
class PicturePrice:
    """The price of a base model's pictures.

    Attributes:
        cents_per_megapixel: US cents.
        default_steps: Denoising steps up to which it holds; more cost in proportion. `None` where it always
            holds.
        source: Who said so, and when.
    """

    cents_per_megapixel: float
    default_steps: int | None = None
    source: str = _SERVERLESS


@dataclass(frozen=True, slots=True)
class HardwarePrice:
    """The price of hardware.

    Attributes:
        name: As the platform calls it.
        cents_per_hour: Of one replica, US cents; `None` where nobody publishes it.
        source: Who said so, and when.
    """

    name: str
    cents_per_hour: float | None
    source: str

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """The price of a base model's words, where it answers without a deployment of one's own.

    Attributes:
        base: Public name of the base.
        input_dollars: For a million tokens read, US dollars.
        output_dollars: For a million tokens written.
        source: Who said so, and when.
    """

    base: str
    input_dollars: float | None
    output_dollars: float | None
    source: str

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)


#: FLUX.2-dev's default of 28 steps is from there too.
PICTURES = {
    "black-forest-labs/FLUX.2-dev": PicturePrice(1.54, 28),
    "black-forest-labs/FLUX.2-pro": PicturePrice(3.0),
    "black-forest-labs/FLUX.2-max": PicturePrice(7.0),
    "black-forest-labs/FLUX.1-schnell": PicturePrice(0.27),
    "Qwen/Qwen-Image": PicturePrice(0.58),
}

#: For a base of which no price is known: the dearest that is published for an open base (FLUX.2 max), so that
#: a limit errs on the side of whoever pays.
UNKNOWN_PICTURE = PicturePrice(7.0)

#: For when the platform can't be asked: without a key, or while nothing answers.
HARDWARE = (
    HardwarePrice("1xnvidia-h100-80gb", 549.0, _DEDICATED),
    HardwarePrice("1xnvidia-b200-180gb", 899.0, _DEDICATED),
    HardwarePrice("1xnvidia-h200-140gb", None, f"{_DEDICATED}: contact sales"),
    HardwarePrice("dedicated containers", None, "no price is published; access is by sales"),
)
