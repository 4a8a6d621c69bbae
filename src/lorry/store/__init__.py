"""What Lorry remembers: models, placements, the journal and the intents, in one SQLite file.

`open_store` gives the three ports of `lorry.delivery.ports` over one database. The file is apart from the
one of the durable runtime, so that neither waits for the other ("Control-plane stack", section 3).
"""

from __future__ import annotations

from lorry.store.opening import STORE_FILE, Store, open_store

__all__ = ["STORE_FILE", "Store", "open_store"]
