"""What holds for every language model: the real one, and the double that stands for it in other tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lorry.engine.language.port import LanguageModel, Message, TextAnswer, TextRequest
from lorry.errors import AdapterUnusable, OptionInvalid
from tests.engine.language.adapters import SOME, write_adapter
from tests.engine.language.asking import QUESTIONS, ask, one


def test_a_greedy_request_has_one_answer(model: LanguageModel) -> None:
    """At temperature 0 the same request has the same answer, whatever its seed."""
    first = one(model, ask())
    assert first.text
    assert first.prompt_tokens > 0
    assert one(model, ask(seed=1)) == one(model, ask(seed=2)) == first


def test_a_batch_answers_as_each_alone(model: LanguageModel) -> None:
    """Requests of different lengths are answered in a batch as alone, in their order."""
    asked = [ask(question) for question in QUESTIONS]
    assert model.answer(asked) == [one(model, request) for request in asked]


def test_an_answer_may_end_before_its_neighbours(model: LanguageModel) -> None:
    """A short answer in a batch neither ends nor changes a longer one."""
    asked = [ask(max_tokens=1), ask(QUESTIONS[2], max_tokens=12), ask(max_tokens=3)]
    answers = model.answer(asked)
    assert answers == [one(model, request) for request in asked]
    assert [answer.completion_tokens for answer in answers][::2] == [1, 3]


def test_no_request_has_no_answer(model: LanguageModel) -> None:
    """An empty batch is answered by an empty list."""
    assert model.answer([]) == []


def test_an_adapter_changes_answers(model: LanguageModel, tmp_path: Path) -> None:
    """An adapter is counted when it is loaded, and acts on the requests that name it only."""
    before = one(model, ask())
    loaded = model.load("one", write_adapter(tmp_path))
    assert (loaded.key, loaded.modules, loaded.rank) == ("one", len(SOME), 4)
    assert one(model, ask(adapter="one")).text != before.text
    assert one(model, ask()) == before


def test_an_adapter_of_zeros_changes_nothing(model: LanguageModel, tmp_path: Path) -> None:
    """An adapter whose lora_B is zero leaves every answer as it is."""
    model.load("one", write_adapter(tmp_path, strength=0))
    for question in QUESTIONS:
        assert one(model, ask(question, adapter="one")) == one(model, ask(question))


def test_adapters_mix_in_one_batch(model: LanguageModel, tmp_path: Path) -> None:
    """Each request of a batch has its own adapter, or none, and is answered as alone."""
    for number, key in enumerate(("one", "two", "three"), start=1):
        model.load(key, write_adapter(tmp_path / key, seed=number, rank=2 * number))
    asked = [ask(adapter=key) for key in ("two", None, "one", "three", "two")]
    answers = model.answer(asked)
    assert answers == [one(model, request) for request in asked]
    assert len({answer.text for answer in answers}) == 4


def test_adapters_of_other_layers_keep_apart(model: LanguageModel, tmp_path: Path) -> None:
    """What is loaded, asked and unloaded meanwhile, on other layers, changes no answer of an adapter."""
    layers = [
        {name: size for name, size in SOME.items() if name.endswith(end)} for end in ("v_proj", "up_proj")
    ]
    base = one(model, ask())
    model.load("one", write_adapter(tmp_path / "one", layers=layers[0]))
    first = one(model, ask(adapter="one"))
    model.load("two", write_adapter(tmp_path / "two", layers=layers[1]))
    assert one(model, ask(adapter="one")) == first
    second = one(model, ask(adapter="two"))
    assert len({base.text, first.text, second.text}) == 3
    assert one(model, ask()) == base
    model.load("three", write_adapter(tmp_path / "three", seed=3))
    assert one(model, ask()) == base
    model.unload("two")
    assert [one(model, ask(adapter=key)) for key in (None, "one", None)] == [base, first, base]


def test_an_unloaded_adapter_is_gone(model: LanguageModel, tmp_path: Path) -> None:
    """What is unloaded answers no more, the others and the base do as before; unloading again is fine."""
    for number, key in enumerate(("one", "two"), start=1):
        model.load(key, write_adapter(tmp_path / key, seed=number))
    base, second = one(model, ask()), one(model, ask(adapter="two"))
    model.unload("one")
    model.unload("one")
    with pytest.raises(AdapterUnusable, match="one"):
        model.answer([ask(adapter="one")])
    assert one(model, ask(adapter="two")) == second
    model.unload("two")
    assert one(model, ask()) == base


def test_a_key_can_be_loaded_again(model: LanguageModel, tmp_path: Path) -> None:
    """Loading under a key that is taken replaces what was there, and can be undone by loading that again."""
    model.load("one", write_adapter(tmp_path / "first", seed=1))
    first = one(model, ask(adapter="one"))
    model.load("one", write_adapter(tmp_path / "second", seed=2))
    assert one(model, ask(adapter="one")).text != first.text
    model.load("one", tmp_path / "first")
    assert one(model, ask(adapter="one")) == first


def test_an_adapter_that_is_not_loaded_is_refused(model: LanguageModel) -> None:
    """Who names an adapter that is not there gets no answer of the base, in a batch or as a stream."""
    with pytest.raises(AdapterUnusable, match="nobody"):
        model.answer([ask(), ask(adapter="nobody")])
    with pytest.raises(AdapterUnusable, match="nobody"):
        list(model.stream(ask(adapter="nobody")))


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_pieces_join_to_the_answer(model: LanguageModel, question: str) -> None:
    """A stream gives no empty piece, and its last item is the answer whose text the pieces make up."""
    *pieces, last = model.stream(ask(question))
    assert last == one(model, ask(question))
    assert isinstance(last, TextAnswer)
    assert all(isinstance(piece, str) and piece for piece in pieces)
    assert "".join(map(str, pieces)) == last.text
    assert len(pieces) > 1


def test_a_stream_can_be_left(model: LanguageModel) -> None:
    """Leaving a stream early changes nothing for who comes after."""
    before = one(model, ask())
    pieces = model.stream(ask(max_tokens=200))
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]  # both are generators
    assert one(model, ask()) == before


@pytest.mark.parametrize("length", [1, 3, 8])
def test_an_answer_ends_at_a_stop_text(model: LanguageModel, length: int) -> None:
    """The first stop text ends the answer, wherever the borders of its tokens lie; it is no part of it."""
    whole = one(model, ask(QUESTIONS[2])).text
    for at in (4, 7, 11):
        stop = whole[at : at + length]
        first = whole.index(stop)
        asked = ask(QUESTIONS[2], stop=("no such words", stop))
        *pieces, last = model.stream(asked)
        assert isinstance(last, TextAnswer)
        assert (last.text, last.finish_reason) == (whole[:first], "stop")
        assert "".join(map(str, pieces)) == whole[:first]
        assert one(model, asked) == last


def test_what_only_begins_like_a_stop_text_is_given(model: LanguageModel) -> None:
    """The beginning of a stop text at the end of an answer belongs to it."""
    whole = one(model, ask(QUESTIONS[2]))
    assert one(model, ask(QUESTIONS[2], stop=(whole.text[-5:] + "§",))) == whole


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_an_answer_has_no_more_tokens_than_asked_for(model: LanguageModel, limit: int) -> None:
    """An answer that is cut has as many tokens as were asked for, and says so."""
    answer = one(model, ask(QUESTIONS[2], max_tokens=limit))
    assert (answer.completion_tokens, answer.finish_reason) == (limit, "length")
    assert one(model, ask(QUESTIONS[2])).text.startswith(answer.text)


def test_a_seed_repeats_an_answer(model: LanguageModel) -> None:
    """Drawn answers are the same for the same seed, in a batch as alone, and differ among seeds."""
    asked = [ask(temperature=1.0, top_p=0.9, seed=seed) for seed in range(4)]
    answers = model.answer(asked)
    assert [one(model, request) for request in asked] == answers
    assert len({answer.text for answer in answers}) > 1
    pieces = list(model.stream(asked[1]))
    assert pieces[-1] == answers[1]


def test_a_prompt_is_gone_on_with(model: LanguageModel) -> None:
    """A bare prompt is answered too, even an empty one."""
    bare = TextRequest(prompt="The capital of France is", temperature=0, max_tokens=8)
    assert one(model, bare).text
    assert one(model, bare).prompt_tokens < one(model, ask("The capital of France is")).prompt_tokens + 1
    assert one(model, replace(bare, prompt="")).completion_tokens > 0


def test_the_conversation_matters(model: LanguageModel) -> None:
    """What was said before, and by whom, is part of the question."""
    talk = (
        Message("system", "You are a pirate."),
        Message("user", "My name is Ada."),
        Message("assistant", "Hello Ada!"),
        Message("user", "What is my name?"),
    )
    longer = TextRequest(messages=talk, temperature=0, max_tokens=16)
    assert one(model, longer).prompt_tokens > one(model, ask()).prompt_tokens
    assert one(model, longer).text
    assert len({one(model, replace(longer, messages=talk[first:])).text for first in (0, 3)}) == 2


def test_a_prompt_beyond_the_context_is_refused(model: LanguageModel) -> None:
    """A prompt that leaves no room is refused with both numbers, before anything is computed."""
    with pytest.raises(OptionInvalid, match="8192") as caught:
        model.answer([ask("word " * 9000)])
    assert caught.value.evidence["context_length"] == 8192
    assert caught.value.evidence["prompt_tokens"] >= 9000
