"""Pictures: each with the seed that gives it again, and nothing but PNG passes."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from lorry.delivery.ports import Platform
from lorry.errors import ModelUnavailable, OptionInvalid, PlatformFault
from lorry.model.generation import LoraUse, PictureOrder
from tests.platforms.stand_in import PNG, StandIn

IMAGES = "/v1/images/generations"
ORDER = PictureOrder("slug/tok", "TOK on green", 7)


async def test_every_picture_has_a_request_with_its_own_seed(platform: Platform, server: StandIn) -> None:
    """Six pictures are six requests, and picture i is the one that seed + i gives."""
    await platform.endpoints.create("tok")
    pictures = await platform.painter.paint(replace(ORDER, count=6))
    assert [picture.seed for picture in pictures] == [7, 8, 9, 10, 11, 12]
    for picture in pictures:
        asked = json.loads(picture.png.removeprefix(PNG))
        assert asked["seed"] == picture.seed
        assert asked.get("n", 1) == 1


async def test_an_order_is_sent_as_the_dossier_says(platform: Platform, server: StandIn) -> None:
    """PNG as base64, a square, the steps, and the deployed adapter by its name with its scale."""
    await platform.endpoints.create("tok")
    await platform.painter.paint(replace(ORDER, steps=8, size=64, adapter="slug/lora", scale=0.0))
    assert server.seen[-1].json == {
        "model": "slug/tok",
        "prompt": "TOK on green",
        "seed": 7,
        "response_format": "base64",
        "output_format": "png",
        "steps": 8,
        "width": 64,
        "height": 64,
        "image_loras": [{"path": "slug/lora", "scale": 0.0}],
    }


async def test_what_is_not_asked_for_is_left_to_the_platform(platform: Platform, server: StandIn) -> None:
    """Without steps, size and scale, none of them is sent."""
    await platform.endpoints.create("tok")
    await platform.painter.paint(ORDER)
    assert not {"steps", "width", "height", "image_loras", "n"} & set(server.seen[-1].json)


async def test_a_scale_without_the_adapters_name_is_refused_before_anything_is_sent(
    platform: Platform, server: StandIn
) -> None:
    """A strength of nothing can't be set."""
    with pytest.raises(OptionInvalid, match=r"0\.5"):
        await platform.painter.paint(replace(ORDER, scale=0.5))
    assert server.seen == []


async def test_a_refusal_has_the_platforms_words(platform: Platform) -> None:
    """The sentence inside `{error: {message}}` reaches the user."""
    with pytest.raises(ModelUnavailable, match="No such model"):
        await platform.painter.paint(replace(ORDER, count=5))


def _answer(*data: dict[str, object]) -> bytes:
    return json.dumps({"id": "i", "model": "m", "object": "list", "data": data}).encode()


@pytest.mark.parametrize(
    "answer",
    [
        _answer(),
        _answer({"index": 0, "type": "url", "url": "https://example.com/a.png"}),
        _answer({"index": 0, "type": "b64_json", "b64_json": "no base64!"}),
        _answer({"index": 0, "type": "b64_json", "b64_json": base64.b64encode(b"\xff\xd8\xff\xe0").decode()}),
        b'{"id": "i"}',
    ],
    ids=["no picture", "an address", "no base64", "a JPEG", "no list"],
)
async def test_what_is_no_picture_is_a_fault(platform: Platform, server: StandIn, answer: bytes) -> None:
    """Anything but one whole PNG is never handed on as a picture."""
    server.instead.append((IMAGES, 200, answer, "application/json"))
    with pytest.raises(PlatformFault, match="can't be read"):
        await platform.painter.paint(ORDER)


@pytest.mark.parametrize("count", [1, 2])
async def test_fetched_adapters_go_along_in_the_form_of_their_source(
    platform: Platform, server: StandIn, count: int
) -> None:
    """A repository, then a download at Civitai, each with its scale; the deployed adapter is left out."""
    await platform.endpoints.create("tok")
    uses = (
        LoraUse("https://huggingface.co/owner/name/blob/main/lora.safetensors", 0.8),
        LoraUse("https://civitai.com/models/1?modelVersionId=456", -0.5),
    )
    await platform.painter.paint(replace(ORDER, loras=uses[:count], adapter="slug/lora", scale=0.3))
    expected = [
        {"path": "https://huggingface.co/owner/name/resolve/main/lora.safetensors", "scale": 0.8},
        {"path": "https://civitai.com/api/download/models/456", "scale": -0.5},
    ]
    assert server.seen[-1].json["image_loras"] == expected[:count]


async def test_more_than_two_adapters_are_refused_before_anything_is_sent(
    platform: Platform, server: StandIn
) -> None:
    """Together takes two of them (dossier 3.3)."""
    uses = tuple(LoraUse(f"owner/name-{number}", 1.0) for number in range(3))
    with pytest.raises(OptionInvalid, match="3 LoRAs") as caught:
        await platform.painter.paint(replace(ORDER, loras=uses))
    assert caught.value.evidence == {"loras": 3, "most": 2}
    assert server.seen == []


async def test_an_address_that_leads_to_no_file_is_refused_before_anything_is_sent(
    platform: Platform, server: StandIn
) -> None:
    """The sentence names the page, and not what stands behind its `?`."""
    use = LoraUse("https://civitai.com/models/1?token=secret", 1.0)
    with pytest.raises(OptionInvalid, match=r"civitai\.com/models/1 is a page") as caught:
        await platform.painter.paint(replace(ORDER, loras=(use,)))
    assert "secret" not in str(caught.value.as_dict())
    assert server.seen == []
