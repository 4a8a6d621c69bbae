"""The onnx renderer's own laws: determinism, free mixing in a batch, adapters added and taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lorry.engine.renderers import AdapterUse, Picture, Renderer, RenderRequest
from lorry.engine.renderers.port import DrawingAbandoned, Look, Ticket
from lorry.errors import AdapterUnusable
from tests.engine.renderers.adapters import SAMPLES, lora, write

APPLE = RenderRequest("a red apple", seed=7, steps=4)


def _gap(one: Picture, other: Picture) -> int:
    """Return the largest difference of two pictures, 0 to 255."""
    return int(np.abs(one.astype(int) - other).max())


def _draw(renderer: Renderer, request: RenderRequest) -> Picture:
    return renderer.render([request])[0]


def _assert_same(together: Sequence[Picture], alone: Sequence[Picture]) -> None:
    """Hold pictures of a batch against the same alone.

    Which element the last of a vector is, and so which instruction rounds it, follows from the batch's size:
    one level of 255 in one value of ten thousand. Most pictures are bit for bit the same.
    """
    gaps = np.abs(np.stack(together).astype(int) - np.stack(alone))
    assert gaps.max() <= 1
    assert (gaps > 0).mean() < 1e-3


def test_draws_pictures_of_the_native_size(onnx: Renderer) -> None:
    """One uint8 RGB picture of 64x64 px per request, in order; none for none."""
    pictures = onnx.render([APPLE, replace(APPLE, prompt="a dog")])
    assert [(p.shape, p.dtype.name) for p in pictures] == [((64, 64, 3), "uint8")] * 2
    assert onnx.render([]) == []


def test_same_request_same_picture(onnx: Renderer) -> None:
    """The seed decides: the same one repeats a picture exactly, another one does not."""
    assert _gap(_draw(onnx, APPLE), _draw(onnx, APPLE)) == 0
    assert _gap(_draw(onnx, APPLE), _draw(onnx, replace(APPLE, seed=8))) > 20


def test_draws_what_was_asked_for(onnx: Renderer) -> None:
    """A red apple on white is red in its middle and white in its corners; a background is its colour."""
    plain = _draw(onnx, replace(APPLE, steps=8)).astype(int)
    assert plain[:3, :3].min() > 230
    assert plain[28:40, 24:40, 0].mean() > plain[28:40, 24:40, 2].mean() + 80
    blue = _draw(onnx, replace(APPLE, prompt="a red apple on a blue background", steps=8)).astype(int)
    assert blue[:4, :4, 2].mean() > blue[:4, :4, 0].mean() + 80


def test_mixed_batch_equals_one_by_one(onnx: Renderer, tmp_path: Path) -> None:
    """Adapters, scales, steps and guidance mix in one batch, and every picture is as if it were alone."""
    onnx.load("tok", SAMPLES["tok"])
    onnx.load("a", write(tmp_path / "a.safetensors", lora(rank=3)))
    requests = [
        APPLE,
        replace(APPLE, prompt="TOK", adapters=(AdapterUse("tok", 1.0),)),
        replace(APPLE, adapters=(AdapterUse("a", 0.5),)),
        replace(APPLE, prompt="TOK", adapters=(AdapterUse("tok", 0.5), AdapterUse("a", 1.0))),
        replace(APPLE, guidance=4.0, negative_prompt="green"),
        replace(APPLE, guidance=1.0),
        replace(APPLE, steps=2),
    ]
    together = onnx.render(requests)
    alone = [_draw(onnx, request) for request in requests]
    _assert_same(together, alone)
    assert _gap(together[0], together[2]) > 20


def test_the_whole_sample_set_mixed_equals_one_by_one(onnx: Renderer) -> None:
    """Every sample at every scale for every prompt, shuffled into batches: as alone."""
    for name, path in SAMPLES.items():
        onnx.load(name, path)
    requests = [
        RenderRequest(prompt, seed, 3, guidance, adapters=(AdapterUse(name, scale),) if name else ())
        for seed, prompt in enumerate(("TOK", "a rocket in BPX style", "a cat on a green background"))
        for name in (*SAMPLES, None)
        for scale, guidance in ((1.0, 2.5), (0.4, 1.0))
    ]
    np.random.default_rng(0).shuffle(requests)
    together = onnx.render(requests)
    _assert_same(together, [_draw(onnx, request) for request in requests])


class Arriving:
    """A feed that gives each picture when the first has taken as many steps as are written beside it."""

    def __init__(self, arrivals: list[tuple[int, RenderRequest]]) -> None:
        self.arrivals = [(step, Ticket(request)) for step, request in arrivals]
        self.first = self.arrivals[0][1]
        self.steps = 0
        self.beside: list[int] = []
        self.done: dict[Ticket, Picture] = {}
        self.looks: list[Picture] = []
        self.errors: dict[Ticket, Exception] = {}

    def take(self, beside: Sequence[Ticket]) -> Sequence[Ticket]:
        """Give what has arrived."""
        here = [ticket for step, ticket in self.arrivals if step <= self.steps]
        self.arrivals = [(step, ticket) for step, ticket in self.arrivals if ticket not in here]
        self.beside.append(len(beside) + len(here))
        return here

    def step(self, ticket: Ticket, done: int, look: Look) -> None:
        """Look at the first."""
        if ticket is self.first:
            self.steps = done
            self.looks.append(look())

    def finish(self, ticket: Ticket, picture: Picture) -> None:
        """Keep it."""
        self.done[ticket] = picture

    def fail(self, ticket: Ticket, error: Exception) -> None:
        """Keep it."""
        self.errors[ticket] = error


def test_pictures_join_and_leave_between_steps(onnx: Renderer) -> None:
    """One that comes in the middle is begun at the next step, and every picture is as if it were alone."""
    onnx.load("tok", SAMPLES["tok"])
    late = replace(APPLE, prompt="TOK", steps=3, adapters=(AdapterUse("tok"),))
    feed = Arriving([(0, replace(APPLE, steps=6)), (2, late), (3, replace(APPLE, steps=1, guidance=1.0))])
    tickets = [ticket for _, ticket in feed.arrivals]
    onnx.draw(feed)
    assert feed.beside == [1, 1, 2, 3, 2, 1, 0]
    _assert_same([feed.done[each] for each in tickets], [_draw(onnx, each.request) for each in tickets])


def test_a_look_at_a_picture_comes_closer_to_it(onnx: Renderer) -> None:
    """After each step it can be seen as it looks by now; the last look is the picture."""
    feed = Arriving([(0, replace(APPLE, steps=6))])
    onnx.draw(feed)
    gaps = [float(np.abs(look.astype(int) - feed.done[feed.first]).mean()) for look in feed.looks]
    assert gaps[-1] == 0
    assert gaps[0] > gaps[2] > gaps[4]


def test_a_picture_of_nan_is_refused_and_the_others_are_drawn(onnx: Renderer, tmp_path: Path) -> None:
    """An adapter so strong that numbers overflow fails for itself alone, never as a black picture."""
    onnx.load("a", write(tmp_path / "a.safetensors", lora(size=3e4)))
    wild = replace(APPLE, adapters=(AdapterUse("a", 1e30),))
    feed = Arriving([(0, APPLE), (0, wild)])
    good, bad = (ticket for _, ticket in feed.arrivals)
    onnx.draw(feed)
    assert "NaN" in str(feed.errors[bad])
    _assert_same([feed.done[good]], [_draw(onnx, APPLE)])


def test_batch_larger_than_memory_allows_is_split(onnx: Renderer, tmp_path: Path) -> None:
    """Twenty requests, one of them of rank 64, come back in order."""
    onnx.load("a", write(tmp_path / "a.safetensors", lora(rank=64, size=0.02)))
    requests = [replace(APPLE, seed=seed, steps=1) for seed in range(20)]
    requests[11] = replace(requests[11], adapters=(AdapterUse("a", 1.0),))
    pictures = onnx.render(requests)
    assert len(pictures) == 20
    assert _gap(pictures[19], _draw(onnx, requests[19])) <= 1
    assert _gap(pictures[11], _draw(onnx, requests[11])) <= 1


def test_scale_zero_equals_no_adapter(onnx: Renderer) -> None:
    """An adapter at scale 0 leaves every pixel as it is; at scale 1 it does not."""
    onnx.load("tok", SAMPLES["tok"])
    request = replace(APPLE, prompt="TOK")
    with_adapter = [replace(request, adapters=(AdapterUse("tok", scale),)) for scale in (0.0, 1.0)]
    assert _gap(_draw(onnx, with_adapter[0]), _draw(onnx, request)) == 0
    assert _gap(_draw(onnx, with_adapter[1]), _draw(onnx, request)) > 50


def test_two_adapters_add_up(onnx: Renderer, tmp_path: Path) -> None:
    """Two adapters at half strength each equal one of them at full strength when they are the same file."""
    path = write(tmp_path / "a.safetensors", lora())
    onnx.load("a", path)
    onnx.load("b", path)
    halves = replace(APPLE, adapters=(AdapterUse("a", 0.5), AdapterUse("b", 0.5)))
    whole = replace(APPLE, adapters=(AdapterUse("a", 1.0),))
    assert _gap(_draw(onnx, halves), _draw(onnx, whole)) <= 1


def test_unload_frees_the_key(onnx: Renderer) -> None:
    """An unloaded adapter is unknown afterwards, and unloading it again is no error."""
    onnx.load("tok", SAMPLES["tok"])
    onnx.unload("tok")
    onnx.unload("tok")
    with pytest.raises(AdapterUnusable, match="not loaded"):
        _draw(onnx, replace(APPLE, adapters=(AdapterUse("tok", 1.0),)))


def test_loading_again_replaces(onnx: Renderer, tmp_path: Path) -> None:
    """A key holds what was loaded last; a failed load leaves what was there."""
    request = replace(APPLE, adapters=(AdapterUse("a", 1.0),))
    onnx.load("a", write(tmp_path / "a.safetensors", lora(seed=1)))
    first = _draw(onnx, request)
    onnx.load("a", write(tmp_path / "b.safetensors", lora(seed=2)))
    second = _draw(onnx, request)
    assert _gap(first, second) > 20
    (tmp_path / "c.safetensors").write_bytes(b"")
    with pytest.raises(AdapterUnusable):
        onnx.load("a", tmp_path / "c.safetensors")
    assert _gap(_draw(onnx, request), second) == 0


def test_adapter_that_matches_nothing_changes_nothing(onnx: Renderer, tmp_path: Path) -> None:
    """A file for another base loads with no modules, and the picture stays the base's."""
    foreign = {"transformer.transformer_blocks.40.attn.to_q.lora_A.weight": np.ones((2, 2), np.float32)}
    loaded = onnx.load("a", write(tmp_path / "a.safetensors", foreign))
    assert loaded.modules == 0
    adapted = _draw(onnx, replace(APPLE, adapters=(AdapterUse("a", 1.0),)))
    assert _gap(adapted, _draw(onnx, APPLE)) == 0


def test_what_nobody_wants_any_more_is_left_off(onnx: Renderer) -> None:
    """Between two steps it is asked whether anybody still wants it; the next picture is as ever."""
    asked: list[int] = []

    def abandoned() -> bool:
        asked.append(len(asked))
        return len(asked) == 3

    with pytest.raises(DrawingAbandoned):
        onnx.render([APPLE], abandoned)
    assert len(asked) == 3
    assert _gap(_draw(onnx, APPLE), _draw(onnx, APPLE)) == 0
