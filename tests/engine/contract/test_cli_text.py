"""The unmodified official CLI drives text models: attached, compared, listened to, rolled out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lorry.engine.testing import RunningEngine
from tests.engine.contract.test_cli import Tg, tg  # noqa: F401 - the fixture
from tests.engine.samples import WORDS
from tests.engine.strict import strict_client

DISPATCH = Path(__file__).parents[3] / "examples" / "dispatch"
OWN = ("--config", "cr_smollm2_135m")


def shown(tg: Tg) -> Any:  # noqa: F811 - the fixture's value
    """Read the endpoint with all that belongs to it."""
    return tg.json("endpoints", "get", "words")


def uploaded(tg: Tg) -> str:  # noqa: F811
    """Create the sample adapter's record, and upload its files."""
    made = tg.json("models", "create", "dispatch", "--base-model", WORDS.name, "--type", "adapter")
    tg("models", "upload", made["id"], str(DISPATCH))
    return str(made["id"])


def said(engine: RunningEngine, model: str) -> str | None:
    """Ask a model who it is, through the strict client."""
    with strict_client(engine.url, engine.project) as client:
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Who are you?"}], temperature=0, max_tokens=8
        )
    return answer.choices[0].message.content  # type: ignore[union-attr]


def test_an_attached_adapter_and_its_end(engine: RunningEngine, tg: Tg) -> None:  # noqa: F811
    """Deploying with --attach-adapter makes the base's deployment and attaches; rm takes it off again."""
    model = uploaded(tg)
    assert len(tg.json("models", "configs", WORDS.name)["data"]) == 2
    told = tg(
        "endpoints",
        "deploy",
        "local/dispatch",
        "--endpoint",
        "words",
        "--attach-adapter",
        "--traffic-weight",
        "1",
    )
    assert "attached" in told
    (deployment,) = shown(tg)["deployments"]
    assert said(engine, "local/words:local/dispatch") == said(engine, "local/dispatch")
    assert said(engine, "local/dispatch") != said(engine, "local/words")
    with strict_client(engine.url, engine.project) as client:
        at = {"endpoint_id": shown(tg)["id"], "deployment_id": deployment["id"]}
        (attached,) = client.endpoints.adapters.list(**at)
        assert client.endpoints.adapters.retrieve(attached.id, **at).adapter_model_id == model
    tg.json("endpoints", "rm", attached.id)
    with strict_client(engine.url, engine.project) as client:
        assert list(client.endpoints.adapters.list(**at)) == []
    tg.json("endpoints", "rm", shown(tg)["id"], "--force")
    tg.json("models", "rm", model)
    assert engine.counts()["deployments"] == engine.counts()["models"] == 0


def test_a_merged_adapter_answers_by_its_endpoint(engine: RunningEngine, tg: Tg) -> None:  # noqa: F811
    """Deploying with --merge gives the adapter a deployment of its own, which differs from the base."""
    uploaded(tg)
    tg(
        "endpoints",
        "deploy",
        "local/dispatch",
        "--endpoint",
        "words",
        "--merge",
        *OWN,
        "--traffic-weight",
        "1",
    )
    assert said(engine, "local/words") != said(engine, WORDS.name)


def test_variants_shadows_and_a_rollout(engine: RunningEngine, tg: Tg) -> None:  # noqa: F811
    """ab, shadow and rollout of the CLI, each seen in the endpoint, and each taken back or completed."""
    tg("endpoints", "deploy", WORDS.name, "--endpoint", "words", *OWN, "--traffic-weight", "1")
    (control,) = shown(tg)["deployments"]
    tg("endpoints", "ab", WORDS.name, "--control", control["id"], "--percent", "10", *OWN)
    tg("endpoints", "shadow", WORDS.name, "--endpoint", "words", "--rate", "0.1", *OWN)
    seen = shown(tg)
    assert sorted(row["percent"] for row in seen["ab"][0]["members"]) == [10, 90]
    assert seen["shadows"][0]["state"] == "SHADOW_EXPERIMENT_STATE_ACTIVE"
    tg.json("endpoints", "rm", seen["ab"][0]["id"])
    tg.json("endpoints", "rm", seen["shadows"][0]["id"])
    assert (shown(tg)["ab"], shown(tg)["shadows"]) == ([], [])
    target = next(row["id"] for row in seen["deployments"] if row["id"] != control["id"])
    begun = tg.json("endpoints", "rollout", target, "--canary", "--interval", "1s")
    assert shown(tg)["rollout"] is not None
    tg.json("endpoints", "rollout", "words", "--promote")
    after = shown(tg)
    assert [row["deploymentId"] for row in after["trafficSplit"]] == [target]
    assert after["rollout"] is None
    assert begun
    events = tg.json("endpoints", "events", "words")["data"]
    assert any(event["type"] == "rollout.updated" for event in events)
    tg.json("endpoints", "rm", after["id"], "--force")
    assert engine.counts()["endpoints"] == 0


def test_the_catalog_as_the_cli_shows_it(engine: RunningEngine, tg: Tg) -> None:  # noqa: F811
    """Public models, their configurations, and an endpoint's list are read by the CLI's own tables."""
    assert WORDS.name in tg("models", "public", "--search", "smol")
    assert "cr_smollm2_135m" in tg("models", "configs", WORDS.name)
    assert tg.json("endpoints", "ls")["data"] == []
    assert engine.counts()["models"] == 0
