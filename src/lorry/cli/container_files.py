"""What `lorry container init` writes: the files from which jig builds the worker's image."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lorry.errors import OptionInvalid

#: Accelerators of containers (Together API dossier 4.1).
GPUS = ("h100-80gb", "h100-40gb-mig", "h200-140gb", "b200-192gb")

#: A DNS label of four letters or more, as names of deployments are.
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{2,61}[a-z0-9]")

#: A requirement of Lorry: by version, or with an address. jig installs it before it copies a file into the
#: image (`_generate_dockerfile` in the official client's lib/cli/api/beta/jig/jig.py).
_REQUIREMENT = re.compile(
    r"lorry(\[[a-z, ]+\])?( *@ *(git\+)?https://\S+|( *,? *(==|~=|!=|<=?|>=?) *[0-9][\w.*+!-]*)*)"
)
_MOUNT = "/volumes"

_WORKER = '''"""The worker of this container. Everything that can be chosen is in pyproject.toml."""

from lorry.container.running import run
from lorry.engine.renderers.bench import open_bench

if __name__ == "__main__":
    raise SystemExit(run(open_bench))
'''


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a container shall be.

    Attributes:
        name: Its name; the queue goes by it.
        base: Public id of the base model.
        gpu: Type of accelerator.
        min_replicas: That always run, and bill.
        max_replicas: At most.
        base_volume: Volume that holds the base, saved by diffusers; `None` for the base that comes along.
        lora_volume: Volume with LoRAs that jobs name by their file; `None` when they come by address only.
        lorry: What the image installs Lorry from: a requirement that can be got over the network.
    """

    name: str
    base: str
    gpu: str = GPUS[0]
    min_replicas: int = 1
    max_replicas: int = 1
    base_volume: str | None = None
    lora_volume: str | None = None
    lorry: str = "lorry[diffusers]"

    def require_sound(self) -> None:
        """Refuse what can't be built.

        Raises:
            OptionInvalid: Names everything that is wrong.
        """
        problems = []
        if _NAME.fullmatch(self.name) is None:
            problems.append(f"the name {self.name!r} is not 4 to 63 small letters, digits and hyphens")
        if "/" not in self.base:
            problems.append(f"the base {self.base!r} is no public id (owner/name)")
        if self.gpu not in GPUS:
            problems.append(f"{self.gpu!r} is none of {', '.join(GPUS)}")
        if not 0 <= self.min_replicas <= self.max_replicas or self.max_replicas < 1:
            problems.append(f"{self.min_replicas} to {self.max_replicas} replicas can't be")
        if _REQUIREMENT.fullmatch(self.lorry) is None:
            problems.append(
                f"{self.lorry!r} is no requirement of Lorry that can be got over the network, such as "
                "'lorry[diffusers]==0.1.0' or 'lorry[diffusers] @ https://…'"
            )
        if problems:
            raise OptionInvalid(
                f"The container can't be so: {'; '.join(problems)}.",
                fix="Correct the options; `lorry container init --help` explains each.",
                evidence={"problems": problems},
            )

    @property
    def environment(self) -> dict[str, str]:
        """What the worker is told."""
        told = {"LORRY_BASE": self.base}
        if self.base_volume:
            told["LORRY_BASE_FOLDER"] = f"{_MOUNT}/{self.base_volume}"
        if self.lora_volume:
            told["LORRY_ADAPTERS"] = f"{_MOUNT}/{self.lora_volume}"
            told["LORRY_VOLUMES"] = f"{_MOUNT}/{self.lora_volume}"
        return told

    @property
    def volumes(self) -> tuple[str, ...]:
        """The volumes that are mounted."""
        return tuple(name for name in (self.base_volume, self.lora_volume) if name)


@dataclass(frozen=True, slots=True)
class Written:
    """A folder for jig, as it lies on disk."""

    name: str
    gpu: str
    min_replicas: int
    max_replicas: int
    environment: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)


def write(folder: Path, recipe: Recipe) -> list[Path]:
    """Write the files of a container.

    Args:
        folder: Where; made when it is missing.
        recipe: What it shall be.

    Returns:
        The files, in the order in which one reads them.

    Raises:
        OptionInvalid: The recipe can't be built, or a file is there already; nothing is written then.
    """
    recipe.require_sound()
    files = {"pyproject.toml": _pyproject(recipe), "worker.py": _WORKER, "README.md": _readme(recipe)}
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise OptionInvalid(
            f"{folder} has {' and '.join(there)} already, so nothing was written.",
            fix="Name another folder, or move these files away.",
            evidence={"folder": str(folder), "files": there},
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def read(folder: Path) -> Written:
    """Read what a folder says that is to be run.

    Args:
        folder: With a pyproject.toml that has a section for jig.

    Raises:
        OptionInvalid: There is none, or it lacks what is needed.
    """
    import tomllib

    path = folder / "pyproject.toml"
    fix = "Run `lorry container init DIR`, and name that folder."
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise OptionInvalid(f"{path} can't be read: {error}", fix=fix) from error
    jig: dict[str, Any] = document.get("tool", {}).get("jig", {})
    deploy = jig.get("deploy", {})
    name = jig.get("name") or document.get("project", {}).get("name")
    if not name or "LORRY_BASE" not in deploy.get("environment_variables", {}):
        raise OptionInvalid(f"{path} is no container of Lorry's: it has no name or no LORRY_BASE.", fix=fix)
    return Written(
        name=str(name),
        gpu=str(deploy.get("gpu_type", GPUS[0])),
        min_replicas=int(deploy.get("min_replicas", 1)),
        max_replicas=int(deploy.get("max_replicas", 1)),
        environment={str(key): str(value) for key, value in deploy["environment_variables"].items()},
        volumes={str(row["name"]): str(row["mount_path"]) for row in deploy.get("volume_mounts", ())},
    )


def _pyproject(recipe: Recipe) -> str:
    mounts = "".join(_mount(name) for name in recipe.volumes)
    told = "\n".join(f"{name} = {_text(value)}" for name, value in recipe.environment.items())
    return f"""[project]
name = {_text(recipe.name)}
version = "0.1.0"
requires-python = ">=3.11"
dependencies = [{_text(recipe.lorry)}]

[tool.jig.image]
python_version = "3.11"
cmd = "python worker.py --queue"
copy = ["worker.py"]

[tool.jig.deploy]
description = {_text(f"Lorry's worker for {recipe.base}: each job names its LoRAs")}
gpu_type = {_text(recipe.gpu)}
gpu_count = 1
memory = 64
storage = 200
min_replicas = {recipe.min_replicas}
max_replicas = {recipe.max_replicas}
port = 8000
health_check_path = "/health"
termination_grace_period_seconds = 300

[tool.jig.deploy.environment_variables]
{told}

[tool.jig.deploy.autoscaling]
metric = "QueueBacklogPerWorker"
target = 1.01
{mounts}"""


def _mount(volume: str) -> str:
    path = _text(f"{_MOUNT}/{volume}")
    return f"\n[[tool.jig.deploy.volume_mounts]]\nname = {_text(volume)}\nmount_path = {path}\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # a basic string of TOML is one of JSON


def _readme(recipe: Recipe) -> str:
    base = "The base comes along with Lorry."
    if recipe.base_volume:
        base = f"The base lies on the volume `{recipe.base_volume}`, as diffusers saves a pipeline."
    loras = "each job names the address of its LoRAs"
    if recipe.lora_volume:
        loras += f", or a file on the volume `{recipe.lora_volume}`"
    return f"""# {recipe.name}

Lorry's worker for `{recipe.base}` on a dedicated container. {base}
LoRAs are loaded for each job: {loras}.
The same LoRA is fetched once and checked as `lorry check` does; one that does
not fit ends its job with a reason.

    tg beta jig build              # needs Docker
    tg beta jig push
    lorry container deploy . --image IMAGE
    lorry container status {recipe.name}
    lorry container logs {recipe.name}
    lorry container submit {recipe.name} "a picture of TOK" --lora ADDRESS
    lorry container destroy {recipe.name}

Secrets (`LORRY_HUB_TOKEN` for private repositories) are set with `tg beta jig secrets set`,
not in `pyproject.toml`.
"""
