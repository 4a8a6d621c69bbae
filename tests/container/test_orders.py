"""What a job may ask for, and that everything wrong with it is said at once."""

from __future__ import annotations

from typing import Any

import pytest

from lorry.container.orders import LoraOrder, read_order
from lorry.errors import OptionInvalid


def test_a_bare_prompt_is_enough_and_draws_a_seed() -> None:
    """A job needs a prompt and nothing more; two jobs without a seed are two pictures."""
    orders = [read_order({"prompt": "a cat"}) for _ in range(8)]
    assert {order.prompt for order in orders} == {"a cat"}
    assert len({order.seed for order in orders}) > 1
    assert (orders[0].count, orders[0].form, orders[0].width, orders[0].by_address) == (1, "png", None, False)


def test_everything_that_can_be_asked_for_is_read() -> None:
    """Each field of a job arrives, `null` stands for what was left out, and a size is a square."""
    order = read_order(
        {
            "prompt": "a cat",
            "negative_prompt": "dogs",
            "seed": 7,
            "steps": 4,
            "guidance": 1.5,
            "size": 256,
            "n": 2,
            "width": None,
            "loras": [{"path": "tok"}, {"path": "/volumes/x.safetensors", "scale": -0.5, "digest": "a" * 64}],
            "output_format": "jpeg",
            "response_format": "url",
        }
    )
    assert (order.seed, order.steps, order.guidance, order.count) == (7, 4, 1.5, 2)
    assert (order.width, order.height, order.form, order.by_address) == (256, 256, "jpeg", True)
    assert order.negative_prompt == "dogs"
    assert order.loras == (LoraOrder("tok"), LoraOrder("/volumes/x.safetensors", -0.5, "a" * 64))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt": "  "}, "prompt has to be a text"),
        ({"prompt": None}, "prompt has to be a text"),
        ({"lora": []}, "lora is no field"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 10**400}, "seed is 1000"),
        ({"steps": True}, "steps is True"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"guidance": float("nan")}, "guidance is nan"),
        ({"n": 5}, "n is 5"),
        ({"size": 100}, "multiple of 8"),
        ({"size": 4096}, "size is 4096"),
        ({"width": 64}, "come together"),
        ({"size": 64, "width": 64, "height": 64}, "edge of a square"),
        ({"loras": "tok"}, "loras is no list"),
        ({"loras": ["tok"]}, "loras[0] is no object"),
        ({"loras": [{"path": "a", "scale": "1"}]}, "loras[0].scale is '1'"),
        ({"loras": [{"path": "a", "weight": 1}]}, "loras[0].weight is no field"),
        ({"loras": [{"path": "a", "digest": "A" * 64}]}, "loras[0].digest is no SHA-256"),
        ({"loras": [{"path": "a"}] * 9}, "loras has 9 entries"),
        ({"output_format": "gif"}, "output_format is 'gif'"),
    ],
)
def test_what_cannot_be_meant_is_refused(change: dict[str, Any], said: str) -> None:
    """A field that can't be meant as it stands is refused by name, and a misspelt one too."""
    with pytest.raises(OptionInvalid) as refused:
        read_order({"prompt": "a cat", **change}, largest=1920)
    assert said in refused.value.message


def test_all_problems_come_at_once() -> None:
    """Three mistakes are three problems in one answer."""
    with pytest.raises(OptionInvalid) as refused:
        read_order({"seed": -1, "size": 65, "loras": [{"path": ""}]})
    assert len(refused.value.evidence["problems"]) == 4  # no prompt; a seed; a size; a path


@pytest.mark.parametrize("payload", [None, [], "a cat", 3])
def test_a_payload_has_to_be_an_object(payload: object) -> None:
    """Whatever JSON may come, it is refused and not an exception."""
    with pytest.raises(OptionInvalid):
        read_order(payload)
