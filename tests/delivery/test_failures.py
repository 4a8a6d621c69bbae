"""Each way in which a delivery fails: its own error, nothing that bills, and a way to go on."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from lorry.delivery import Policy
from lorry.delivery.doubles import Fault, Ground, InstantDurable, memory_platform
from lorry.delivery.ports import HostedBase, ModelKind, Publication, Published
from lorry.errors import (
    Conflict,
    DeliveryTimeout,
    DeploymentFailed,
    DiskFull,
    InternalError,
    KeyRejected,
    ProofNoEffect,
    RevisionRejected,
    SourceChanged,
    SourceNotFound,
)
from lorry.model.names import provider_name
from lorry.model.placement import PlacementState
from lorry.model.report import Finding, Severity
from tests.delivery.conftest import Bench

ONE = {"models": 1, "revisions": 1, "endpoints": 1, "deployments": 1, "repos": 1}


async def test_a_refused_revision_names_all_reasons(bench: Bench) -> None:
    """Every reason of the platform is in the sentence and the evidence, and nothing was deployed."""
    bench.ground.reject = ("rank 3 is odd.", "alpha is missing.")
    with pytest.raises(RevisionRejected, match=r"rank 3 is odd\. alpha is missing\.") as caught:
        await bench.walk()
    assert caught.value.evidence["reasons"] == list(bench.ground.reject)
    assert bench.ground.counts()["endpoints"] == 0


async def test_a_refused_revision_is_uploaded_again(bench: Bench) -> None:
    """A new attempt after a refusal sends the files anew: the platform may judge better now."""
    bench.ground.reject = ("Not today.",)
    with pytest.raises(RevisionRejected):
        await bench.walk()
    refused = (await bench.placement()).ids.revision
    bench.ground.reject = ()
    placement = await bench.walk()
    assert placement.state is PlacementState.READY
    assert placement.ids.revision != refused


async def test_a_failed_deployment_says_the_platform_s_sentence(bench: Bench) -> None:
    """The platform's own words end the delivery; the next attempt replaces the dead deployment."""
    bench.ground.fail = "2 of 57 modules were not injected."
    with pytest.raises(DeploymentFailed, match="2 of 57 modules were not injected"):
        await bench.walk()
    dead = (await bench.placement()).ids.deployment
    bench.ground.fail = ""
    placement = await bench.walk()
    assert placement.ids.deployment != dead
    assert bench.ground.counts() == ONE


async def test_waiting_has_an_end(bench: Bench) -> None:
    """A deployment that never comes up is a timeout with its numbers; what was started is stopped."""
    bench.ground.looks = 10_000
    bench.policy = Policy(first_look=0.5, limits={"wait": 2.0, "validate": 1e9})
    bench.ground.faults.clear()
    with pytest.raises(DeliveryTimeout, match="its limit is 2 s") as caught:
        await bench.walk(_Validated(bench.ground))
    assert caught.value.retryable
    assert caught.value.evidence["waited"] == 2.0
    (deployment,) = bench.ground.things["deployments"].values()
    assert deployment["aim"] == "stop"


class _Validated(InstantDurable):
    """Lets validation pass at once, so that only the deployment is waited for."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self._ground = ground

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        for row in self._ground.things["revisions"].values():
            row["looks"] = 10_001


async def test_an_adapter_without_effect_is_not_ready(bench: Bench) -> None:
    """No effect ends as proof_no_effect: says what the check knows, keeps the pictures, stops the bill."""
    zero = Finding("VAL_ZERO_B_ALL", Severity.WARNING, "All 3 B matrices are zero.", "Train it.")
    plain = Finding("NOTE", Severity.INFO, "It is bf16.", "")
    bench.check.findings = (zero, plain)
    bench.ground.effect = 0
    with pytest.raises(ProofNoEffect, match=r"differs by 0\.00 .* All 3 B matrices are zero\.") as caught:
        await bench.walk()
    assert caught.value.fix == "Train it."
    assert [finding["code"] for finding in caught.value.evidence["findings"]] == ["VAL_ZERO_B_ALL"]
    placement = await bench.placement()
    assert placement.state is PlacementState.FAILED
    assert placement.proof is not None
    assert placement.proof.passed is False
    assert await asyncio.to_thread(Path(placement.proof.file_with).is_file)
    (deployment,) = bench.ground.things["deployments"].values()
    assert deployment["aim"] == "stop"
    assert [row["routed"] for row in bench.ground.things["endpoints"].values()] == [{}]
    assert (await bench.told())[-2:] == ["stop started", "stop done"]


async def test_a_failed_stop_is_told_with_the_first_error(bench: Bench) -> None:
    """When what bills can't be stopped, the first error stays, and says so in its evidence."""
    bench.ground.effect = 0
    bench.ground.faults.append(Fault("deployments.stop", KeyRejected("The key was revoked.")))
    with pytest.raises(ProofNoEffect) as caught:
        await bench.walk()
    assert caught.value.evidence["not_stopped"]["code"] == "key_rejected"
    assert (await bench.told("failed")) == ["prove failed", "stop failed"]


async def test_a_changed_file_is_not_delivered(bench: Bench, change: Callable[[bytes], None]) -> None:
    """A file that is another one by now is neither published nor uploaded."""
    before = bench.model
    change(b"other weights")
    with pytest.raises(SourceChanged, match=before.digest[:12]):
        await bench.walk(model=before)
    assert bench.ground.counts() == dict.fromkeys(ONE, 0)


async def test_a_missing_file_is_named(bench: Bench) -> None:
    """A file that is gone is told with its path."""
    before = bench.model
    bench.source.rename(bench.source.with_suffix(".gone"))
    with pytest.raises(SourceNotFound, match=r"tok\.safetensors"):
        await bench.walk(model=before)


async def test_a_stranger_s_model_is_a_conflict(bench: Bench) -> None:
    """A model record of our name without our mark is never used."""
    name = provider_name("tok", bench.model.digest)
    registry = memory_platform(bench.ground).registry
    await registry.create(name, HostedBase("ml_x", "x"), "made by hand", ModelKind.ADAPTER)
    with pytest.raises(Conflict, match="isn't Lorry's"):
        await bench.walk()
    assert len(bench.ground.things["models"]) == 1
    assert bench.ground.counts()["revisions"] == 0


async def test_a_stranger_s_endpoint_is_a_conflict(bench: Bench) -> None:
    """An endpoint of our name that serves another deployment is never used."""
    name = provider_name("tok", bench.model.digest)
    endpoint = await memory_platform(bench.ground).endpoints.create(name)
    bench.ground.things["deployments"]["dep_x"] = {
        "endpoint": endpoint.id,
        "name": "by-hand",
        "model": "ml_x",
        "resource": "projects/p/models/ml_x",
        "config": "",
        "revision": "rv_x",
        "aim": "run",
        "looks": 0,
        "fail": "",
    }
    with pytest.raises(Conflict, match="isn't Lorry's"):
        await bench.walk()
    assert set(bench.ground.things["deployments"]) == {"dep_x"}


class Broken:
    """A publisher with a fault that nobody foresaw."""

    async def publish(self, publication: Publication) -> Published:
        """Fail in an unforeseen way."""
        raise ZeroDivisionError(f"while publishing {publication.repo}")

    async def withdraw(self, repo: str) -> None:
        """Do nothing."""


async def test_a_fault_of_ours_is_an_error_too(bench: Bench) -> None:
    """An unforeseen exception in a step ends as internal_error with its type, not as a traceback."""
    bench.publisher = Broken()
    with pytest.raises(InternalError, match="ZeroDivisionError") as caught:
        await bench.walk()
    assert caught.value.evidence["step"] == "publish"


class Full(Broken):
    """A publisher on a full disk."""

    async def publish(self, publication: Publication) -> Published:
        """Find no space."""
        raise OSError(errno.ENOSPC, "No space left on device", publication.repo)


async def test_a_full_disk_is_told_as_such(bench: Bench) -> None:
    """No space within a step ends as disk_full, which can be resumed."""
    bench.publisher = Full()
    with pytest.raises(DiskFull, match="No space left"):
        await bench.walk()
    bench.publisher = None
    assert (await bench.walk()).state is PlacementState.READY
