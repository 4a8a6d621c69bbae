"""Bare and fully qualified names.

We create with a bare name; the platform answers with `slug/name`, and `slug/endpoint/deployment` for a
deployment (Together API dossier 2.2, 2.6, 2.7). Lists are of our own project, so the last part decides.
"""

from __future__ import annotations


def bare(name: str) -> str:
    """Give the last part of a name.

    Args:
        name: As the platform writes it.
    """
    return name.rpartition("/")[2]
