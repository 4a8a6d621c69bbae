"""Files that the platform fetches by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorry.delivery.ports import Import, ImportState, ModelKind, Platform, Publication, RevisionState
from lorry.engine.testing import RunningEngine
from lorry.errors import ImportFailed, NotThere
from lorry.hub import HubPublisher
from tests.engine.language.adapters import write_adapter
from tests.platforms.text.hosting import BASE, KEY, files_of, validated

# huggingface_hub sends bytes in a way that its own HTTP client warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


async def _ended(platform: Platform, model: str) -> Import:
    for _ in range(10):
        newest, *_ = await platform.registry.imports(model)
        if newest.state is not ImportState.RUNNING:
            return newest
    raise AssertionError("it is running after ten looks")


async def test_the_platform_fetches_a_repository_by_itself(
    platform: Platform, engine: RunningEngine, tmp_path: Path
) -> None:
    """From the engine's own Hub: a job that runs, ends, and leaves a revision that is validated.

    What stands behind the address's `?` is not in what is told of the job.
    """
    files = tuple(files_of(write_adapter(tmp_path / "tok")))
    publisher = HubPublisher(engine.url, KEY, xet=False)
    published = await publisher.publish(Publication("tok", files, BASE, None, "0" * 64))
    base = await platform.registry.base(BASE)
    model = await platform.registry.create("tok", base, "", ModelKind.ADAPTER)
    address = f"{engine.url}/{published.repo}"
    job = await platform.registry.fetch(model.id, f"{address}?token=secret", "hf_" + "a" * 34)
    assert (job.model, job.source, job.state) == (model.id, address, ImportState.RUNNING)
    assert job.said == "REMOTE_UPLOAD_STATUS_PENDING"
    done = await _ended(platform, model.id)
    assert (done.id, done.state, done.fault) == (job.id, ImportState.DONE, None)
    assert (await validated(platform, model.id)).state is RevisionState.VALID


async def test_a_source_that_is_not_there_fails_with_its_reason(
    platform: Platform, engine: RunningEngine
) -> None:
    """A failed job has the platform's sentence and the error that it is; another model has no job."""
    base = await platform.registry.base(BASE)
    model = await platform.registry.create("tok", base, "", ModelKind.ADAPTER)
    other = await platform.registry.create("other", base, "", ModelKind.ADAPTER)
    first = await platform.registry.fetch(model.id, f"{engine.url}/local/nothing", None)
    failed = await _ended(platform, model.id)
    assert (failed.id, failed.state, failed.fault) == (first.id, ImportState.FAILED, ImportFailed)
    assert "local/nothing" in failed.message
    assert await platform.registry.imports(other.id) == ()
    with pytest.raises(NotThere):
        await platform.registry.fetch("ml_none", f"{engine.url}/local/nothing", None)
