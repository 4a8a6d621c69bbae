"""Words from the platform, whole and in pieces."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lorry.delivery.ports import Platform
from lorry.errors import ModelUnavailable, NotRouted
from lorry.model.generation import Words
from tests.platforms.text.hosting import ASKED, host_of


async def test_an_answer_comes_in_pieces_and_whole(platform: Platform) -> None:
    """The pieces put together are the answer that comes whole, and the last thing is that answer."""
    whole = await platform.writer.write(ASKED)
    *pieces, last = [piece async for piece in platform.writer.stream(ASKED)]
    assert last == whole
    assert "".join(str(piece) for piece in pieces) == whole.text
    assert len(pieces) > 1
    assert isinstance(last, Words)
    assert last.finish in ("length", "stop", "eos")
    assert all(count > 0 for count in last.tokens)


async def test_what_the_system_says_is_sent_along(platform: Platform) -> None:
    """An order with a system message has another answer, and more tokens in."""
    plain = await platform.writer.write(ASKED)
    told = await platform.writer.write(replace(ASKED, system="Answer in French."))
    assert told.tokens[0] > plain.tokens[0]
    assert told.text != plain.text


@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_answers_under_an_unknown_name(platform: Platform, *, stream: bool) -> None:
    """Whole or in pieces, the refusal is ModelUnavailable, with the platform's sentence."""
    order = replace(ASKED, target="nobody/nothing")

    async def ask() -> object:
        if stream:
            return [piece async for piece in platform.writer.stream(order)]
        return await platform.writer.write(order)

    with pytest.raises(ModelUnavailable, match="nobody/nothing"):
        await ask()


async def test_an_endpoint_without_traffic_is_not_routed(platform: Platform) -> None:
    """A ready deployment without weight answers nothing (dossier 0, fact 6)."""
    host = await host_of(platform)
    order = replace(ASKED, target=host.endpoint.name)
    assert (await platform.writer.write(order)).text
    await platform.endpoints.route(host.endpoint.id, {})
    with pytest.raises(NotRouted):
        await platform.writer.write(order)
