"""`lorry mend`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from lorry.cli.options import Common
from lorry.cli.tables import table


def mend(*keys: str, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """Show what a person has to mend before requests go there again, or say that some of it is mended.

    A rejected key or an account without credit takes its places out until then. A server that runs learns of
    it within a second.

    Args:
        keys: What is mended, as it is shown without any; `all` for everything.
    """
    from lorry.wiring import House

    async def work() -> tuple[Mapping[str, str], list[str]]:
        house = House(common.settings())
        try:
            store = await house.store()
            held = await store.outages.held()
            mended = [key for key in held if key in keys or "all" in keys]
            if mended:
                await store.outages.mended(mended)
            return held, mended
        finally:
            await house.close()

    held, mended = asyncio.run(work())
    common.out({"held": dict(held), "mended": mended}, _lines(held, mended, keys))


def _lines(held: Mapping[str, str], mended: list[str], keys: tuple[str, ...]) -> list[str]:
    if keys:
        unknown = [key for key in keys if key not in held and key != "all"]
        said = [f"Mended: {', '.join(mended)}." if mended else "Nothing was to be mended."]
        return said + [f"{key} was not out." for key in unknown]
    if not held:
        return ["Nothing waits for a person."]
    return table(("what", "why"), list(held.items()))
