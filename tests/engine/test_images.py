"""Pictures: targets, adapters and their strengths, sizes and forms."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from lorry.engine.clock import ManualClock
from lorry.engine.renderers.flat import FlatRenderer
from lorry.engine.renderers.port import Feed
from tests.engine.conftest import opened
from tests.engine.samples import Api, write_adapter

BASE = "lorry/flux-icons-64"


def pixels(answer: Any, index: int = 0) -> npt.NDArray[np.int64]:
    """Decode one picture of an answer."""
    assert answer.status_code == 200, answer.text
    data = base64.b64decode(answer.json()["data"][index]["b64_json"])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(np.int64)


def difference(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> float:
    return float(np.abs(one - other).mean())


def test_a_deployed_adapter_acts_and_its_scale_can_be_set(api: Api, weights: Path) -> None:
    """At 1.0 by default; scale 0 gives the base's picture; its name may be any that it has."""
    endpoint, deployment = api.served(weights, "lorry-tok")
    model = api.done("GET", "/models")["data"][0]["id"]
    base = pixels(api.pictures(BASE, output_format="png"))
    full = pixels(api.pictures("local/lorry-tok", output_format="png"))
    assert difference(base, full) == 128
    for name in ("local/lorry-tok", "lorry-tok", model, f"projects/proj_local/models/{model}"):
        for scale in (0, 0.5, 1):
            loras = [{"path": name, "scale": scale}]
            drawn = pixels(api.pictures("local/lorry-tok", output_format="png", image_loras=loras))
            assert np.unique((drawn - base) % 256).tolist() == [128 * scale]
    pinned = pixels(api.pictures("local/lorry-tok/one", output_format="png"))
    assert difference(full, pinned) == 0
    assert endpoint["trafficSplit"] == [{"deploymentId": deployment["id"], "weight": 1}]


def test_adapters_of_the_project_act_on_the_base(api: Api, tmp_path: Path) -> None:
    """On the base's public id a model's name puts its adapter on, up to two at a time."""
    for number in (1, 2, 3):
        api.adapter(f"m{number}", weights=write_adapter(tmp_path / str(number), seed=number))
    base = pixels(api.pictures(BASE, output_format="png"))
    half = [{"path": f"local/m{number}", "scale": 0.25} for number in (1, 2, 3)]
    two = pixels(api.pictures(BASE, output_format="png", image_loras=half[:2]))
    assert np.unique((two - base) % 256).tolist() == [64]
    refused = api.pictures(BASE, image_loras=half)
    assert (refused.status_code, "2 is the most" in refused.json()["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    "path", ["local/none", "owner/none", "https://example.org/x.safetensors", "file:///etc/passwd", "x"]
)
def test_an_adapter_from_elsewhere_is_refused(api: Api, path: str) -> None:
    """Nothing is fetched: what is neither a model here nor on this Hub is a 400 that says so."""
    answer = api.pictures(BASE, image_loras=[{"path": path, "scale": 1}])
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "image_loras"


def test_an_adapter_that_did_not_pass_can_not_be_used(api: Api) -> None:
    """A model without a valid revision is a 400."""
    model = api.model("bad")["id"]
    api.upload(model, {"w.safetensors": b"<html>"})
    assert api.pictures(BASE, image_loras=[{"path": "local/bad", "scale": 1}]).status_code == 400


def test_targets_that_do_not_answer_say_why(api: Api, weights: Path) -> None:
    """Unknown is 404; without traffic, and stopped, are 400 with Together's codes (dossier 5.2)."""
    endpoint, deployment = api.served(weights)

    def refusal(model: str) -> tuple[int, str]:
        answer = api.pictures(model)
        return answer.status_code, answer.json()["error"]["code"]

    assert refusal("local/none") == (404, "model_not_available")
    assert refusal("tok") == (404, "model_not_available")
    assert refusal("local/tok/none") == (404, "model_not_available")
    api.route(endpoint["id"], {deployment["id"]: 0})
    assert refusal("local/tok") == (400, "endpoint_not_configured")
    api.route(endpoint["id"], {deployment["id"]: 1})
    api.scale(endpoint["id"], deployment["id"], 0)
    assert refusal("local/tok") == (400, "dedicated_endpoint_not_running")
    assert refusal("local/tok/one") == (400, "dedicated_endpoint_not_running")


def test_n_pictures_have_seeds_in_a_row(api: Api) -> None:
    """Picture i of several is the one that `seed + i` gives alone; the same request gives the same."""
    several = api.pictures(BASE, seed=5, n=4, output_format="png")
    assert [row["seed"] for row in several.json()["data"]] == [5, 6, 7, 8]
    for index in range(4):
        alone = api.pictures(BASE, seed=5 + index, output_format="png")
        assert difference(pixels(several, index), pixels(alone)) == 0


def test_without_a_seed_it_is_told(api: Api) -> None:
    """A request without a seed gets one, and the answer says which, so that it can be repeated."""
    row = api.pictures(BASE, seed=None, output_format="png").json()["data"][0]
    again = api.pictures(BASE, seed=row["seed"], output_format="png").json()["data"][0]
    assert again["b64_json"] == row["b64_json"]


@pytest.mark.parametrize(
    ("given", "edge"), [({}, 64), ({"width": 512, "height": 512}, 512), ({"width": 72}, 72)]
)
def test_pictures_have_the_size_that_was_asked_for(api: Api, given: dict[str, Any], edge: int) -> None:
    """Squares in multiples of 8 up to 1920, 64 by default."""
    assert pixels(api.pictures(BASE, **given)).shape == (edge, edge, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 64, "height": 128},
        {"width": 65, "height": 65},
        {"width": 56, "height": 56},
        {"width": 1928, "height": 1928},
        {"n": 0},
        {"n": 5},
        {"steps": 0},
        {"steps": 51},
        {"seed": -1},
        {"seed": 2**63},
        {"prompt": ""},
        {"preview_id": "../x"},
        {"response_format": "text"},
        {"output_format": "gif"},
        {"guidance_scale": -1},
        {"image_loras": [{"path": "x"}]},
    ],
)
def test_what_can_not_be_drawn_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    """Every value outside its bounds is a 400 with a sentence, in the form of /v1."""
    answer = api.pictures(BASE, **wrong)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(("form", "magic"), [("png", b"\x89PNG"), ("jpeg", b"\xff\xd8"), (None, b"\xff\xd8")])
def test_pictures_come_as_addresses_too(api: Api, form: str | None, magic: bytes) -> None:
    """An address serves the same picture without a key; an unknown one is 404."""
    answer = api.pictures(BASE, response_format="url", output_format=form)
    row = answer.json()["data"][0]
    assert (row["type"], row["index"]) == ("url", 0)
    picture = api.client.get(row["url"])
    assert picture.content.startswith(magic)
    assert picture.headers["content-type"] == f"image/{form or 'jpeg'}"
    assert api.client.get(row["url"].replace("pictures/", "pictures/0")).status_code == 404


def test_many_requests_at_once_are_all_answered(api: Api, weights: Path) -> None:
    """Requests that come while one is drawn wait for their turn, and each gets its own picture."""
    api.served(weights)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda seed: api.pictures("local/tok", seed=seed), range(24)))
    assert [answer.json()["data"][0]["seed"] for answer in answers] == list(range(24))


def test_an_endpoint_counts_its_requests(api: Api, weights: Path) -> None:
    """Analytics count what was answered and what was refused, whole and per deployment."""
    endpoint, deployment = api.served(weights)
    assert api.pictures("local/tok", n=2).status_code == 200
    assert api.pictures("local/tok", image_loras=[{"path": "local/none", "scale": 1}]).status_code == 400
    answer = api.done("GET", f"/endpoints/{endpoint['id']}/analytics", includeTimeSeries="true")
    requests = answer["metrics"]["requestMetrics"]
    assert requests["totalRequests"] == "2"
    assert requests["requestsByStatusCode"] == {"200": "1", "400": "1"}
    assert answer["metrics"]["errorMetrics"]["errorRate"] == 50
    assert answer["metrics"]["latencyMetrics"]["latencyP50Ms"] > 0
    (row,) = answer["deploymentAnalytics"]
    assert row["deploymentId"] == deployment["id"]
    assert [point["values"]["pictures"] for point in answer["timeSeries"]] == [2]
    path = f"/endpoints/{endpoint['id']}/analytics"
    assert api.ask("GET", path, granularity="1 day").status_code == 400
    assert api.ask("GET", path, startTime="2026-01-02", endTime="2026-01-01").status_code == 400


def test_what_was_measured_is_told_to_prometheus(api: Api, weights: Path) -> None:
    """After a picture with an adapter: how it ended, where the adapter was found, what is in memory."""
    api.served(weights)
    assert api.pictures("local/tok").status_code == 200
    assert api.client.get("/metrics").status_code == 401
    page = api.client.get("/metrics", headers={"Authorization": "Bearer any"}).text
    for line in (
        'lorry_engine_pictures_total{outcome="drawn"} 1.0',
        'lorry_engine_adapters_found_total{tier="disk"} 1.0',
        'lorry_engine_adapters_resident{tier="device"} 1.0',
        "lorry_engine_batch_size_count 1.0",
        "process_resident_memory_bytes",
    ):
        assert line in page


def test_memory_that_runs_out_is_told_over_http(home: Path, clock: ManualClock) -> None:
    """503 with the code and what to do, and the engine goes on."""

    class Small(FlatRenderer):
        def draw(self, feed: Feed) -> None:
            tickets = feed.take(())
            if any(ticket.request.prompt == "huge" for ticket in tickets):
                raise MemoryError
            for ticket in tickets:
                feed.finish(ticket, self._draw(ticket.request))

    with opened(home, clock, renderer=Small) as api:
        answer = api.pictures(BASE, prompt="huge")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_out_of_memory")
        assert api.pictures(BASE).status_code == 200
