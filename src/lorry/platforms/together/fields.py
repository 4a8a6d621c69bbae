"""Fields of answers. The SDK checks none of them: one that did not come is `None`, whatever its type says."""

from __future__ import annotations


def text(thing: object, field: str) -> str:
    """Read a field that has to be there.

    Args:
        thing: An answer, or a part of one.
        field: Its name in the SDK.

    Raises:
        ValueError: It is missing, empty or no text.
    """
    value = getattr(thing, field, None)
    if isinstance(value, str) and value:
        return value
    raise ValueError(f"its {type(thing).__name__} has no {field}")


def bare_name(thing: object) -> str:
    """Read the last part of a thing's name.

    We create with a bare name; the platform answers with `slug/name`, and with `slug/endpoint/deployment`
    for a deployment (Together API dossier 2.2, 2.6 and 2.7). Lists are of our own project, so the last part
    decides.

    Args:
        thing: A model, endpoint or deployment as the platform answered it.

    Raises:
        ValueError: It has no name.
    """
    return text(thing, "name").rpartition("/")[2]
