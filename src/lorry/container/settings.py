"""What a worker is told by its container's environment; all that is wrong is said at once.

The variables of `TOGETHER_` are those that the platform sets in a container (Together API dossier 4.3 and
4.4), the others are written by `lorry container init`. A worker runs in an image of its own, apart from the
home and the settings of whoever made it; only what concerns the network is read as everywhere
(`lorry.settings`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lorry.container.cache import ROOM
from lorry.errors import SettingInvalid
from lorry.settings import Settings, read_settings
from lorry.weights.origins.access import Access

#: Where the platform's API is.
API_URL = "https://api.together.ai"

#: What the platform gives a container to end its last job (Together API dossier 4.3).
GRACE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Everything that can be set about a worker.

    Attributes:
        base: Public id of the base model.
        base_folder: Where its files lie, a pipeline saved by diffusers; `None` for the base that comes along.
        adapters: Folder in which jobs name LoRAs.
        volumes: Mounted folders, in which jobs name LoRAs by their whole path.
        cache: Where fetched LoRAs are kept.
        room: Bytes of them that are kept at most.
        name: The deployment's name; the queue goes by it.
        api_url: Root of the platform's API.
        api_key: The key that the platform gave the container.
        grace: Seconds that the last job may take once the container is told to stop.
        access: What may be asked for LoRAs.
        precision: Numbers that the base's weights are held in, as `LORRY_PRECISION` everywhere.
        quantise: How they are made smaller, as `LORRY_QUANTISE`.
        compile: Whether its blocks are compiled, as `LORRY_COMPILE`.
    """

    base: str
    base_folder: Path | None = None
    adapters: Path | None = None
    volumes: tuple[Path, ...] = ()
    cache: Path = Path("lora-cache")
    room: int = ROOM
    name: str = ""
    api_url: str = API_URL
    api_key: str = field(default="", repr=False)
    grace: float = GRACE_SECONDS
    access: Access = field(default_factory=Access)
    precision: str = "auto"
    quantise: str = "none"
    compile: bool = False


def read_worker_settings(environ: Mapping[str, str]) -> WorkerSettings:
    """Read what a worker is told.

    Args:
        environ: The environment.

    Raises:
        SettingInvalid: With every problem at once.
    """
    problems: list[str] = []
    base = environ.get("LORRY_BASE", "").strip()
    if not base:
        problems.append("LORRY_BASE is not set; it is the id of the base model.")
    try:
        shared = read_settings(Path(environ.get("LORRY_HOME", "lorry-home")), environ=environ)
    except SettingInvalid as error:
        problems.append(error.message)
        shared = Settings(Path("lorry-home"))
    settings = WorkerSettings(
        base=base,
        base_folder=_folder(environ, "LORRY_BASE_FOLDER", problems),
        adapters=_folder(environ, "LORRY_ADAPTERS", problems),
        volumes=_volumes(environ, problems),
        cache=Path(environ.get("LORRY_LORA_CACHE") or "lora-cache"),
        room=int(_number(environ, "LORRY_LORA_CACHE_BYTES", ROOM, problems)),
        name=environ.get("TOGETHER_DEPLOYMENT_NAME") or environ.get("DEPLOYMENT_NAME", ""),
        api_url=_address(environ, problems),
        api_key=environ.get("TOGETHER_API_KEY", ""),
        grace=_number(environ, "TERMINATION_GRACE_PERIOD_SECONDS", GRACE_SECONDS, problems),
        access=Access(shared.hub_url, shared.hub_token, shared.allow_private_addresses),
        precision=shared.precision,
        quantise=shared.quantise,
        compile=shared.compile,
    )
    if problems:
        fix = "Correct the variables in [tool.jig.deploy.environment_variables] and deploy again."
        raise SettingInvalid(" ".join(problems), fix=fix, evidence={"problems": problems})
    return settings


def _folder(environ: Mapping[str, str], name: str, problems: list[str]) -> Path | None:
    text = environ.get(name)
    if not text:
        return None
    if not Path(text).is_dir():
        problems.append(f"{name} is {text}, and there is no such folder in this container.")
    return Path(text)


def _volumes(environ: Mapping[str, str], problems: list[str]) -> tuple[Path, ...]:
    found = tuple(Path(text) for text in environ.get("LORRY_VOLUMES", "").split(":") if text)
    problems += [
        f"LORRY_VOLUMES names {path}, which is no absolute path." for path in found if not path.is_absolute()
    ]
    return found


def _number(environ: Mapping[str, str], name: str, otherwise: float, problems: list[str]) -> float:
    text = environ.get(name)
    if not text:
        return otherwise
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return float(text)
    problems.append(f"{name} is {text!r}; it must be a whole number.")
    return otherwise


def _address(environ: Mapping[str, str], problems: list[str]) -> str:
    """Read the API's root; a bare host means https, as with Together's own workers."""
    text = (environ.get("TOGETHER_API_BASE_URL") or API_URL).rstrip("/")
    url = text if "://" in text else f"https://{text}"
    if not url.startswith(("https://", "http://")):
        problems.append(f"TOGETHER_API_BASE_URL is {text!r}, which is no http address.")
    return url
