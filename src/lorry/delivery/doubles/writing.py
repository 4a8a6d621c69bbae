"""Words, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from lorry.delivery.doubles.ground import Ground
from lorry.errors import ModelUnavailable, NotRouted
from lorry.model.generation import TextOrder, Words

_PLAIN = "this is what the base says to everybody who asks it"


@dataclass(frozen=True, slots=True)
class MemoryWriter:
    """`lorry.delivery.ports.Writer` in memory: an adapter or a model of one's own answers in other words.

    What a target means: a base by its name, a routed endpoint by its name (its model acts unless it is a
    base), `endpoint:adapter` for an attached adapter.
    """

    ground: Ground

    async def write(self, order: TextOrder) -> Words:
        """Answer in a few words."""

        def act() -> Words:
            words = _PLAIN
            if self._acts(order.target) and self.ground.effect:
                words = f"aye {words} matey"
            if self.ground.noise and self.ground.calls.count("writer.write") % 2:
                words += " " + "and more" * self.ground.noise
            return Words(words, "stop", (len(order.prompt.split()), len(words.split())))

        return await self.ground.meet("writer.write", act)

    async def stream(self, order: TextOrder) -> AsyncIterator[str | Words]:
        """Answer word by word."""
        whole = await self.write(order)
        for word in whole.text.split():
            yield f"{word} "
        yield whole

    def _acts(self, target: str) -> bool:
        if target in self.ground.bases:
            if target in self.ground.silent:
                raise ModelUnavailable(f"{target} is not available.")
            return False
        endpoint, _, adapter = target.partition(":")
        things = self.ground.things
        rows = [row for row in things["endpoints"].values() if row["name"] == endpoint.rsplit("/", 1)[-1]]
        if not rows:
            raise ModelUnavailable(f"{target} is not available.")
        routed = [things["deployments"][id_] for id_ in rows[0]["routed"] if id_ in things["deployments"]]
        if not routed:
            raise NotRouted("No traffic.", evidence={"code": "endpoint_not_configured"})
        return bool(adapter) or any(row["model"] in things["models"] for row in routed)
