"""The one renderer: opened late, shared safely, and kept free of what nobody uses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lorry.engine.clock import ManualClock
from lorry.engine.drawing.port import Needed
from lorry.engine.drawing.serving import Serving
from lorry.engine.hub.storage import stored
from lorry.engine.renderers.port import AdapterUse, Feed, ReadAdapter, RenderRequest
from lorry.engine.testing import FlatRenderer
from lorry.engine.together.remote_uploads import parse_source
from tests.engine.conftest import opened


class Jealous(FlatRenderer):
    """A renderer that notices when two draw with it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = 0
        self.most = 0
        self.reads = 0

    def read(self, path: Path) -> ReadAdapter:
        """Count."""
        self.reads += 1
        return super().read(path)

    def draw(self, feed: Feed) -> None:
        """Count who is inside."""
        self.inside += 1
        self.most = max(self.most, self.inside)
        super().draw(feed)
        self.inside -= 1


async def test_requests_wait_for_each_other() -> None:
    """Never more than one is in the renderer, all are answered, and each gets its own picture."""
    renderer = Jealous()
    serving = Serving(lambda: renderer)
    answers = await asyncio.gather(*(serving.render([RenderRequest(str(n), n)]) for n in range(20)))
    assert renderer.most == 1
    assert len({answer[0].tobytes() for answer in answers}) == 20
    serving.close()


async def test_the_renderer_is_opened_once_and_late(weights: Path) -> None:
    """Nothing is opened before it is needed, nor twice."""
    openings: list[FlatRenderer] = []

    def open_one() -> FlatRenderer:
        openings.append(FlatRenderer())
        return openings[-1]

    serving = Serving(open_one)
    assert openings == []
    serving.warm_up()
    await serving.render([RenderRequest("a", 1)])
    serving.keep(Needed("a", weights))
    assert len(openings) == 1
    serving.close()


async def test_an_adapter_that_is_known_is_not_read_again(weights: Path) -> None:
    """A visitor that is deployed, and one that comes again, is read once; released, it is forgotten."""
    renderer = Jealous()
    serving = Serving(lambda: renderer)
    needed = Needed("a", weights)
    for _ in range(3):
        await serving.render([RenderRequest("a", 1, adapters=(AdapterUse("a"),))], [needed])
    serving.keep(needed)
    assert renderer.reads == 1
    assert serving.loaded() == {"a"}
    serving.release("a")
    serving.release("a")
    assert serving.loaded() == frozenset()
    serving.close()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("owner/name", ("owner/name", "main")),
        ("http://here:1/owner/name", ("owner/name", "main")),
        ("http://here:1/owner/name/tree/abc", ("owner/name", "abc")),
        ("owner/name/tree/abc", ("owner/name", "abc")),
        ("http://there:1/owner/name", None),
        ("ftp://here:1/owner/name", None),
        ("http://here:1@there/owner/name", None),
        ("owner", None),
        ("owner/name/more", None),
        ("", None),
    ],
)
def test_a_source_is_a_repository_of_this_hub_or_nothing(text: str, place: tuple[str, str] | None) -> None:
    """Only this engine's own host, or no host at all, names a source."""
    assert parse_source(text, "here:1") == place


def test_an_adapter_on_the_hub_acts_on_the_base(home: Path, clock: ManualClock, weights: Path) -> None:
    """A repository, its file and its address all name the same adapter."""
    base = "lorry/flux-icons-64"
    with opened(home, clock) as api:
        hub = api.hub
        hub.create("ann/tok", private=False)
        blob = hub.works.blobs.put(weights.read_bytes())
        hub.advance("ann/tok", "weights", "", [stored("w.safetensors", blob.sha256, blob.size)], [], None)
        plain = api.pictures(base).json()["data"][0]["b64_json"]
        drawn = []
        for path in (
            "ann/tok",
            "ann/tok/w.safetensors",
            "http://engine.test/ann/tok",
            "http://engine.test/ann/tok/resolve/main/w.safetensors",
        ):
            answer = api.pictures(base, image_loras=[{"path": path, "scale": 1}])
            assert answer.status_code == 200, answer.text
            drawn.append(answer.json()["data"][0]["b64_json"])
        assert len(set(drawn)) == 1
        assert drawn[0] != plain
        for path in ("ann/tok/none.safetensors", "ann/none", "http://other.test/ann/tok"):
            assert api.pictures(base, image_loras=[{"path": path, "scale": 1}]).status_code == 400
