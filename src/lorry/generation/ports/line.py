"""A platform as the gateway speaks to it: how requests look there, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lorry.errors import LorryError
from lorry.model.generation import PictureOrder


@dataclass(frozen=True, slots=True)
class Shipment:
    """Where a request goes, and the fields in which it speaks of the model.

    Attributes:
        url: The full address.
        fields: The body's fields that the platform decides: `model`, and how the adapter is named.
    """

    url: str
    fields: Mapping[str, Any]


class Line(Protocol):
    """The way to one platform with one key."""

    @property
    def account(self) -> str:
        """Name whose requests are counted and billed together; no secret."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of every request, the key among them."""

    def pictures(self, order: PictureOrder) -> Shipment:
        """Say where an order for pictures goes and how it names the model.

        Raises:
            OptionInvalid: The platform can't be asked for this.
        """

    def words(self, target: str) -> Shipment:
        """Say where a conversation with a model goes.

        Args:
            target: What the platform calls the model.
        """

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, url: str) -> LorryError:
        """Say what an answer means that is no success.

        Args:
            status: Its HTTP status.
            headers: Its headers, names in small letters.
            body: Its body, or the beginning of it.
            url: What was asked.
        """

    def not_sent(self, cause: Exception) -> LorryError:
        """Say that nobody answers there."""

    def lost(self, cause: Exception) -> LorryError:
        """Say that a request was sent and its answer did not come."""
