"""A kept result as an answer, in the form in which it was asked for."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from lorry.generation.asking import Form
from lorry.model.kept import Generated

_ENCODER = msgspec.json.Encoder()
_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
MEDIA = {suffix: media for media, suffix in _SUFFIXES.items()}

#: Hex digits of a signature: 128 bits.
_SIGNATURE = 32


class Addresses:
    """Addresses of kept pictures: whoever has one may see the picture, until it is forgotten.

    Args:
        secret: Of this server.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def path(self, digest: str, media: str) -> str:
        """Give the path of a picture, with its signature.

        Args:
            digest: Its SHA-256, hex.
            media: Its kind.
        """
        return f"/api/pictures/{self.sign(digest)}/{digest}.{_SUFFIXES[media]}"

    def sign(self, digest: str) -> str:
        """Give the signature of a picture's address."""
        return hmac.new(self._secret, b"picture:" + digest.encode(), hashlib.sha256).hexdigest()[:_SIGNATURE]

    def valid(self, digest: str, signature: str) -> bool:
        """Say whether a signature is ours."""
        return hmac.compare_digest(self.sign(digest).encode(), signature.encode())

    def session_key(self) -> bytes:
        """Give the key with which sessions of the dashboard are signed."""
        return hmac.new(self._secret, b"session", hashlib.sha256).digest()

    def webhook_secret(self, owner: str | None) -> str:
        """Give the secret that an owner checks the signatures of webhooks with.

        Its form is that of Standard Webhooks: `whsec_` and base64.
        """
        key = hmac.new(self._secret, b"webhook:" + (owner or "").encode(), hashlib.sha256).digest()
        return f"whsec_{b64encode(key).decode()}"

    def training_secret(self, owner: str | None) -> str:
        """Give the secret with which a training service signs what it tells of an owner's trainings."""
        key = hmac.new(self._secret, b"training:" + (owner or "").encode(), hashlib.sha256).digest()
        return f"whsec_{b64encode(key).decode()}"


def body_of(
    row: Generated, contents: Mapping[str, bytes], addresses: Addresses, server: str
) -> tuple[bytes, str]:
    """Write the answer that a kept result is.

    Args:
        row: It has an answer.
        contents: Pictures by their digest, where they go into the answer.
        addresses: Signs addresses.
        server: Address of this server as the caller sees it.

    Returns:
        The body and its content type.
    """
    answer = row.answer or {}
    if row.form == Form.CHAT:
        return str(answer["body"]).encode(), str(answer["media"])
    pictures = [_picture(row.form, kept, answer, contents, addresses, server) for kept in answer["pictures"]]
    if row.form == Form.IMAGES:
        head = {**answer["meta"], "id": row.id, "object": "list", "model": row.model}
        head["created"] = int(row.created_at.timestamp())
        return _ENCODER.encode({**head, "data": pictures}), "application/json"
    told = {name: value for name, value in answer["told"].items() if value is not None}
    shown: dict[str, Any] = {"id": row.id, "model": row.model, **told}
    if "words" not in shown:
        shown["pictures"] = pictures
    return _ENCODER.encode(shown), "application/json"


def _picture(
    form: str,
    kept: Mapping[str, Any],
    answer: Mapping[str, Any],
    contents: Mapping[str, bytes],
    addresses: Addresses,
    server: str,
) -> dict[str, Any]:
    url = None if not answer["address"] else server + addresses.path(kept["digest"], kept["media"])
    inside = None if answer["address"] else b64encode(contents[kept["digest"]]).decode()
    if form == Form.IMAGES:
        kind = {"type": "url", "url": url} if url else {"type": "b64_json", "b64_json": inside}
        return {"index": kept["index"], **kind}
    where = {"url": url} if url else {"base64": inside}
    return {"seed": kept["seed"], "media_type": kept["media"], "digest": kept["digest"], **where}
