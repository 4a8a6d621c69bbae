"""The embedded engine plays the service: probed, saved, and served again to our own client."""

from __future__ import annotations

from pathlib import Path

from lorry.engine.testing import running_engine
from lorry.errors import Unreachable
from lorry.platforms.probing import Outcome, probe, save
from lorry.platforms.probing.replay import Replay
from lorry.platforms.together.connection import open_connection
from tests.platforms.wire import serving

_KEY = "any-key-of-the-engine"


async def test_the_engine_is_probed_like_the_service(home: Path, tmp_path: Path) -> None:
    """The engine answers the questions; what it lacks is told and ends nothing, and nothing is made there."""
    with running_engine(home) as engine:
        before = engine.counts()
        found = await probe(engine.url, _KEY)
        assert engine.counts() == before
        save(found.replies, tmp_path / "answers", (_KEY,))
    outcome = {each.belief.name: each.outcome for each in found.compared}
    assert outcome["key"] is Outcome.SAME
    assert outcome["v1-models-form"] is Outcome.SAME
    assert outcome["catalogue-fields"] is Outcome.SAME
    assert outcome["instance-type-fields"] is Outcome.SAME
    assert found.replies["supported-models"].status == 200
    assert _KEY not in "".join(file.read_text() for file in (tmp_path / "answers").iterdir())


async def test_the_official_client_runs_over_saved_answers(home: Path, tmp_path: Path) -> None:
    """A client finds its project, the catalogue and the configurations in what was saved."""
    with running_engine(home) as engine:
        save((await probe(engine.url, _KEY)).replies, tmp_path, (_KEY,))
    async with serving(Replay(tmp_path)) as url:
        opened = open_connection(url, "another-key", project=None, unreachable=Unreachable, timeout=20)
        async with opened as connection:
            project = await connection.project()
            models = [model async for model in connection.client.models.list_supported(limit=500)]
            base = next(model for model in models if model.deployment_profiles)
            configs = [
                config
                async for config in connection.client.models.configs.list(
                    project_id=project, reference_model=base.base_model
                )
            ]
    assert project.startswith("proj_")
    assert len(models) >= 1
    assert len(configs) >= 1
