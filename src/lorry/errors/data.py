"""An error that was written down as data becomes itself again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorry.errors.machine import InternalError
from lorry.errors.root import LorryError


def error_from(data: Mapping[str, Any]) -> LorryError:
    """Give the error again that `LorryError.as_dict` wrote down.

    Args:
        data: What `as_dict` gave; an unknown code gives an InternalError.

    Returns:
        An error of the same class, with the same message, fix and evidence.
    """
    classes = {found.code: found for found in _tree(LorryError)}
    kind = classes.get(str(data.get("code")), InternalError)
    error = kind.__new__(kind)  # some classes are built from richer things than their data
    LorryError.__init__(
        error, str(data.get("message", "")), fix=data.get("fix"), evidence=data.get("evidence") or {}
    )
    return error


def _tree(root: type[LorryError]) -> list[type[LorryError]]:
    return [root, *(found for child in root.__subclasses__() for found in _tree(child))]
