"""The step that proves: measure, keep both answers, and explain when there is nothing to see."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from lorry.delivery.proofs import pictures, words
from lorry.delivery.proofs.keeping import write_whole
from lorry.delivery.proofs.trial import Answer, Evidence, Trial
from lorry.delivery.run import Done, Pending, Run
from lorry.errors import LorryError, NotRouted, ProofNoEffect, Stopped
from lorry.model.placement import PICTURE_UNIT, TEXT_UNIT, Proof
from lorry.model.report import Finding, Severity

#: Gives the way in which a run's route is asked, once it can be asked.
Trials = Callable[[Run], Awaitable[Trial[Answer]]]


def proofs_folder(home: Path, model: str) -> Path:
    """Say where the answers of a model's proof are kept."""
    return home / "proofs" / model


async def prove_pictures(run: Run, trials: Trials[bytes]) -> Done | Pending:
    """Prove that an adapter changes what is drawn.

    Raises:
        ProofNoEffect: It is loaded and changes nothing.
    """
    prompt = run.options.prompt or pictures.proof_prompt(run.model.trigger)

    async def measured() -> Evidence[bytes]:
        return await pictures.measure(await trials(run), prompt)

    return await _prove(run, measured, "picture", pictures.DEPLOYED_SCALE)


async def prove_words(run: Run, trials: Trials[str]) -> Done | Pending:
    """Prove that a model or an adapter changes what is said.

    Raises:
        ProofNoEffect: It is loaded and changes nothing.
    """
    asked = words.questions(run.model.trigger, run.options.prompt)

    async def measured() -> Evidence[str]:
        return await words.measure(await trials(run), asked)

    return await _prove(run, measured, "text", 1.0)


async def _prove(
    run: Run, measured: Callable[[], Awaitable[Evidence[Answer]]], kind: str, scale: float
) -> Done | Pending:
    try:
        evidence = await measured()
    except (NotRouted, Stopped) as error:
        # A traffic split is in force after about 30 s (Together API dossier 2.9).
        return Pending(f"The endpoint's traffic split is not in force yet: {error.message}")
    proof = await asyncio.to_thread(_keep, run, evidence, kind, scale)
    await run.save(proof=proof)
    if not proof.passed:
        raise await asyncio.to_thread(_no_effect, run, proof)
    return Done(_sentence(proof), data=proof.as_dict())


def _sentence(proof: Proof) -> str:
    if not proof.compared:
        return "It answers. Nothing here answers without it, so its effect could not be measured."
    what = "picture" if proof.kind == "picture" else "answer"
    return (
        f"With it and without it the {what} differs by {proof.difference:.1f} {proof.unit} "
        f"(needed: more than {proof.threshold:.1f}; noise: {proof.noise:.1f})."
    )


def _keep(run: Run, evidence: Evidence[Answer], kind: str, scale: float) -> Proof:
    folder = proofs_folder(run.world.home, run.model.name)
    folder.mkdir(parents=True, exist_ok=True)
    ending = "png" if kind == "picture" else "txt"
    stem = f"{run.model.digest[:8]}-seed{evidence.seed}"
    acting, without = folder / f"{stem}-with.{ending}", folder / f"{stem}-without.{ending}"
    write_whole(acting, _bytes(evidence.acting))
    if evidence.without is not None:
        write_whole(without, _bytes(evidence.without))
    return Proof(
        prompt=evidence.prompt,
        seed=evidence.seed,
        scale=scale,
        difference=evidence.difference,
        noise=evidence.noise,
        threshold=evidence.threshold,
        passed=evidence.passed,
        file_without=str(without) if evidence.without is not None else None,
        file_with=str(acting),
        kind=kind,
        unit=PICTURE_UNIT if kind == "picture" else TEXT_UNIT,
    )


def _bytes(answer: bytes | str) -> bytes:
    return answer.encode() if isinstance(answer, str) else answer


def forget_proofs(home: Path, model: str) -> None:
    """Delete what was kept of a model's proof."""
    shutil.rmtree(proofs_folder(home, model), ignore_errors=True)


def _no_effect(run: Run, proof: Proof) -> ProofNoEffect:
    reasons = _reasons(run)
    why = " ".join(finding.message for finding in reasons) or "The check of the file found no reason."
    what = "picture" if proof.kind == "picture" else "answer"
    return ProofNoEffect(
        f"{run.model.name} is loaded and changes nothing: with it and without it the {what} differs by "
        f"{proof.difference:.2f} {proof.unit}, and more than {proof.threshold:.2f} is needed. {why}",
        fix=reasons[0].fix if reasons else None,
        evidence={"proof": proof.as_dict(), "findings": [finding.as_dict() for finding in reasons]},
    )


def _reasons(run: Run) -> tuple[Finding, ...]:
    """Give what the check knows about why: everything that it warns of."""
    try:
        report = run.place.check(Path(run.model.source))
    except LorryError:  # the file may be gone by now; the proof stands without it
        return ()
    return tuple(finding for finding in report.findings if finding.severity is not Severity.INFO)
