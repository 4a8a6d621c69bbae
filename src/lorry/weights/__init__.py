"""What a file is, and what is wrong with it: told from its bytes, without any machine-learning library.

Nothing happens on import: each name is loaded when it is first used, so that a file can be hashed meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lorry.weights.bases.families import families, family
    from lorry.weights.origins.folder import companions, locate
    from lorry.weights.preflight import check, predicted_modules

__all__ = ["check", "companions", "families", "family", "locate", "predicted_modules"]

_HOMES = {
    **dict.fromkeys(("families", "family"), "lorry.weights.bases.families"),
    **dict.fromkeys(("companions", "locate"), "lorry.weights.origins.folder"),
    **dict.fromkeys(("check", "predicted_modules"), "lorry.weights.preflight"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lorry.weights' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
