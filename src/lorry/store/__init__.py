"""What Lorry remembers: models, placements, the journal and the intents, in one SQLite file.

`open_store` gives the three ports of `lorry.delivery.ports` over one database. The file is apart from the
one of the durable runtime, so that neither waits for the other ("Control-plane stack", section 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lorry.store.shipped import STORE_FILE, shipped_as

if TYPE_CHECKING:
    from lorry.store.opening import Store, open_store

__all__ = ["STORE_FILE", "Store", "open_store", "shipped_as"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lorry.store' has no attribute {name!r}")
    from lorry.store import opening

    return getattr(opening, name)
