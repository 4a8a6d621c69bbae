"""Lorry from Python: the same verbs as the command line, asynchronous, with typed values in and out."""

from __future__ import annotations

from lorry.api.lorry import Lorry

__all__ = ["Lorry"]
