"""The only reader of the environment and of lorry.toml.

Order of precedence, strongest first: what a command is given, the environment, `lorry.toml` in the working
folder, the defaults. All that is wrong is reported at once.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lorry.errors import SettingInvalid
from lorry.settings.values import (
    above_zero,
    api_root,
    bucket,
    chosen_among,
    database,
    folder_at,
    http_address,
    secret,
    truth,
)

#: File of settings that is looked for in the working folder.
SETTINGS_FILE = "lorry.toml"

#: Port of the embedded engine unless told otherwise.
ENGINE_PORT = 8765

#: The public Hub.
HUB_URL = "https://huggingface.co"

#: Together's API (Together API dossier 2.0).
TOGETHER_URL = "https://api.together.ai"

RENDERERS = ("onnx", "diffusers")

#: The base model that comes along.
OWN_BASE = "lorry/flux-icons-64"

#: How another is opened (`lorry.engine.renderers.pipeline_opening`).
PRECISIONS = ("auto", "bfloat16", "float16", "float32")
QUANTISATIONS = ("none", "int8")

#: MiB for adapters in each tier: some 180 of rank 16 for the small base, 700, and some 100 for FLUX.1.
ADAPTER_ROOMS = {"adapters_device": 512.0, "adapters_host": 1024.0, "adapters_disk": 20_480.0}

#: Least minutes of a lease: a request may take ten, and is written down when it has ended.
LEAST_LEASE_MINUTES = 10

#: Which results the gateway stores.
KEEPS = ("paid", "all")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, read once.

    Attributes:
        home: Folder of Lorry's own state.
        engine_url: Address of the embedded engine; `None` finds the one that runs on the same home.
        engine_key: Key that is sent to the engine and, when the engine is started with one, the only key that
            it takes; never shown or logged.
        renderer: What the engine draws with: `onnx` or `diffusers`.
        threads: Threads of the renderer; `None` leaves it to the runtime.
        base: Public id of the base model that the engine draws with; any but its own needs the extra
            `diffusers`, and comes from `base_folder` or from the Hub.
        base_folder: Folder of that base, as `save_pretrained` of a pipeline of diffusers writes it.
        precision: Numbers that its weights are held in: `bfloat16`, `float16`, `float32`, or `auto` (bfloat16
            on an accelerator, float32 on a processor).
        quantise: How its denoiser's weights are made smaller (with the extra `quantise`): `int8` or
            `none`.
        compile: Whether its repeated blocks are compiled, which the first pictures of each size wait for:
            `true` or `false`.
        adapters_device: Memory of adapters that are ready to be drawn with, on the accelerator where there is
            one, MiB; the least recently used make room.
        adapters_host: Memory of adapters as they were read from disk, MiB; deployed ones stay longest.
        adapters_disk: Space on disk for adapters that requests name by a repository, MiB.
        hub_url: Address of the Hub that an `owner/name` is looked for at.
        hub_token: Token for that Hub, sent to it and to nobody else; never shown or logged.
        together_url: Address of Together's API, without `/v1`.
        together_key: Key of Together's API, sent to that address and to nobody else; never shown or logged.
        together_project: Id of the project there; the platform is asked whose key it is when `None`.
        together_at_once: Requests to that API under way at once, at most.
        together_per_second: Requests to that API that may begin in a second, in the long run; twice as many
            may begin at once after a silence.
        database_url: Address of a Postgres database for what Lorry remembers and for its deliveries, which
            may then run on several machines; files in the home when `None`. Its password is never shown.
        rehearse: Whether the embedded engine plays Together: `true` or `false`.
        allow_private_addresses: Whether a link that is checked may lead into a private network or to this
            machine: `true` or `false`. The Hub at `hub_url` may lie there without it.
        public_url: Address under which clients reach `lorry serve`, for the addresses in its answers; what
            a request was sent to when `None`.
        server_secret: Signs the addresses of pictures and the messages of webhooks; the same on all machines
            of one database. A file in the home when `None`; never shown or logged.
        results_url: Where `lorry serve` keeps pictures and answers: `s3://bucket/prefix` (with the extra
            `s3`, and the keys that AWS's tools read); files in the home when `None`.
        keep: Which results `lorry serve` stores before it answers: `paid` for those that cost by the request,
            that came with an idempotency key or are answered as an address, or `all`.
        keep_days: Days after which `lorry serve` forgets a stored result.
        journal_days: Days after which `lorry serve` forgets an event of the journal.
        body_limit: Size of a request's body that `lorry serve` takes at most, MiB.
        drop_limit: Size of a file that is dropped on the dashboard at most, MiB.
        answer_seconds: Seconds that a platform may take for the whole of an answer to `lorry serve`.
        keeper: Whether `lorry serve` runs the keeper, which stops what bills and is not used: `true` or
            `false`, where `lorry keeper` runs beside it.
        worker: Whether `lorry serve` has a worker beside it as soon as something is delivered through it:
            `true` or `false`, where `lorry worker` runs elsewhere.
        keeper_seconds: Seconds between two passes of the keeper.
        lease_minutes: Minutes that something that bills runs on after it was last used, where a model's
            policy says nothing; 10 or more.
        grace_minutes: Minutes for which it is left alone after it first answers.
    """

    home: Path
    engine_url: str | None = None
    engine_key: str | None = field(default=None, repr=False)
    renderer: str = "onnx"
    threads: int | None = None
    base: str = OWN_BASE
    base_folder: Path | None = None
    precision: str = "auto"
    quantise: str = "none"
    compile: bool = False
    adapters_device: float = ADAPTER_ROOMS["adapters_device"]
    adapters_host: float = ADAPTER_ROOMS["adapters_host"]
    adapters_disk: float = ADAPTER_ROOMS["adapters_disk"]
    hub_url: str = HUB_URL
    hub_token: str | None = field(default=None, repr=False)
    together_url: str = TOGETHER_URL
    together_key: str | None = field(default=None, repr=False)
    together_project: str | None = None
    together_at_once: int = 16
    together_per_second: float = 10.0
    database_url: str | None = field(default=None, repr=False)
    rehearse: bool = False
    allow_private_addresses: bool = False
    public_url: str | None = None
    server_secret: str | None = field(default=None, repr=False)
    results_url: str | None = None
    keep: str = "paid"
    keep_days: float = 30.0
    journal_days: float = 365.0
    body_limit: float = 8.0
    drop_limit: float = 16_384.0
    answer_seconds: float = 600.0
    keeper: bool = True
    worker: bool = True
    keeper_seconds: float = 60.0
    lease_minutes: float = 60.0
    grace_minutes: float = 10.0

    @property
    def secrets(self) -> tuple[str, ...]:
        """List the keys and tokens: what nothing may show."""
        kept = (value for name in SECRETS if (value := getattr(self, name)))
        password = urlsplit(self.database_url).password if self.database_url else None
        return (*kept, *((password,) if password else ()))


#: The settings that are keys or tokens.
SECRETS = ("engine_key", "hub_token", "together_key", "server_secret")

#: Name of the environment variable for each setting.
VARIABLES = {each.name: f"LORRY_{each.name.upper()}" for each in fields(Settings)}

#: What other programs read for the same, taken where nothing was said to Lorry itself.
FALLBACKS = {
    "hub_url": "HF_ENDPOINT",
    "hub_token": "HF_TOKEN",
    "together_url": "TOGETHER_BASE_URL",
    "together_key": "TOGETHER_API_KEY",
    "together_project": "TOGETHER_PROJECT_ID",
}


def read_settings(
    home: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Read the settings.

    Args:
        home: What a command was given as `--home`; wins over everything.
        environ: The environment; the process's own when omitted.
        folder: Where lorry.toml is looked for; the working folder when omitted.

    Returns:
        The settings, with an absolute `home`.

    Raises:
        SettingInvalid: With every problem of the environment and the file at once.
    """
    environment = os.environ if environ is None else environ
    file = (folder or Path.cwd()) / SETTINGS_FILE
    problems: list[str] = []
    values = _from_others(environment) | _from_file(file, problems) | _from_environment(environment)
    settings = _parse(values, problems)
    if problems:
        raise SettingInvalid(" ".join(problems), evidence={"problems": problems})
    chosen = home or settings["home"] or _default_home()
    return Settings(**{**settings, "home": Path(chosen).expanduser().absolute()})


def secrets_around(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> tuple[str, ...]:
    """List every key and token that is set, used or not, in settings that need not be usable.

    Args:
        environ: The environment; the process's own when omitted.
        folder: Where lorry.toml is looked for; the working folder when omitted.
    """
    environment = os.environ if environ is None else environ
    file = _from_file((folder or Path.cwd()) / SETTINGS_FILE, [])
    found = [*_from_others(environment).items(), *file.items(), *_from_environment(environment).items()]
    return tuple(str(value).strip() for name, (_, value) in found if name in SECRETS)


def tg_login(environ: Mapping[str, str] | None = None) -> Path:
    """Say where Together's own command line keeps the login of `tg login` (dossier 8.1); it is never read.

    Args:
        environ: The environment; the process's own when omitted.
    """
    environment = os.environ if environ is None else environ
    if given := environment.get("TOGETHER_CREDENTIALS_PATH"):
        return Path(given)
    configured = (
        environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME") or Path.home()) / ".config"
    )
    return Path(configured) / "together" / "credentials.json"


def _default_home() -> Path:
    from platformdirs import user_data_path

    return user_data_path("lorry", appauthor=False)


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    given = {name: variable for name, variable in VARIABLES.items() if environ.get(variable)}
    return {name: (variable, environ[variable]) for name, variable in given.items()}


def _from_others(environ: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    return {
        name: (variable, environ[variable]) for name, variable in FALLBACKS.items() if environ.get(variable)
    }


def _from_file(file: Path, problems: list[str]) -> dict[str, tuple[str, Any]]:
    if not file.is_file():
        return {}
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problems.append(f"{file} can't be read as TOML: {error}.")
        return {}
    unknown = sorted(set(table) - set(VARIABLES))
    if unknown:
        problems.append(f"{file} has settings that do not exist: {', '.join(unknown)}.")
    return {name: (f"{name} in {file}", value) for name, value in table.items() if name in VARIABLES}


def _parse(values: Mapping[str, tuple[str, Any]], problems: list[str]) -> dict[str, Any]:
    def take(name: str, default: Any = None) -> tuple[str, Any]:
        return values.get(name, (name, default))

    label, renderer = take("renderer", "onnx")
    if renderer not in RENDERERS:
        problems.append(f"{label} is {renderer!r}; it can be {' or '.join(RENDERERS)}.")
    threads = take("threads")
    engine_key = secret(take("engine_key"), "key", problems)
    token = secret(take("hub_token"), "token", problems)
    key = secret(take("together_key"), "key", problems)
    together = api_root(take("together_url", TOGETHER_URL), problems)
    unless_told = ("rehearse", "allow_private_addresses", "compile")
    truths = {name: truth(take(name, False), problems) for name in unless_told}
    truths |= {name: truth(take(name, True), problems) for name in ("keeper", "worker")}
    return {
        "home": take("home")[1],
        "engine_url": http_address(take("engine_url"), problems),
        "engine_key": engine_key,
        "renderer": renderer,
        "threads": None if threads[1] is None else above_zero(threads, int, problems),
        "base": str(take("base", OWN_BASE)[1]),
        "base_folder": folder_at(take("base_folder"), problems),
        "precision": chosen_among(take("precision", "auto"), PRECISIONS, problems),
        "quantise": chosen_among(take("quantise", "none"), QUANTISATIONS, problems),
        "hub_url": http_address(take("hub_url", HUB_URL), problems),
        "hub_token": token,
        "together_url": together,
        "together_key": key,
        "together_project": take("together_project")[1],
        "together_at_once": above_zero(take("together_at_once", 16), int, problems),
        "together_per_second": above_zero(take("together_per_second", 10.0), float, problems),
        "database_url": database(take("database_url"), problems),
        **{
            name: above_zero(take(name, otherwise), float, problems)
            for name, otherwise in ADAPTER_ROOMS.items()
        },
        **_gateway(take, problems),
        **_keeper(take, problems),
        **truths,
    }


def _gateway(take: Callable[..., tuple[str, Any]], problems: list[str]) -> dict[str, Any]:
    """Accept what `lorry serve` is told."""
    return {
        "public_url": http_address(take("public_url"), problems),
        "server_secret": secret(take("server_secret"), "secret", problems),
        "results_url": bucket(take("results_url"), problems),
        "keep": chosen_among(take("keep", "paid"), KEEPS, problems),
        "keep_days": above_zero(take("keep_days", 30.0), float, problems),
        "journal_days": above_zero(take("journal_days", 365.0), float, problems),
        "body_limit": above_zero(take("body_limit", 8.0), float, problems),
        "drop_limit": above_zero(take("drop_limit", 16_384.0), float, problems),
        "answer_seconds": above_zero(take("answer_seconds", 600.0), float, problems),
    }


def _keeper(take: Callable[..., tuple[str, Any]], problems: list[str]) -> dict[str, Any]:
    """Accept what the keeper is told."""
    label, lease = take("lease_minutes", 60.0)
    minutes = above_zero((label, lease), float, problems)
    if minutes is not None and minutes < LEAST_LEASE_MINUTES:
        problems.append(f"{label} is {lease!r}; it must be {LEAST_LEASE_MINUTES} or more.")
    return {
        "keeper_seconds": above_zero(take("keeper_seconds", 60.0), float, problems),
        "lease_minutes": minutes,
        "grace_minutes": above_zero(take("grace_minutes", 10.0), float, problems),
    }
