"""What a container is asked to be (Together API dossier 4.1); whole, checked, and kept per revision."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lorry.engine.api_errors import invalid

#: This machine is one replica.
MOST_REPLICAS = 1

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{3,62}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")

#: Targets of a metric that is named without one (jig_deploy_params.py of the official client).
_TARGETS = {
    "QueueBacklogPerWorker": 1.01,
    "HTTPTotalRequests": 100,
    "HTTPAvgRequestDuration": 500,
    "CustomMetric": 500,
}
_OWN_FIELDS = {
    "QueueBacklogPerWorker": ("model",),
    "HTTPTotalRequests": ("time_interval_minutes",),
    "HTTPAvgRequestDuration": ("time_interval_minutes",),
    "CustomMetric": ("custom_metric_name",),
}

Words = list[str]
Whole = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    """A part of a body."""

    model_config = ConfigDict(extra="ignore")


class Variable(Part):
    """An environment variable: its value, or the secret that holds it."""

    name: str
    value: str | None = None
    value_from_secret: str | None = None


class Mount(Part):
    """A volume in a container."""

    name: str
    mount_path: str
    version: Whole | None = None


class ModelMount(Part):
    """A model of the registry in a container."""

    model_id: str
    mount_path: str
    revision_id: str | None = None


class Spec(Part):
    """Body of an update: every field may be left out."""

    name: str | None = None
    description: str | None = None
    image: Annotated[str, Field(min_length=1)] | None = None
    gpu_type: Literal["h100-80gb", "h100-40gb-mig", "h200-140gb", "b200-192gb"] | None = None
    gpu_count: Whole | None = None
    cpu: Annotated[float, Field(gt=0)] | None = None
    memory: Annotated[float, Field(gt=0)] | None = None
    storage: Whole | None = None
    min_replicas: Whole | None = None
    max_replicas: Whole | None = None
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    health_check_path: str | None = None
    command: Words | None = None
    args: Words | None = None
    autoscaling: dict[str, Any] | None = None
    environment_variables: list[Variable] | None = None
    volumes: list[Mount] | None = None
    model_mounts: list[ModelMount] | None = None
    termination_grace_period_seconds: Whole | None = None
    capacity_type: Literal["stable", "preemptible"] | None = None


class NewContainer(Spec):
    """Body of a create."""

    name: str
    image: Annotated[str, Field(min_length=1)]
    gpu_type: Literal["h100-80gb", "h100-40gb-mig", "h200-140gb", "b200-192gb"]


#: What a container has that nobody asked for (docstrings of jig_deploy_params.py of the official client,
#: where it says so; the rest as in jig's own defaults).
_DEFAULTS: Mapping[str, Any] = {
    "description": "",
    "gpu_count": 0,
    "cpu": 1,
    "memory": 8,
    "storage": 100,
    "min_replicas": 1,
    "port": 8000,
    "health_check_path": "",
    "command": [],
    "args": [],
    "environment_variables": [],
    "volumes": [],
    "model_mounts": [],
    "termination_grace_period_seconds": 300,
    "capacity_type": "stable",
}


def complete(body: Spec, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Give the whole of what a container is to be.

    Args:
        body: What was sent.
        before: What it was, for an update: what is not sent stays.

    Raises:
        Refusal: It makes no sense, or asks for more than this machine is.
    """
    sent = body.model_dump(include=body.model_fields_set)
    given = {name: value for name, value in sent.items() if value is not None or name == "autoscaling"}
    spec = {**(before or _DEFAULTS), **given}
    spec.setdefault("max_replicas", spec["min_replicas"])
    if before and "min_replicas" in given and "max_replicas" not in given:
        spec["max_replicas"] = max(spec["max_replicas"], spec["min_replicas"])
    if before and spec["name"] != before["name"]:
        raise invalid(f"The name {before['name']} of a deployment can't be changed.", "name")
    for check in (_check_name, _check_replicas, _check_variables, _check_mounts):
        check(spec)
    spec["autoscaling"] = _autoscaling(spec.get("autoscaling"))
    return spec


def check_references(
    spec: Mapping[str, Any],
    *,
    secret: Callable[[str], object],
    volume: Callable[[str, int | None], object],
    model: Callable[[str, str | None], object],
) -> None:
    """Make sure that everything a container refers to is there.

    Args:
        spec: What it is to be.
        secret: Finds a secret, or refuses.
        volume: Finds a version of a volume that can be mounted, or refuses.
        model: Finds a validated revision of a model, or refuses.
    """
    for row in spec["environment_variables"]:
        if row["value_from_secret"] is not None:
            secret(row["value_from_secret"])
    for row in spec["volumes"]:
        volume(row["name"], row["version"])
    for row in spec["model_mounts"]:
        model(row["model_id"], row["revision_id"])


def _check_name(spec: Mapping[str, Any]) -> None:
    if _NAME.fullmatch(spec["name"]) is None:
        raise invalid(
            f"{spec['name']!r} can't be the name of a deployment: 4 to 63 lower-case letters, digits and "
            "hyphens, the first no hyphen.",
            "name",
        )


def _check_replicas(spec: Mapping[str, Any]) -> None:
    low, high = spec["min_replicas"], spec["max_replicas"]
    if low > high:
        raise invalid(f"min_replicas ({low}) is above max_replicas ({high}).", "min_replicas")
    if low > MOST_REPLICAS:
        message = f"min_replicas is {low}; this engine is one machine and runs one replica."
        raise invalid(message, "min_replicas")


def _check_variables(spec: Mapping[str, Any]) -> None:
    seen: set[str] = set()
    for row in spec["environment_variables"]:
        name = row["name"]
        if _VARIABLE.fullmatch(name) is None or name in seen:
            raise invalid(f"The variable {name!r} can't be set, or is set twice.", "environment_variables")
        if (row["value"] is None) == (row["value_from_secret"] is None):
            message = f"The variable {name} needs either a value or a value_from_secret."
            raise invalid(message, "environment_variables")
        seen.add(name)


def _check_mounts(spec: Mapping[str, Any]) -> None:
    models, paths = spec["model_mounts"], [row["mount_path"] for row in spec["volumes"]]
    if len(models) > 1 or (models and paths):
        raise invalid("One model can be mounted at most, and not beside volumes.", "model_mounts")
    paths += [row["mount_path"] for row in models]
    if wrong := [path for path in paths if not path.startswith("/") or ".." in path.split("/")]:
        raise invalid(f"{wrong[0]!r} is no absolute path to mount at.", "volumes")
    if len(set(paths)) < len(paths):
        raise invalid("Two volumes are mounted at the same path.", "volumes")


def _autoscaling(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Accept one of the three shapes of autoscaling, with its default target; an empty one is none."""
    if not given:
        return None
    metric = given.get("metric")
    if metric not in _TARGETS:
        known = ", ".join(_TARGETS)
        raise invalid(f"{metric!r} is no metric to scale by; it can be {known}.", "autoscaling")
    allowed = {"metric", "target", *_OWN_FIELDS[metric]}
    # jig writes the deployment's name as `model` beside whatever metric.
    if unknown := set(given) - allowed - {"model"}:
        raise invalid(f"{metric} has no {', '.join(sorted(unknown))}.", "autoscaling")
    target = given.get("target", _TARGETS[metric])
    if isinstance(target, bool) or not isinstance(target, int | float) or not target > 0:
        raise invalid(f"The target {target!r} is no number above 0.", "autoscaling")
    if metric == "CustomMetric" and _METRIC.fullmatch(str(given.get("custom_metric_name", ""))) is None:
        raise invalid("CustomMetric needs the name of a Prometheus metric.", "autoscaling")
    if metric.startswith("HTTP"):
        minutes = given.get("time_interval_minutes", 10)
        if isinstance(minutes, bool) or not isinstance(minutes, int) or minutes < 1:
            message = f"time_interval_minutes is {minutes!r}; it is a whole number from 1."
            raise invalid(message, "autoscaling")
    return {**{name: given[name] for name in given if name in allowed}, "target": target}
