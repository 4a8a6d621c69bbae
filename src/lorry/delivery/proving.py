"""The step that proves: measure, keep both pictures, and explain when there is nothing to see."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

from lorry.delivery.mending import Check
from lorry.delivery.proof import DEPLOYED_SCALE, Evidence, measure, proof_prompt
from lorry.delivery.run import Done, Pending, Run
from lorry.errors import LorryError, ProofNoEffect, RequestRefused
from lorry.model.placement import Proof
from lorry.model.report import Finding, Severity

#: What an endpoint says until its traffic split is in force, about 30 s (Together API dossier 2.9).
_NOT_ROUTED_YET = ("endpoint_not_configured", "dedicated_endpoint_not_running", "routing_error")


def proofs_folder(home: Path, model: str) -> Path:
    """Say where the pictures of a model's proof are kept."""
    return home / "proofs" / model


async def prove(run: Run, check: Check) -> Done | Pending:
    """Prove that the deployed adapter changes what is drawn.

    Args:
        run: Whose adapter.
        check: Reads the file again, to say why when nothing changes.

    Raises:
        ProofNoEffect: It is loaded and changes nothing.
    """
    ids = (await run.placement()).ids
    prompt = proof_prompt(run.model.trigger)
    try:
        evidence = await measure(
            run.world.platform.painter, ids.endpoint_name or run.name, ids.adapter_name, prompt
        )
    except RequestRefused as error:
        if not _waits_for_routing(error):
            raise
        return Pending(f"The endpoint's traffic split is not in force yet: {error.message}")
    proof = await asyncio.to_thread(_keep, run, evidence)
    await run.save(proof=proof)
    if not proof.passed:
        raise await asyncio.to_thread(_no_effect, run, proof, check)
    message = (
        f"With it and without it the picture differs by {proof.difference:.1f} of 255 levels "
        f"(needed: more than {proof.threshold:.1f}; noise: {proof.noise:.1f})."
    )
    return Done(message, data=proof.as_dict())


def _waits_for_routing(error: RequestRefused) -> bool:
    said = f"{error.evidence.get('code', '')} {error.evidence.get('platform_code', '')}"
    return any(code in said for code in _NOT_ROUTED_YET)


def _keep(run: Run, evidence: Evidence) -> Proof:
    folder = proofs_folder(run.world.home, run.model.name)
    folder.mkdir(parents=True, exist_ok=True)
    without = folder / f"{run.model.digest[:8]}-seed{evidence.seed}-without.png"
    with_adapter = folder / f"{run.model.digest[:8]}-seed{evidence.seed}-with.png"
    _write(without, evidence.without)
    _write(with_adapter, evidence.with_adapter)
    return Proof(
        prompt=evidence.prompt,
        seed=evidence.seed,
        scale=DEPLOYED_SCALE,
        difference=evidence.difference,
        noise=evidence.noise,
        threshold=evidence.threshold,
        passed=evidence.passed,
        picture_without=str(without),
        picture_with=str(with_adapter),
    )


def _write(file: Path, content: bytes) -> None:
    """Write a file so that it is either whole or not there."""
    descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=".draft-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def forget_proofs(home: Path, model: str) -> None:
    """Delete the pictures of a model's proof."""
    shutil.rmtree(proofs_folder(home, model), ignore_errors=True)


def _no_effect(run: Run, proof: Proof, check: Check) -> ProofNoEffect:
    reasons = _reasons(run, check)
    why = " ".join(finding.message for finding in reasons) or "The check of the file found no reason."
    return ProofNoEffect(
        f"{run.model.name} is loaded and changes nothing: with it and without it the picture differs by "
        f"{proof.difference:.2f} of 255 levels, and more than {proof.threshold:.2f} is needed. {why}",
        fix=reasons[0].fix if reasons else None,
        evidence={"proof": proof.as_dict(), "findings": [finding.as_dict() for finding in reasons]},
    )


def _reasons(run: Run, check: Check) -> tuple[Finding, ...]:
    """Give what the check knows about why: everything that it warns of."""
    try:
        report = check(Path(run.model.source))
    except LorryError:  # the file may be gone by now; the proof stands without it
        return ()
    return tuple(finding for finding in report.findings if finding.severity is not Severity.INFO)
