"""`lorry doctor`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from lorry.cli.options import Common
from lorry.errors import KeyMissing, OptionInvalid

if TYPE_CHECKING:
    from lorry.platforms.probing import Probe
    from lorry.platforms.probing.spending import Tried
    from lorry.settings import Settings

#: The shared base that is documented as taking LoRAs by address (Together API dossier 3.4).
_BASE = "black-forest-labs/FLUX.2-dev"

#: Any key opens an engine that was started without one.
_ANY_KEY = "local"


def doctor(
    *,
    live: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    save: Path | None = None,
    spend: float | None = None,
    lora: str | None = None,
    base: str = _BASE,
    common: Common = Common(),  # noqa: B008 - frozen
) -> int:
    """Say what this machine has, and with `--live` what Together really offers beside what Lorry believes.

    Nothing is changed anywhere, and nothing bills unless you say `--spend`.

    Args:
        live: Ask the service at LORRY_TOGETHER_URL, with the key: about twenty reads, nothing else.
        save: Folder for the answers, without anything of your account; it must be new or empty.
        spend: With `--lora`, draw up to ten small pictures to see whether a LoRA by its address acts, for at
            most so many US cents.
        lora: Address of the LoRA to draw with: a file or a repository that anybody can read.
        base: The shared base to draw with.
    """
    _require_whole(live=live, save=save, spend=spend, lora=lora)
    settings = common.settings()
    if not live:
        from lorry.cli.examining import examine

        found = examine(settings)
        common.out(found.as_dict(), found.lines())
        return 1 if found.problems else 0
    from lorry.cli.probing import probe_lines, tried_lines

    address, key = _service(settings)
    price = 0.0 if settings.rehearse else _price(base)
    if spend is not None:
        from lorry.platforms.probing.spending import agreed

        agreed(base, spend, price)  # before anything is asked
    report = asyncio.run(_probe(address, key))
    data, lines = report.as_dict(), probe_lines(report)
    if save is not None:
        from lorry.platforms.probing import save as keep

        files = keep(report.replies, save, settings.secrets)
        data["saved"] = [str(file) for file in files]
        lines += ["", f"{len(files)} answers are in {save}, without anything of your account."]
    if spend is not None and lora is not None:
        tried = asyncio.run(_try(settings, base, lora, spend, price))
        data["tried"] = tried.as_dict()
        lines += ["", *tried_lines(tried)]
    common.out(data, lines)
    return 0


def _require_whole(*, live: bool, save: Path | None, spend: float | None, lora: str | None) -> None:
    if not live and (save is not None or spend is not None or lora is not None):
        raise OptionInvalid("--save, --spend and --lora belong to --live.", fix="Add `--live`.")
    if (spend is None) is not (lora is None):
        raise OptionInvalid(
            "--spend and --lora belong together: which LoRA to draw with, and what it may cost at most.",
            fix="Give both, for example `--spend 5 --lora https://huggingface.co/OWNER/NAME`.",
        )
    if save is not None and save.exists() and (not save.is_dir() or any(save.iterdir())):
        raise OptionInvalid(f"{save} is not empty.", fix="Give `--save` a folder that is new or empty.")


def _service(settings: Settings) -> tuple[str, str]:
    """Choose whom to ask: Together, or the engine that plays it."""
    if settings.rehearse:
        from lorry.wiring import engine_address

        return engine_address(settings), settings.engine_key or _ANY_KEY
    if settings.together_key is None:
        raise KeyMissing(
            f"`--live` asks {settings.together_url}, which needs a key, and none is set.",
            fix="Set TOGETHER_API_KEY (or LORRY_TOGETHER_KEY), then run the same command again.",
        )
    return settings.together_url, settings.together_key


async def _probe(address: str, key: str) -> Probe:
    from lorry.platforms.probing import probe

    return await probe(address, key)


async def _try(settings: Settings, base: str, lora: str, spend: float, price: float | None) -> Tried:
    from lorry.delivery.proofs.pictures import NEUTRAL_PROMPT
    from lorry.platforms.probing.spending import try_lora
    from lorry.wiring import House

    house = House(settings)
    try:
        platform = await house.platform(embedded=settings.rehearse)
        return await try_lora(
            platform.painter, base, lora, NEUTRAL_PROMPT, allowed=spend, cents_per_megapixel=price
        )
    finally:
        await house.close()


def _price(base: str) -> float | None:
    """Look a shared base's price up: US cents per megapixel."""
    from lorry.platforms.profiles import route_profile

    bases = route_profile("together-url").bases
    return next((each.cents_per_megapixel for each in bases if each.id == base), None)
