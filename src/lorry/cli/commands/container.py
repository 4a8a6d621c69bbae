"""`lorry container`: Lorry's worker on a dedicated container, and the queue in front of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from lorry.cli.container_files import GPUS, Recipe, read, write
from lorry.cli.containers import (
    at_platform,
    container_named,
    lines_of,
    lora_of,
    require_agreement,
    save_pictures,
    tell,
    values_of,
)
from lorry.cli.options import Common
from lorry.errors import OptionInvalid

if TYPE_CHECKING:
    from lorry.delivery.ports import Container, Platform

_Flag = Annotated[bool, Parameter(negative="", show_default=False)]
_Rehearse = Annotated[bool | None, Parameter(negative="", show_default=False)]

container = App(name="container", help="Run Lorry's worker on a dedicated container, and give it jobs.")


@container.command
def init(
    folder: Path,
    /,
    *,
    base: str,
    name: str | None = None,
    gpu: str = GPUS[0],
    min_replicas: int = 1,
    max_replicas: int = 1,
    base_volume: str | None = None,
    lora_volume: str | None = None,
    lorry: str = "lorry[diffusers]",
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Write what jig needs to build the worker's image: pyproject.toml, worker.py and a README.

    Args:
        folder: Where to write; it must not hold these files yet.
        base: Public id of the base model.
        name: Name of the container, the folder's when omitted.
        gpu: h100-80gb, h100-40gb-mig, h200-140gb or b200-192gb.
        min_replicas: Replicas that always run, and bill.
        max_replicas: Replicas that run at most.
        base_volume: Volume that holds the base, as diffusers saves a pipeline; the base that comes along with
            Lorry when omitted.
        lora_volume: Volume with LoRAs that jobs name by their file, beside those that they name by address.
        lorry: What the image installs Lorry from: a requirement by name, or with an address after `@`.
    """
    recipe = Recipe(
        name=name or folder.absolute().name.lower().replace("_", "-"),
        base=base,
        gpu=gpu,
        min_replicas=min_replicas,
        max_replicas=max_replicas,
        base_volume=base_volume,
        lora_volume=lora_volume,
        lorry=lorry,
    )
    files = write(folder, recipe)
    common.out(
        {"name": recipe.name, "files": [str(file) for file in files]},
        [
            *(f"wrote {file}" for file in files),
            "next: build and push the image with jig (its README says how), then",
            f"      lorry container deploy {folder} --image IMAGE",
        ],
    )


@container.command
def deploy(
    folder: Path,
    /,
    *,
    image: str,
    yes: Annotated[bool, Parameter(negative="", alias="-y")] = False,
    rehearse: _Rehearse = None,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Run the container of a folder that `lorry container init` wrote.

    Args:
        folder: The folder.
        image: The image, in the platform's registry.
        yes: Agree that it bills from when it runs, without being asked.
        rehearse: Do it on the embedded engine instead of Together.
    """
    from lorry.delivery.ports import ContainerOrder

    told = read(folder)
    order = ContainerOrder(
        told.name,
        image,
        told.gpu,
        told.environment,
        told.min_replicas,
        told.max_replicas,
        told.volumes,
    )

    async def run(platform: Platform) -> Container:
        found = await platform.containers.find(order.name)
        if found is not None:
            raise OptionInvalid(
                f"{platform.address} runs a container {order.name} already ({found.said}).",
                fix=f"Run `lorry container destroy {order.name}` first, or choose another name.",
                evidence={"container": order.name, "said": found.said},
            )
        await require_agreement(order.name, yes=yes, ask=not common.json)
        return await platform.containers.create(order)

    tell(at_platform(common, run, rehearse=rehearse), common)


@container.command
def status(
    name: str,
    /,
    *,
    rehearse: _Rehearse = None,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Show where a container stands, and how many jobs it has.

    Args:
        name: The container's name.
        rehearse: Ask the embedded engine instead of Together.
    """

    async def ask(platform: Platform) -> tuple[Container, Any]:
        found = await container_named(platform, name)
        return found, await platform.queue.metrics(found.name)

    found, counts = at_platform(common, ask, rehearse=rehearse)
    data = {
        **values_of(found),
        "jobs": {"running": counts.running, "waiting": counts.waiting, "total": counts.total},
    }
    jobs = f"{counts.running} at work, {counts.waiting} waiting"
    common.out(data, [*lines_of(found), f"  jobs     {jobs}"])


@container.command
def logs(
    name: str,
    /,
    *,
    rehearse: _Rehearse = None,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Print the newest lines that a container wrote.

    Args:
        name: The container's name.
        rehearse: Ask the embedded engine instead of Together.
    """

    async def ask(platform: Platform) -> tuple[str, ...]:
        return await platform.containers.logs((await container_named(platform, name)).id)

    lines = at_platform(common, ask, rehearse=rehearse)
    common.out({"container": name, "lines": list(lines)}, lines or ["It wrote nothing so far."])


@container.command
def destroy(
    name: str,
    /,
    *,
    rehearse: _Rehearse = None,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Remove a container; the job at hand is ended, jobs that wait are lost.

    Args:
        name: The container's name.
        rehearse: Do it on the embedded engine instead of Together.
    """

    async def remove(platform: Platform) -> None:
        await platform.containers.destroy((await container_named(platform, name)).id)

    at_platform(common, remove, rehearse=rehearse)
    common.out({"container": name, "state": "destroyed"}, [f"{name} was removed, and nothing of it bills."])


@container.command
def submit(
    name: str,
    prompt: str,
    /,
    *,
    lora: Annotated[list[str] | None, Parameter(negative="")] = None,
    seed: int | None = None,
    size: int | None = None,
    steps: int | None = None,
    count: Annotated[int, Parameter(alias="-n")] = 1,
    rehearse: _Rehearse = None,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Put a job into a container's queue, and print its id.

    Args:
        name: The container's name.
        prompt: What to draw, trigger words included.
        lora: Address, or file on a volume, of a LoRA; `ADDRESS=SCALE` sets its strength. May be given again.
        seed: Start of the noise; random when omitted.
        size: Edge in pixels; the base's own when omitted.
        steps: Denoising steps; what suits the base when omitted.
        count: Number of pictures, 1 to 4.
        rehearse: Do it on the embedded engine instead of Together.
    """
    given = {"seed": seed, "size": size, "steps": steps}
    payload: dict[str, Any] = {"prompt": prompt, "n": count, "loras": [lora_of(text) for text in lora or ()]}
    payload |= {key: value for key, value in given.items() if value is not None}

    async def send(platform: Platform) -> str:
        return await platform.queue.submit((await container_named(platform, name)).name, payload)

    job = at_platform(common, send, rehearse=rehearse)
    common.out({"container": name, "job": job}, [job, f"next: lorry container job {name} {job}"])


@container.command
def job(
    name: str,
    id: str,  # noqa: A002 - what the user reads
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    rehearse: _Rehearse = None,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Show where a job stands, and save its pictures once it is done.

    Args:
        name: The container's name.
        id: The job's id.
        output: File for the picture; several get -1, -2 … before the extension.
        rehearse: Ask the embedded engine instead of Together.
    """

    async def ask(platform: Platform) -> Any:
        return await platform.queue.look(name, id)

    found = at_platform(common, ask, rehearse=rehearse)
    saved = save_pictures(found.outputs.get("images") or [], output) if output else []
    outputs = {key: value for key, value in found.outputs.items() if key != "images"}
    data = {"job": found.id, "state": str(found.state), "message": found.message, "outputs": outputs}
    lines = [f"{found.id} is {found.state}.", *([found.message] if found.message else []), *map(str, saved)]
    common.out({**data, "files": [str(file) for file in saved]}, lines)


@container.command
def cancel(
    name: str,
    id: str,  # noqa: A002 - what the user reads
    /,
    *,
    rehearse: _Rehearse = None,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Take a job out of the queue, unless a worker has begun it.

    Args:
        name: The container's name.
        id: The job's id.
        rehearse: Do it on the embedded engine instead of Together.
    """

    async def take(platform: Platform) -> None:
        await platform.queue.cancel(name, id)

    at_platform(common, take, rehearse=rehearse)
    common.out({"job": id, "state": "canceled"}, [f"{id} is canceled."])
