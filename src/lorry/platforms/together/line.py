"""Together as the gateway speaks to it: the requests that generate, without the official client.

That client costs more than a whole gateway may (benchmarks/gateway), so the hot path sends its own requests.
What they look like is shared with `painter` and `writer`, and what refusals mean with `faults`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lorry.errors import AnswerLost, LorryError, Unreachable
from lorry.generation.ports import Shipment
from lorry.model.generation import PictureOrder
from lorry.platforms.together.addresses import require_key, root
from lorry.platforms.together.picture_fields import picture_options

if TYPE_CHECKING:
    from lorry.platforms.together.faults import Faults

_PICTURES, _WORDS = "/v1/images/generations", "/v1/chat/completions"
_DOING = {_PICTURES: "draw pictures", _WORDS: "answer in words"}


class TogetherLine:
    """The port `Line`.

    Args:
        base_url: Root of the API, without `/v1`.
        api_key: The key.
        unreachable: Which error says that nobody answers.
    """

    def __init__(self, base_url: str, api_key: str, unreachable: type[Unreachable] = Unreachable) -> None:
        self._root = root(base_url)
        require_key(api_key)
        self._unreachable, self._key = unreachable, api_key
        # The digest tells a new key from the old one: with a new one, what the old one did wrong is over.
        self.account = f"{self._root} key:{hashlib.sha256(api_key.encode()).hexdigest()[:8]}"
        self.headers: Mapping[str, str] = {
            "authorization": f"Bearer {api_key}",
            "content-type": "application/json",
            "accept-encoding": "identity",
        }

    def pictures(self, order: PictureOrder) -> Shipment:
        """Say where an order for pictures goes and how it names the model."""
        return Shipment(self._root + _PICTURES, {"model": order.target, **picture_options(order)})

    def words(self, target: str) -> Shipment:
        """Say where a conversation with a model goes."""
        return Shipment(self._root + _WORDS, {"model": target})

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, url: str) -> LorryError:
        """Say what an answer means that is no success."""
        import httpx

        plain = {name: value for name, value in headers.items() if name not in _FRAMING}
        answer = httpx.Response(status, headers=plain, content=body, request=httpx.Request("POST", url))
        return self._faults().refusal(answer, self._doing(url))

    def not_sent(self, cause: Exception) -> LorryError:
        """Say that nobody answers there."""
        said = str(cause)
        return self._unreachable(
            f"Nothing answers at {self._root} ({said}).", evidence={"address": self._root, "cause": said}
        )

    def lost(self, cause: Exception) -> LorryError:
        """Say that a request was sent and its answer did not come."""
        said = str(cause)
        return AnswerLost(
            f"{self._root} was asked to generate, and its answer did not arrive ({said}).",
            fix="Send it again with a new Idempotency-Key to have it done once more.",
            evidence={"address": self._root, "cause": said},
        )

    def _faults(self) -> Faults:
        """Give the translation of refusals; it needs the official client, which is loaded only for them."""
        from lorry.platforms.together.faults import Faults

        return Faults(self._root, self._unreachable, self._key)

    def _doing(self, url: str) -> str:
        return _DOING.get(url.removeprefix(self._root), "generate")


#: Headers about how a body was sent; the body that is read here was unpacked already.
_FRAMING = frozenset({"content-length", "transfer-encoding", "content-encoding", "connection"})
