"""Words over HTTP: whole and streamed answers, adapters side by side, and requests that can't be meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from lorry.engine.language.flat import FlatLanguageModel
from lorry.engine.testing import RunningEngine, running_engine
from tests.engine.samples import PICTURES, WORDS
from tests.engine.strict import strict_client

KEY = {"Authorization": "Bearer any"}
QUESTION = [{"role": "user", "content": "Who are you?"}]


@pytest.fixture
def model() -> FlatLanguageModel:
    """Give what answers."""
    return FlatLanguageModel()


@pytest.fixture
def engine(home: Path, model: FlatLanguageModel) -> Iterator[RunningEngine]:
    """Give a running engine that answers with it."""
    with running_engine(home, language=model) as running:
        yield running


def chat(engine: RunningEngine, **more: Any) -> httpx2.Response:
    """Ask for an answer."""
    body = {"model": WORDS.name, "messages": QUESTION, "temperature": 0, **more}
    return httpx2.post(f"{engine.url}/v1/chat/completions", json=body, headers=KEY)


def words(engine: RunningEngine, **more: Any) -> str:
    """Give the words of an answer."""
    answer = chat(engine, **more)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def events(answer: httpx2.Response) -> list[str]:
    """Read server-sent events."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [line.removeprefix("data: ") for line in answer.text.splitlines() if line]


def test_the_same_question_has_the_same_answer(engine: RunningEngine) -> None:
    """Greedy answers repeat; so do drawn ones with one seed, and another seed gives another."""
    assert words(engine) == words(engine)
    drawn = [words(engine, temperature=1, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_an_answer_counts_its_tokens_and_says_why_it_ended(engine: RunningEngine) -> None:
    """`length` at the limit, `stop` before it; usage adds up."""
    body = chat(engine, max_tokens=3).json()
    assert body["choices"][0]["finish_reason"] == "length"
    usage = body["usage"]
    assert (usage["completion_tokens"], usage["total_tokens"]) == (3, usage["prompt_tokens"] + 3)
    assert chat(engine, max_tokens=200).json()["choices"][0]["finish_reason"] == "stop"


def test_a_stop_text_is_not_part_of_the_answer(engine: RunningEngine) -> None:
    """The answer ends right before it."""
    whole = words(engine, max_tokens=200)
    second = whole.split()[1]
    assert words(engine, max_tokens=200, stop=[second]) == whole.split(second)[0]


def test_a_streamed_answer_is_the_whole_one_in_pieces(engine: RunningEngine) -> None:
    """Chunks joined are the answer; the last one has reason and usage, and `[DONE]` ends the stream."""
    whole = words(engine, max_tokens=200)
    *chunks, end = events(chat(engine, max_tokens=200, stream=True))
    assert end == "[DONE]"
    rows = [json.loads(chunk) for chunk in chunks]
    assert len(rows) > 2
    assert "".join(row["choices"][0]["delta"]["content"] for row in rows) == whole
    assert rows[-1]["choices"][0]["finish_reason"] == "stop"
    assert rows[-1]["usage"]["completion_tokens"] == len(whole.split())
    assert all(row["choices"][0]["finish_reason"] is None for row in rows[:-1])


def test_each_piece_of_a_stream_is_what_the_official_client_has_a_model_for(engine: RunningEngine) -> None:
    """Chat and completion, held to its models field by field; the pieces joined are the whole answer."""
    client = strict_client(engine.url, engine.project)
    asked: dict[str, Any] = {"model": WORDS.name, "temperature": 0, "max_tokens": 200}
    create: Any = client.chat.completions.create  # its types allow no list of plain dicts
    said = [piece.choices[0].delta.content for piece in create(messages=QUESTION, stream=True, **asked)]
    assert len(said) > 2
    assert "".join(said) == words(engine, max_tokens=200)
    go_on: Any = client.completions.create
    parts = go_on(prompt="Once upon", stream=True, **asked)
    whole = go_on(prompt="Once upon", **asked).choices[0].text
    assert "".join(part.choices[0].text for part in parts) == whole


def test_a_completion_goes_on_with_a_text(engine: RunningEngine) -> None:
    """Whole and streamed are the same words."""
    body = {"model": WORDS.name, "prompt": "Once upon", "temperature": 0, "max_tokens": 5}
    whole = httpx2.post(f"{engine.url}/v1/completions", json=body, headers=KEY).json()
    streamed = httpx2.post(f"{engine.url}/v1/completions", json={**body, "stream": True}, headers=KEY)
    *chunks, end = events(streamed)
    assert end == "[DONE]"
    text = "".join(json.loads(chunk)["choices"][0]["text"] for chunk in chunks)
    assert text == whole["choices"][0]["text"]


def test_requests_that_wait_are_answered_in_one_batch(
    engine: RunningEngine, model: FlatLanguageModel
) -> None:
    """Eight at a time get the answers that they get alone, in fewer batches than requests."""
    asked = [[{"role": "user", "content": f"Question {number}?"}] for number in range(24)]
    alone = [words(engine, messages=messages) for messages in asked]
    model.batches.clear()
    with ThreadPoolExecutor(24) as pool:
        together = list(pool.map(lambda messages: words(engine, messages=messages), asked))
    assert together == alone
    assert sum(model.batches) == 24
    assert max(model.batches) <= 8


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": []},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        {"temperature": -1},
        {"top_p": 2},
        {"max_tokens": 0},
        {"max_tokens": "many"},
        {"n": 0},
        {"model": PICTURES.name},
        {"tools": [{"type": "function", "function": {"name": "x"}}]},
        {"messages": [{"role": "user", "content": "word " * 9000}]},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_can_t_be_meant_is_refused(
    engine: RunningEngine, wrong: dict[str, Any], stream: bool
) -> None:
    """Streamed or not, it is 400 with one sentence in the form of `/v1`, before anything is streamed."""
    answer = chat(engine, **{**wrong, "stream": stream})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["message"].endswith(".")
    assert error["type"] == "invalid_request_error"


def test_all_problems_of_a_request_are_told_at_once(engine: RunningEngine) -> None:
    """Each field that is wrong is named in the one sentence."""
    said = chat(engine, temperature=-1, max_tokens="many", top_p=2).json()["error"]["message"]
    assert all(name in said for name in ("temperature", "max_tokens", "top_p"))


def test_an_unknown_model_is_not_available(engine: RunningEngine) -> None:
    """The code is the one that Together gives."""
    answer = chat(engine, model="local/nobody")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_available"
