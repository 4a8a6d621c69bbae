"""Adapters that differ, over HTTP, through the official client: with the real base, and with its double."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lorry.engine.language.port import LanguageModel
from lorry.engine.testing import running_engine
from tests.engine.desk import Desk
from tests.engine.language.adapters import write_adapter
from tests.engine.language.asking import QUESTIONS


def test_each_request_is_answered_by_the_adapter_that_it_names(
    home: Path, tmp_path: Path, model: LanguageModel
) -> None:
    """Many at once, to the base and two different adapters, get what each gets when it is alone."""
    with running_engine(home, language=model) as engine:
        desk = Desk(engine)
        attached = [desk.attach(desk.model("sample"))]
        attached.append(desk.attach(desk.model("random", write_adapter(tmp_path / "random"))))
        asked = [
            (name, question)
            for question in QUESTIONS
            for name in ("local/words", "local/sample", "local/random")
        ]
        alone = [desk.said(*each) for each in asked]
        with ThreadPoolExecutor(len(asked)) as pool:
            assert list(pool.map(lambda each: desk.said(*each), asked)) == alone
        for start in range(0, len(alone), 3):
            assert len(set(alone[start : start + 3])) == 3, f"the adapters don't differ: {alone[start:]}"
        for each in attached:
            desk.client.endpoints.adapters.delete(each.id, **desk.at, etag=each.etag)
        assert [desk.said("local/words", question) for question in QUESTIONS] == alone[::3]
