"""Adapters on deployments, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lorry.delivery.doubles.ground import Ground, row_of
from lorry.delivery.ports import Attachment, AttachmentState
from lorry.errors import SlotsFull


@dataclass(frozen=True, slots=True)
class MemoryAttachments:
    """`lorry.delivery.ports.Attachments` in memory; each look lets a state go on."""

    ground: Ground

    async def list(self, endpoint: str, deployment: str) -> tuple[Attachment, ...]:
        """List the adapters on a deployment."""

        def act() -> tuple[Attachment, ...]:
            rows = self._rows(deployment)
            return tuple(found for id_, row in rows.items() if (found := self._look(id_, row)) is not None)

        return await self.ground.meet("attachments.list", act)

    async def attach(
        self, endpoint: str, deployment: str, model: str, revision: str, *, evict: bool
    ) -> Attachment:
        """Attach an adapter; the oldest leaves when there is no slot and `evict` is set."""

        def act() -> Attachment:
            row_of(self.ground.things["deployments"], deployment)
            rows = self._rows(deployment)
            if len(rows) >= self.ground.slots:
                if not evict:
                    raise SlotsFull(f"The deployment has {self.ground.slots} slots, and all are taken.")
                del self.ground.things["attachments"][next(iter(rows))]
            id_ = self.ground.new_id("dad")
            row = {"deployment": deployment, "model": model, "revision": revision, "looks": 0, "aim": "run"}
            self.ground.things["attachments"][id_] = {**row, "fail": self.ground.fail_attachment}
            return Attachment(id_, model, revision, AttachmentState.LOADING)

        return await self.ground.meet("attachments.attach", act)

    async def detach(self, endpoint: str, deployment: str, attachment: str) -> None:
        """Take an adapter off."""

        def act() -> None:
            row = self.ground.things["attachments"].get(attachment)
            if row and row["aim"] == "run":
                row.update(aim="go", looks=0)

        await self.ground.meet("attachments.detach", act)

    def _rows(self, deployment: str) -> dict[str, dict[str, Any]]:
        rows = self.ground.things["attachments"].items()
        return {id_: row for id_, row in rows if row["deployment"] == deployment}

    def _look(self, id_: str, row: dict[str, Any]) -> Attachment | None:
        row["looks"] += 1
        there = row["looks"] > self.ground.looks
        if row["aim"] == "go" and there:
            del self.ground.things["attachments"][id_]
            return None
        return Attachment(id_, row["model"], row["revision"], self._state(row, there=there), row["fail"])

    def _state(self, row: Mapping[str, Any], *, there: bool) -> AttachmentState:
        if row["aim"] == "go":
            return AttachmentState.REMOVING
        if not there:
            return AttachmentState.LOADING
        return AttachmentState.FAILED if row["fail"] else AttachmentState.READY
