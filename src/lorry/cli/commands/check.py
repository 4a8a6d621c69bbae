"""`lorry check`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from lorry.cli.options import Common


def check(
    source: str,
    /,
    *,
    base: str | None = None,
    deep: Annotated[bool | None, Parameter(negative="--no-deep", show_default=False)] = None,
    for_: Annotated[list[str] | None, Parameter(name="--for", negative="", show_default=False)] = None,
    common: Common = Common(),  # noqa: B008 - frozen
) -> int:
    """Say what weights are, everything that is wrong with them, and where they run.

    Exit status: 0 fit to ship, 1 with errors, 2 wrong usage.

    Args:
        source: A .safetensors file, a folder or archive (.zip, .tar, .tar.gz) that holds it, a Hub repository
            (`owner/name[@revision][:file]`, or its address) or an https address.
        base: The base model that it is meant for; it overrules, and a file for another one is an error.
        deep: Look at every number too. On by default for single files on this machine; what is far away is
            fetched for it.
        for_: Say whether it runs there: `all`, or the name of a route or loader; repeatable.
    """
    from lorry.cli.checking import checked

    return checked(source, base=base, deep=deep, targets=for_ or (), home=common.home, as_json=common.json)
