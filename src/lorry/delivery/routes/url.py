"""An image LoRA by its address, on a base that everybody shares: `together-url`. Nothing is uploaded."""

from __future__ import annotations

from lorry.delivery.place import SharedBase
from lorry.delivery.plan import Plan
from lorry.delivery.proofs.proving import prove_pictures
from lorry.delivery.proofs.trials import fetched_adapter
from lorry.delivery.routes.common import known
from lorry.delivery.routes.ending import ready_step
from lorry.delivery.routes.files import publish
from lorry.delivery.routes.forecasts import Draft
from lorry.delivery.routes.removing import closing_steps
from lorry.delivery.run import Done, Run, Step
from lorry.delivery.source import files_of
from lorry.errors import BaseNotServed, LorryError, OptionInvalid
from lorry.model.forecast import Forecast, Price


def plan() -> Plan:
    """Give the plan of this route."""
    return Plan(
        ship=(
            Step("publish", "Publishing the files to the Hub.", publish, when=_publishes, heavy=True),
            Step("address", "Making sure that the platform can be given its address.", _address),
            Step("prove", "Proving that the adapter acts.", lambda run: prove_pictures(run, fetched_adapter)),
            ready_step(),
        ),
        retire=closing_steps(),
        begin=_begin,
        serves=_serves,
        halt=_halt,
        forecast=_forecast,
    )


def _publishes(run: Run) -> bool:
    return run.options.address is None


def _base(run: Run) -> SharedBase:
    """Find the base that takes the adapter; a LoRA never goes onto a base of another family.

    Raises:
        BaseNotServed: The route has none of its family.
    """
    found = run.place.shared.get(run.model.family)
    if found is not None:
        return found
    bases = sorted(base.id for base in run.place.shared.values())
    raise BaseNotServed(
        f"{run.model.name} was trained on {run.model.base}; {run.place.route} takes LoRAs by address for "
        f"{', '.join(bases) or 'no base'} only, and on another base it would not act.",
        fix="Run `lorry check PATH --for all` to see where it runs.",
        evidence={"base": run.model.base, "family": run.model.family, "bases": bases},
    )


async def _begin(run: Run) -> Price | None:
    _base(run)
    _reachable(run)
    return None  # it bills by the picture, when one is drawn


def _reachable(run: Run) -> None:
    """Refuse what the platform could not fetch: requests have no field for a token (dossier 3.3)."""
    if run.options.address is None and not run.options.public:
        raise OptionInvalid(
            f"{run.place.route} fetches the file without logging in, and a private repository needs a login.",
            fix="Add `--public` to publish it for everybody, or `--address URL` with an address of your own.",
            evidence={"route": run.place.route},
        )


async def _address(run: Run) -> Done:
    base = _base(run)
    ids = (await run.placement()).ids
    address = run.options.address
    if address is None:
        repo, commit = known(ids.hub_repo, "repository"), known(ids.hub_commit, "commit")
        address = f"{run.place.hub}/{repo}/resolve/{commit}/{files_of(run.model)[0].name}"
    shown = address.partition("?")[0]
    return Done(
        f"{base.id} is given {shown} with each request.",
        ids={"address": address, "base_name": base.id},
        data={"price": base.price.sentence if base.price else None},
    )


async def _serves(run: Run) -> bool:
    return (await run.placement()).ids.address is not None


async def _halt(_: Run) -> Done:
    return Done("Nothing of it runs at the platform.")


async def _forecast(run: Run) -> Forecast:
    draft = Draft(run)
    for question in (_base, _reachable):
        try:
            question(run)
        except LorryError as error:
            draft.refused(error)
    base = run.place.shared.get(run.model.family)
    if base is not None:
        draft.target, draft.price = base.id, base.price
    if _publishes(run):
        kind = "public" if run.options.public else "private"
        draft.creates.append(f"the {kind} repository {run.name} on the Hub")
    return draft.done()
