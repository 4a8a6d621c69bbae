"""A repository of the Hub, seen through as few requests as the question needs.

Which requests (LoRA formats dossier, sections 3.1 and 3.3):

- the list of files, `GET /api/models/{id}/revision/{rev}?blobs=true`: where the weights have to be chosen, or
  once somebody asks what lies around them;
- the weights' beginning, `GET /{id}/resolve/{rev}/{file}` with a range (head.py);
- each small text that is asked for and that is in the list, once.

The commit that the first answer names is what all further requests ask for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from lorry.model.report import Finding
from lorry.weights.catalogue import StructureFault, finding
from lorry.weights.files.listing import READ_AT_MOST, Entry
from lorry.weights.origins.entries import visible
from lorry.weights.origins.head import Head, read_head
from lorry.weights.origins.reference import HubPlace
from lorry.weights.origins.refusals import refused
from lorry.weights.origins.web import Web

#: Bytes of a list of files: some 250 for each, so that 16,000 fit. Hostile JSON takes 25 times the memory.
LIST_BYTES = 4_000_000
_MAIN = "main"


@dataclass(slots=True)
class HubListing:
    """The files of a repository, or of one folder in it; fetched when they are first asked for.

    Attributes:
        web: The client.
        place: What the user named.
        revision: The commit, once an answer has named it.
        faults: What went wrong since: a listing has no way to say so when it is read.
    """

    web: Web
    place: HubPlace
    revision: str | None = None
    faults: list[Finding] = field(default_factory=list)
    _entries: tuple[Entry, ...] | None = None
    _digests: dict[str, str] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The repository's id, and the folder in it."""
        return f"{self.place.repo}/{self.place.folder}" if self.place.folder else self.place.repo

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every file, by path; none where the list can't be had."""
        try:
            return self.load()
        except StructureFault as broken:
            self.faults += broken.findings
            self._entries = ()
            return ()

    def load(self) -> tuple[Entry, ...]:
        """Fetch the list of files, once.

        Raises:
            StructureFault: Any REMOTE_ finding.
        """
        if self._entries is None:
            revision = quote(self.revision or self.place.revision or _MAIN, safe="")
            url = f"{self.web.access.hub_url}/api/models/{self.place.repo}/revision/{revision}?blobs=true"
            document = self._document(url)
            sha = document.get("sha")
            self.revision = sha if isinstance(sha, str) and sha else self.revision
            prefix = f"{self.place.folder}/" if self.place.folder else ""
            self._entries = tuple(
                visible(sorted(self._siblings(document, prefix), key=lambda each: each.path))
            )
        return self._entries

    def text(self, path: str) -> str:
        """Read the beginning of a text file; empty where there is none or it can't be had."""
        if path not in self._texts:
            self._texts[path] = ""
            if any(entry.path == path for entry in self.entries):
                try:
                    self._texts[path] = self._content(path, READ_AT_MOST).decode("utf-8", "replace")
                except StructureFault as broken:
                    self.faults += broken.findings
        return self._texts[path]

    def head(self, path: str) -> Head:
        """Fetch the beginning of a file.

        Args:
            path: Its path in this listing.

        Raises:
            StructureFault: Any REMOTE_ finding.
        """
        head = read_head(self.web, self.address(path), path.rpartition("/")[2], self.subject(path))
        self.revision = self.revision or head.revision
        return head

    def digest(self, path: str) -> str | None:
        """Give the SHA-256 that the list of files told for a file; `None` where it is not known."""
        return self._digests.get(path)

    def address(self, path: str) -> str:
        """Give the address of a file.

        Args:
            path: Its path in this listing.
        """
        revision = quote(self.revision or self.place.revision or _MAIN, safe="")
        inside = f"{self.place.folder}/{path}" if self.place.folder else path
        return f"{self.web.access.hub_url}/{self.place.repo}/resolve/{revision}/{quote(inside)}"

    def subject(self, path: str | None = None) -> str:
        """Name the repository, or a file in it, as the user would.

        Args:
            path: The file.
        """
        revision = f"@{self.place.revision}" if self.place.revision else ""
        inside = "/".join(part for part in (self.place.folder, path) if part)
        return f"{self.place.repo}{revision}{f':{inside}' if inside else ''}"

    def _document(self, url: str) -> dict[str, Any]:
        content = self._fetch(url, self.subject(), LIST_BYTES)
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("siblings"), list):
            long = len(content) == LIST_BYTES
            message = (
                f"{self.subject()} has more files than are listed ({LIST_BYTES:,} bytes of names are read)."
                if long
                else f"The Hub's answer about {self.subject()} is no list of files ({len(content):,} bytes)."
            )
            fix = f"Name the file: `{self.place.repo}:FILE`." if long else None
            raise StructureFault(finding("REMOTE_REFUSED", message, subject=self.subject(), fix=fix))
        return document

    def _siblings(self, document: Mapping[str, Any], prefix: str) -> list[Entry]:
        found = []
        for row in document["siblings"]:
            path = row.get("rfilename") if isinstance(row, dict) else None
            if not isinstance(path, str) or not path.startswith(prefix) or path == prefix:
                continue
            size, lfs = row.get("size"), row.get("lfs")
            digest = lfs.get("sha256") if isinstance(lfs, dict) else None
            if isinstance(digest, str):
                self._digests[path.removeprefix(prefix)] = digest
            known = isinstance(size, int) and not isinstance(size, bool) and size >= 0
            found.append(Entry(path.removeprefix(prefix), size if known else 0))
        return found

    def _content(self, path: str, limit: int) -> bytes:
        return self._fetch(self.address(path), self.subject(path), limit, f"bytes=0-{limit - 1}")

    def _fetch(self, url: str, subject: str, limit: int, part: str | None = None) -> bytes:
        """Fetch the beginning of an answer."""
        headers = {"range": part} if part else {"accept": "application/json"}
        with self.web.ask(url, headers) as answer:
            if answer.status == 416:  # an empty file has no range
                return b""
            if answer.status not in (200, 206):
                token = bool(self.web.access.hub_token)
                raise StructureFault(refused(answer.status, answer.headers, subject, hub=True, token=token))
            return answer.read(limit)
