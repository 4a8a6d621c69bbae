"""Unmodified clients work by changing their base URL: together and openai, against a real engine."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
import together

from lorry import Lorry
from lorry.engine.testing import FlatLanguageModel, running_engine
from lorry.model.options import ShipOptions
from lorry.settings import Settings, read_settings
from tests.server.running import running_gateway

#: huggingface_hub sends bytes in a way that its HTTP client warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def gateway(home: Path) -> Iterator[str]:
    """Run an engine with a model for pictures and one for words, and a gateway in front of it."""
    with running_engine(home, language=FlatLanguageModel()) as engine:
        settings = read_settings(environ={"LORRY_HOME": str(home), "LORRY_ENGINE_URL": engine.url})
        asyncio.run(_ship(settings))
        with running_gateway(settings) as url:
            yield url


async def _ship(settings: Settings) -> None:
    async with Lorry(settings) as lorry:
        await lorry.ship(EXAMPLES / "tok", "tok")
        await lorry.ship(
            EXAMPLES / "dispatch", "desk", route="together-attached", rehearse=True, options=ShipOptions()
        )


def test_the_client_of_together(gateway: str) -> None:
    """Pictures inside and as addresses, words whole and as a stream; errors are the client's own."""
    client = together.Together(base_url=gateway, api_key="any")
    made = client.images.generate(
        model="tok", prompt="an apple", seed=1, response_format="base64", output_format="png"
    )
    assert base64.b64decode(made.data[0].b64_json).startswith(b"\x89PNG")  # type: ignore[union-attr]
    assert made.model == "tok"
    url = client.images.generate(model="tok", prompt="an apple", seed=1).data[0].url  # type: ignore[union-attr]
    assert httpx.get(url).content.startswith(b"\xff\xd8\xff")
    asked = {
        "model": "desk",
        "messages": [{"role": "user", "content": "hello there"}],
        "max_tokens": 8,
        "seed": 3,
    }
    whole = client.chat.completions.create(**asked)  # type: ignore[call-overload]
    pieces = [
        chunk.choices[0].delta.content or ""
        for chunk in client.chat.completions.create(**asked, stream=True)  # type: ignore[call-overload]
        if chunk.choices
    ]
    assert whole.choices[0].message.content == "".join(pieces) != ""
    with pytest.raises(together.NotFoundError, match="Did you mean tok"):
        client.images.generate(model="tik", prompt="an apple")


def test_the_client_of_openai(gateway: str) -> None:
    """The same with its fields: `size`, `b64_json`, and its list of models."""
    client = openai.OpenAI(base_url=f"{gateway}/v1", api_key="any")
    made = client.images.generate(
        model="tok", prompt="an apple", size="128x128", response_format="b64_json", n=2
    )
    assert made.data is not None
    assert len(made.data) == 2
    assert base64.b64decode(made.data[0].b64_json or "").startswith(b"\xff\xd8\xff")
    assert {model.id for model in client.models.list()} == {"tok", "desk"}
    said = client.chat.completions.create(
        model="desk", messages=[{"role": "user", "content": "hello there"}], max_tokens=8, seed=3
    )
    assert said.choices[0].message.content
    assert said.model == "desk"
    stream = client.chat.completions.create(
        model="desk", messages=[{"role": "user", "content": "hello there"}], max_tokens=8, seed=3, stream=True
    )
    assert (
        "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        == said.choices[0].message.content
    )
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model="tok", prompt="an apple", size="1000x1001")
    assert caught.value.code == "option_invalid"
    assert "1000x1000" in str(caught.value)


def test_pictures_are_those_that_the_model_draws(gateway: str) -> None:
    """The same seed gives the same picture through the gateway as from the engine itself, in both forms."""
    ours = httpx.post(
        f"{gateway}/api/generate",
        json={"model": "tok", "prompt": "an apple", "seed": 5, "response_format": "base64"},
        timeout=30,
    ).json()
    client = together.Together(base_url=gateway, api_key="any")
    theirs = client.images.generate(
        model="tok", prompt="TOK, an apple", seed=5, response_format="base64", output_format="png"
    )
    assert ours["pictures"][0]["base64"] == theirs.data[0].b64_json  # type: ignore[union-attr]
