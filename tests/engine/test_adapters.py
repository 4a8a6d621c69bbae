"""Adapters on a running deployment: slots, names, revisions, and who may take them off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from together import APIStatusError, BadRequestError, ConflictError, NotFoundError, RateLimitError

from lorry.engine.testing import running_engine
from tests.engine.desk import Desk
from tests.engine.samples import WORDS
from tests.engine.strict import strict_client


@pytest.fixture
def desk(home: Path) -> Iterator[Desk]:
    """Give the desk."""
    with running_engine(home) as engine:
        yield Desk(engine)


def test_an_attached_adapter_answers_by_two_names(desk: Desk) -> None:
    """By the endpoint's and its own name, and by its own alone; the endpoint itself is the base."""
    desk.attach(desk.model("one"))
    acting = desk.said("local/words:local/one")
    assert acting == desk.said("local/one")
    assert acting != desk.said("local/words") == desk.said(WORDS.name)


def test_several_adapters_answer_side_by_side(desk: Desk) -> None:
    """Each request gets the adapter that it names, and one that comes later changes no other."""
    one, two = desk.model("one"), desk.model("two")
    desk.attach(one)
    before = desk.said("local/one")
    desk.attach(two)
    assert desk.said("local/one") == before == desk.said("local/two")  # the same file twice
    assert desk.attached() == [one, two]


def test_a_full_deployment_says_so_and_who_is_the_oldest(desk: Desk) -> None:
    """Four fit; the fifth is refused with the oldest's name, and with force it takes its place."""
    models = [desk.model(f"a{number}") for number in range(5)]
    for model in models[:4]:
        desk.attach(model)
    with pytest.raises(RateLimitError, match="a0") as caught:
        desk.attach(models[4])
    body: Any = caught.value.body
    assert body["code"] == 8
    assert desk.attached() == models[:4]
    desk.attach(models[4], force=True)
    assert desk.attached() == models[1:]
    with pytest.raises(APIStatusError):
        desk.said("local/a0")


def test_an_adapter_is_pinned_to_another_revision(desk: Desk) -> None:
    """With the etag of what was read; an older etag is a conflict and changes nothing."""
    model = desk.model("one")
    made = desk.attach(model)
    newer = desk.upload(model)
    changed = desk.client.endpoints.adapters.update(
        made.id, **desk.at, adapter_revision_id=newer, etag=made.etag
    )
    assert changed.desired_revision_id == newer
    with pytest.raises(ConflictError):
        desk.client.endpoints.adapters.update(
            made.id, **desk.at, adapter_revision_id=made.desired_revision_id, etag=made.etag
        )
    seen = desk.client.endpoints.adapters.retrieve(made.id, **desk.at)
    assert (seen.desired_revision_id, seen.per_cluster[0].realized_revision_id) == (newer, newer)


def test_what_is_taken_off_answers_no_more(desk: Desk) -> None:
    """Its model can be deleted only then; the base answers on."""
    model = desk.model("one")
    made = desk.attach(model)
    with pytest.raises(BadRequestError, match="attached"):
        desk.client.models.delete(model)
    desk.client.endpoints.adapters.delete(made.id, **desk.at, etag=made.etag)
    with pytest.raises(NotFoundError):
        desk.client.endpoints.adapters.retrieve(made.id, **desk.at)
    with pytest.raises(NotFoundError):
        desk.said("local/one")
    assert desk.said("local/words")
    desk.client.models.delete(model)


def test_adapters_outlive_a_restart(home: Path) -> None:
    """Another process of the same home answers with them as before."""
    with running_engine(home) as engine:
        desk = Desk(engine)
        desk.attach(desk.model("one"))
        before = desk.said("local/one")
    with running_engine(home) as engine:
        client = strict_client(engine.url, engine.project)
        answer = client.chat.completions.create(
            model="local/one",
            messages=[{"role": "user", "content": "Who are you?"}],
            temperature=0,
            max_tokens=6,
        )
    assert answer.choices[0].message.content == before  # type: ignore[union-attr]


def test_a_deployment_without_slots_refuses_adapters(desk: Desk) -> None:
    """A configuration whose adapter mode is disabled takes none, and says what does."""
    own = desk.client.endpoints.deployments.create(
        desk.endpoint,
        name="own",
        model=WORDS.resource,
        config=WORDS.configs[1].resource,
        autoscaling={"min_replicas": 1, "max_replicas": 1},
    )
    with pytest.raises(BadRequestError, match="disabled"):
        desk.client.endpoints.adapters.create(
            endpoint_id=desk.endpoint, deployment_id=own.id, adapter_model_id=desk.model("one")
        )
