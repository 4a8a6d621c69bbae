"""The routes: what each makes of a delivery.

| route | what runs there | module |
|---|---|---|
| `local` | pictures: a deployment of its own; text: an adapter on the base that all share | `own`,
`attached` | | `together-attached` | an adapter on the base that all share | `attached` |
| `together-merged` | a deployment of its own | `own` |
| `together-url` | a base that everybody shares, with the adapter's address in each request | `url` |
| `together-container` | our worker, with the adapter's address in each job | `container` |
| `together-v1` | an upload job and an endpoint of the first version | `legacy` |
"""

from __future__ import annotations

from functools import cache

from lorry.delivery.plan import Plan


@cache
def plan_of(route: str, kind: str) -> Plan:
    """Give the plan of a route for a kind of model.

    Args:
        route: The route's name.
        kind: `image-lora`, `text-lora` or `checkpoint`.

    Raises:
        KeyError: There is no such route.
    """
    from lorry.delivery.routes import attached, container, legacy, own, url

    if route == "local" and kind == "text-lora":
        return attached.plan()
    plans = {
        "local": own.plan,
        "together-attached": attached.plan,
        "together-merged": own.plan,
        "together-url": url.plan,
        "together-container": container.plan,
        "together-v1": legacy.plan,
    }
    return plans[route]()
