"""Files to the platform in parts: the routes that only the official command line uses.

How it works (Together API dossier 2.3):

1. Read each file once and take its hash (`planned`).
2. `upload/create` names the files; the answer has an address for each part, or says that the content is
   stored already.
3. Put each part to its address, without our key (`parts`). Only this is repeated: putting the same part again
   is free.
4. `upload/complete` makes one immutable revision of all files; sent once.
5. The platform's list of what it stored is compared with what was sent (`stored`).

What `create` answered and the tags of the parts that are there are kept (`kept`), so that a process that was
killed is followed by one that sends the missing parts only. Addresses run out: when a kept one is refused,
the upload begins anew.

A part is streamed from disk in small blocks and a few parts go at once, so memory stays flat whatever the
size of the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from lorry.delivery.ports import Progress, UploadFile
from lorry.errors import Conflict, NotThere, RequestRefused
from lorry.platforms.together.connection import Connection
from lorry.platforms.together.kept import Begun, Kept, Ledger, upload_key
from lorry.platforms.together.parts import PartSender, Sent
from lorry.platforms.together.planned import PlannedFile, plan
from lorry.platforms.together.stored import require_whole


class Upload:
    """One upload of files to one model.

    Args:
        connection: Where to.
        project: Id of the project.
        model: Id of the model record.
        part_size: Bytes of one part.
        kept: Remembers how far it came.
    """

    def __init__(self, connection: Connection, project: str, model: str, part_size: int, kept: Kept) -> None:
        self._at = connection
        self._project = project
        self._base = f"/v2/projects/{project}/models/upload"
        self._model = model
        self._part_size = part_size
        self._kept = kept

    async def run(self, files: Sequence[UploadFile], progress: Progress) -> str:
        """Bring the files there.

        Args:
            files: What to upload.
            progress: Told how many bytes are there, and of how many.

        Returns:
            The id of the new revision.

        Raises:
            SourceNotFound: A file can't be read.
            SourceChanged: A file changed while it was sent.
            UploadDamaged: What the platform stored is not what was sent.
            PlatformError: The platform refused or failed.
        """
        if not files:
            raise RequestRefused("There is nothing to upload: no file was named.")
        planned = [await asyncio.to_thread(plan, file, self._part_size) for file in files]
        hashes = {file.name: file.hash for file in planned}
        ledger = Ledger(self._kept, upload_key(self._at.faults.address, self._model, hashes))
        if ledger.begun is not None and _fits(ledger.begun, planned):
            try:
                return await self._bring(ledger, ledger.begun, planned, progress)
            except (RequestRefused, NotThere, Conflict):  # it ran out, was given up, or was ended already
                ledger.close()
        answer = await self._post("create", {"files": [file.announced for file in planned]})
        return await self._bring(ledger, ledger.begin(answer), planned, progress)

    async def _bring(
        self, ledger: Ledger, begun: Begun, planned: Sequence[PlannedFile], progress: Progress
    ) -> str:
        """Send what is not there yet, and make the revision."""
        doing = "begin the upload"
        addresses = self._at.read(doing, lambda: {str(row["path"]): row for row in begun.answer["files"]})
        if set(addresses) != {file.name for file in planned}:
            raise self._at.faults.unreadable(f"it speaks of other files: {sorted(addresses)}", doing)
        sent = Sent(sum(file.size for file in planned), progress)
        done = []
        for file in planned:
            there = dict(begun.tags.get(file.name, {}))
            arrived = partial(ledger.note, file.name)
            done.append(await self._file(file, addresses[file.name], sent, there, arrived))
        finished = await self._post("complete", {"files": done})
        revision = self._at.read("end the upload", lambda: finished["revisionId"])
        if not revision:
            raise self._at.faults.unreadable("it names no revision", "end the upload")
        ledger.close()
        await require_whole(self._at, self._project, self._model, str(revision), planned)
        return str(revision)

    async def _file(
        self,
        file: PlannedFile,
        row: Mapping[str, Any],
        sent: Sent,
        there: Mapping[int, str],
        arrived: Callable[[int, str], None],
    ) -> dict[str, Any]:
        if row.get("skipUpload"):
            sent.add(file.size)
            return {"path": file.name, "hash": file.hash, "skipUpload": True}
        doing = f"take the file {file.name}"
        addresses = self._at.read(doing, lambda: {int(part["partNumber"]): part for part in row["parts"]})
        if set(addresses) != {part.number for part in file.parts}:
            why = f"it has addresses for the parts {sorted(addresses)} of {len(file.parts)}"
            raise self._at.faults.unreadable(why, doing)
        if there:
            sent.add(sum(part.size for part in file.parts if part.number in there))
        missing = [(part, addresses[part.number]) for part in file.parts if part.number not in there]
        sender = PartSender(self._at, file.name, file.path, sent, arrived)
        tags = {**there, **await sender.send(missing)}
        details = {
            "uploadId": row.get("uploadId", ""),
            "parts": [{"partNumber": number, "hash": tag} for number, tag in sorted(tags.items())],
        }
        return {"path": file.name, "hash": file.hash, "uploadDetails": details}

    async def _post(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        doing = "begin the upload" if verb == "create" else "end the upload"
        with self._at.faults.translated(doing):
            answer = await self._at.client.post(
                f"{self._base}/{verb}", cast_to=object, body={"objectId": self._model, **body}
            )
        if not isinstance(answer, dict):
            raise self._at.faults.unreadable("it is no JSON object", doing)
        return answer


def _fits(begun: Begun, planned: Sequence[PlannedFile]) -> bool:
    """Tell whether a kept upload speaks of these files and of their parts."""
    try:
        rows = {str(row["path"]): row for row in begun.answer["files"]}
        return set(rows) == {file.name for file in planned} and all(
            rows[file.name].get("skipUpload") or len(rows[file.name]["parts"]) == len(file.parts)
            for file in planned
        )
    except (LookupError, TypeError, AttributeError):
        return False
