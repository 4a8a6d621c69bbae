"""Convert a file: plan, write, prove, check; at the end the result is in its place, or nothing is.

How it works: the header is read and a plan is made of it; the layers are made one by one and written beside
the place where the result belongs; the result is read again and compared with the source module by module,
then checked as any file is. Only a result without errors moves to its place. Memory holds the largest fused
layer, not the file.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lorry.errors import ConversionFailed, ConversionRefused, OptionInvalid, SourceChanged
from lorry.model.report import WeightsReport
from lorry.weights.catalogue import StructureFault
from lorry.weights.convert.layouts import SPELLINGS
from lorry.weights.convert.options import Conversion, Layout, Losses, Options
from lorry.weights.convert.planning import Plan, plan_for
from lorry.weights.convert.producing import CONFIG, Product, produce
from lorry.weights.convert.proving import Result, compared, judged
from lorry.weights.convert.reading import Given, read_given
from lorry.weights.convert.writing import staged
from lorry.weights.files.source import FileSource
from lorry.weights.judging.context import Context
from lorry.weights.origins.folder import BESIDE, FolderListing, locate
from lorry.weights.preflight import check, inspect

#: Words in names of files that diffusers skips in a folder (LoRA formats dossier, section 1.4).
_SKIPPED = ("checkpoint", "optimizer", "scheduler")
#: Findings about diffusers' loader, which files for other loaders are not written for.
_OF_DIFFUSERS = frozenset({"KEYS_PREFIX", "ALPHA_DROPPED"})


def convert(source: Path, out: Path, options: Options | None = None) -> Conversion:
    """Write an adapter in another layout, with the same strength.

    Args:
        source: A .safetensors file, or the folder that holds it.
        out: The file to write (`.safetensors`), or the folder to put it in under the name that loaders know.
        options: What is asked for; the layout that most loaders take when omitted.

    Raises:
        SourceNotFound: The source does not exist or can't be read.
        WeightsRejected: The folder holds no weights file, or several without a choice.
        OptionInvalid: The place is taken, or an option does not fit.
        ConversionRefused: It can't be done, or not without losing something; with every reason.
        StrengthChanged: The result would act otherwise than the source; nothing was kept.
        ConversionFailed: The result did not pass the check; nothing was kept.
        SourceChanged: The source was changed meanwhile; nothing was kept.
        DiskFull: No space is left; nothing was kept.
        NotWritable: The place can't be written.
    """
    options = options or Options()
    file = locate(source)
    context = _context(source, file, options.base)
    with FileSource(file) as opened:
        try:
            given = read_given(opened, context, options)
            plan = plan_for(given, options)
            targets = _targets(out, file, plan.layout)
            before = inspect(opened, context, values=False)
            with staged(targets, force=options.force) as stage:
                made = stage / targets[-1].name
                product = produce(given, plan, options, made)
                losses, change = _proved(given, plan, product, made)
                after = _checked(made, given, plan)
                if not opened.unchanged():
                    message = f"{file} was changed while it was converted."
                    raise SourceChanged(message, fix="Wait until nobody writes to it, and convert again.")
        except StructureFault as broken:
            raise ConversionRefused(broken.finding.message, fix=broken.finding.fix) from None
    return Conversion(
        out,
        targets[-1],
        plan.layout,
        product.steps,
        len(plan.sources),
        len(plan.outputs),
        losses,
        before.summary,
        replace(after.summary, path=str(out), file=str(targets[-1])),
        after.summary.digest or "",
        change,
    )


def _context(source: Path, file: Path, base: str | None) -> Context:
    return Context(str(source), str(file), FolderListing(file.parent, BESIDE), file.name, base)


def _targets(out: Path, file: Path, layout: Layout) -> tuple[Path, ...]:
    """Name the files to write, the weights last."""
    if out.suffix.lower() == ".safetensors" and not out.is_dir():
        if layout is Layout.PEFT:
            message = f"{out} is one file; a PEFT adapter also needs its {CONFIG}."
            raise OptionInvalid(message, fix=f"Name a folder, for example `-o {out.with_suffix('')}`.")
        return (out,)
    name = SPELLINGS[layout].file
    if name is None:
        stem = file.stem
        for word in _SKIPPED:
            stem = stem.replace(word, "weights")
        name = f"{stem}.safetensors"
    return (out / CONFIG, out / name) if layout is Layout.PEFT else (out / name,)


def _proved(given: Given, plan: Plan, product: Product, made: Path) -> tuple[Losses | None, float]:
    """Read the result as any file is read, and compare it with the source module by module."""
    with FileSource(made) as opened:
        try:
            again = read_given(opened, _context(made, made, None), _AS_IT_IS)
        except ConversionRefused as refused:
            raise ConversionFailed(f"The result can't be read: {refused.message}") from refused
        result = Result(again, plan)
        return judged(tuple(compared(given, plan, result, product.allowances)))


_AS_IT_IS = Options()


def _checked(made: Path, given: Given, plan: Plan) -> WeightsReport:
    """Check the result as any file is checked.

    Raises:
        ConversionFailed: It has errors.
    """
    report = check(made, base=given.fit.family.key if given.fit else None, clock=None)
    ignored = _OF_DIFFUSERS if plan.layout is not Layout.DIFFUSERS else frozenset()
    errors = [found for found in report.errors if found.code not in ignored]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        message = f"The result does not pass the check: {errors[0].message}{more}"
        evidence = {"findings": [found.as_dict() for found in errors]}
        raise ConversionFailed(message, fix=errors[0].fix, evidence=evidence)
    return report
