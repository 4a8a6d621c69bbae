"""The Hub, in memory."""

from __future__ import annotations

from dataclasses import dataclass

from lorry.delivery.doubles.ground import SLUG, Ground
from lorry.delivery.ports import Publication, Published


@dataclass(frozen=True, slots=True)
class MemoryPublisher:
    """`lorry.delivery.ports.Publisher` in memory."""

    ground: Ground

    async def publish(self, publication: Publication) -> Published:
        """Bring a repository to what is given."""

        def act() -> Published:
            repo = f"{SLUG}/{publication.repo}"
            self.ground.things["repos"][repo] = {"files": [file.name for file in publication.files]}
            return Published(repo, publication.digest[:40], f"memory://{repo}")

        return await self.ground.meet("publisher.publish", act)

    async def withdraw(self, repo: str) -> None:
        """Delete a repository; a bare name is ours."""
        name = repo if "/" in repo else f"{SLUG}/{repo}"
        await self.ground.meet("publisher.withdraw", lambda: self.ground.things["repos"].pop(name, None))
