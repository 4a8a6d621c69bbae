"""What the commands of `lorry container` share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lorry.cli.options import Common
from lorry.errors import NotThere, OptionInvalid

if TYPE_CHECKING:
    from lorry.delivery.ports import Container, Platform

_T = TypeVar("_T")


def at_platform(common: Common, act: Callable[[Platform], Awaitable[_T]], *, rehearse: bool | None) -> _T:
    """Do something at the platform.

    Args:
        common: The home.
        act: What.
        rehearse: Whether the embedded engine plays the platform.
    """
    from lorry.api import Lorry

    async def run() -> _T:
        async with Lorry(common.settings()) as lorry:
            return await act(await lorry.platform(rehearse=rehearse))

    return asyncio.run(run())


async def container_named(platform: Platform, name: str) -> Container:
    """Find a container.

    Raises:
        NotThere: There is none of this name.
    """
    found = await platform.containers.find(name)
    if found is None:
        raise NotThere(
            f"{platform.address} has no container {name}.",
            fix="Run `lorry container deploy DIR --image IMAGE` to run one.",
            evidence={"container": name},
        )
    return found


async def require_agreement(name: str, *, yes: bool, ask: bool) -> None:
    """Ask whether a container may be run that bills.

    Raises:
        PriceNotAccepted: Nobody agreed.
    """
    from rich.console import Console

    from lorry.cli.agreeing import agreement
    from lorry.cli.progress import Steps
    from lorry.errors import PriceNotAccepted
    from lorry.model.forecast import Price

    price = Price(None, "replica-hour", "Together API dossier 4", "its sales names one")
    if not await agreement(Steps(Console()), yes=yes, ask=ask)(price):
        raise PriceNotAccepted(f"{name} bills from when it runs, at a price that Together's sales names.")


def tell(found: Container, common: Common) -> None:
    """Print a container, and what to do next."""
    common.out(values_of(found), [*lines_of(found), f"next: lorry container status {found.name}"])


def values_of(found: Container) -> dict[str, Any]:
    """Give a container as JSON values."""
    return {
        "name": found.name,
        "id": found.id,
        "state": str(found.state),
        "said": found.said,
        "message": found.message,
        "image": found.image,
    }


def lines_of(found: Container) -> list[str]:
    """Write a container for people."""
    said = f" ({found.said})" if found.said else ""
    lines = [found.name, f"  state    {found.state}{said}", f"  image    {found.image}"]
    return [*lines, f"  because  {found.message}"] if found.message else lines


def lora_of(text: str) -> dict[str, Any]:
    """Read `ADDRESS` or `ADDRESS=SCALE`; a `=` inside the query of an address is no scale."""
    path, found, scale = text.rpartition("=")
    if not found or "?" in path:
        return {"path": text}
    try:
        return {"path": path, "scale": float(scale)}
    except ValueError:
        raise OptionInvalid(f"{scale!r} is no strength of a LoRA.", fix="Write it as ADDRESS=0.8.") from None


def save_pictures(images: list[dict[str, Any]], output: Path) -> list[Path]:
    """Write a job's pictures to files.

    Args:
        images: Rows of the job's outputs.
        output: The file; several get -1, -2 … before the extension.
    """
    import base64

    several = len(images) > 1
    files = []
    for number, row in enumerate(images, 1):
        file = output.with_stem(f"{output.stem}-{number}") if several else output
        file.write_bytes(base64.b64decode(row["b64_json"]))
        files.append(file)
    return files
