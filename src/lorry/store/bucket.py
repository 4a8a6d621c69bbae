"""Kept contents in a bucket that speaks S3, through obstore; the keys are those that AWS's tools read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lorry.errors import ExtraMissing, NotWritable


class BucketBlobs:
    """`lorry.generation.ports.Blobs` in a bucket: an object is there whole or not at all.

    Args:
        url: `s3://bucket/prefix`.

    Raises:
        ExtraMissing: The extra `s3` is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            import obstore
            from obstore.exceptions import BaseError
            from obstore.store import S3Store
        except ImportError as error:
            raise ExtraMissing(
                "Keeping results in a bucket needs obstore.", fix="Run `pip install 'lorry[s3]'`."
            ) from error
        import os

        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")  # a bucket of one's own
        self._url = url
        self._obstore, self._error = obstore, BaseError
        self._store: Any = S3Store.from_url(url, client_options={"allow_http": plain})

    async def put(self, content: bytes, digest: str) -> None:
        """Keep a content durably, by its SHA-256, hex."""
        try:
            await self._obstore.put_async(self._store, _key(digest), content)
        except (self._error, OSError) as error:  # a bucket that does not exist is a FileNotFoundError
            raise self._refused(error) from error

    async def get(self, digest: str) -> bytes | None:
        """Read a content; `None` when it is not kept any more."""
        try:
            found = await self._obstore.get_async(self._store, _key(digest))
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None
        except self._error as error:
            raise self._refused(error) from error

    async def forget(self, before: datetime) -> int:
        """Forget what was kept last before a time; say how many."""
        gone = 0
        try:
            async for page in self._obstore.list(self._store):
                old = [each["path"] for each in page if each["last_modified"] < before]
                if old:
                    await self._obstore.delete_async(self._store, old)
                gone += len(old)
        except (self._error, OSError) as error:
            raise self._refused(error) from error
        return gone

    def _refused(self, error: Exception) -> NotWritable:
        said = str(error).splitlines()[0][:200]
        return NotWritable(
            f"The bucket {self._url} refuses: {said}.",
            fix="Correct LORRY_RESULTS_URL, the keys (AWS_ACCESS_KEY_ID …) or the bucket's policy.",
            evidence={"url": self._url},
        )


def _key(digest: str) -> str:
    return f"{digest[:2]}/{digest}"
