"""Write which operations of Together's official client the engine has: docs/reference/engine-coverage.md.

The operations are read from the client's own source, the routes from the engine's application.
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from fastapi.openapi.utils import get_openapi

from lorry.engine.app import build
from lorry.engine.config import EngineConfig
from lorry.engine.drawing.serving import Serving
from lorry.engine.language.flat import FlatLanguageModel
from lorry.engine.renderers.flat import FlatRenderer
from lorry.engine.server import check_weights
from lorry.engine.works import open_works

_VERBS = {
    "_get": "GET",
    "_get_api_list": "GET",
    "_post": "POST",
    "_put": "PUT",
    "_patch": "PATCH",
    "_delete": "DELETE",
}

#: Why the engine leaves out what it does: by the beginning of the operation's name, the longest that fits.
_REASONS = {
    "audio": "speech: Lorry ships no models of sound",
    "batches": "batches of requests: nothing of a model's way to production",
    "clusters": "GPU clusters: machines for training",
    "embeddings": "embeddings: no such model is embedded",
    "endpoints.list_org_scoped": "one organisation with one project: the project's own list has all",
    "evals": "evaluations by Together's models",
    "files": "files of fine-tuning and batches",
    "fine_tuning": "training happens elsewhere; Lorry begins where it has finished",
    "models.list_org_scoped": "one organisation with one project: the project's own list has all",
    "organization": "accounts and their keys",
    "post_training": "training happens elsewhere; Lorry begins where it has finished",
    "projects": "one project, which can't be changed",
    "realtime": "speech: Lorry ships no models of sound",
    "rerank": "ranking: no such model is embedded",
    "videos": "videos: no such model is embedded",
}


@dataclass(frozen=True, slots=True, order=True)
class Operation:
    """An operation of the client: its name there, its method and its path."""

    name: str
    method: str
    path: str

    @property
    def key(self) -> tuple[str, str]:
        """Give what it is compared by: names of parameters don't count."""
        return self.method, anonymous(self.path)


def operations() -> list[Operation]:
    """Read the operations from the client's source; of both kinds of client the plain one counts."""
    spec = find_spec("together.resources")
    places = spec.submodule_search_locations if spec else None
    root = Path(next(iter(places or ())))
    found: set[Operation] = set()
    for file in sorted(root.rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and _is_plain(node.name):
                found |= set(_of_class(node, _resource(file.relative_to(root))))
    return sorted(found)


def _is_plain(name: str) -> bool:
    return name.endswith("Resource") and not name.startswith("Async")


def _resource(file: Path) -> str:
    """Name a resource by its module: `endpoints/endpoints.py` and `endpoints.py` are both `endpoints`."""
    parts = list(file.with_suffix("").parts)
    if len(parts) > 1 and parts[-1] == parts[-2]:
        parts.pop()
    return ".".join(parts)


def _of_class(node: ast.ClassDef, resource: str) -> Iterator[Operation]:
    for function in node.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args:
                name = f"{resource}.{function.name}"
                if call.func.attr in _VERBS:
                    yield Operation(name, _VERBS[call.func.attr], _path(call.args[0], name))


def _path(node: ast.expr, operation: str) -> str:
    """Read the path of a call; one that can't be read is an error, for an operation would be left out."""
    if isinstance(node, ast.IfExp):  # chat: its own host, unless the client was given another
        node = node.body
    if isinstance(node, ast.Call) and node.args:  # path_template("/v2/…", …)
        node = node.args[0]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/"):
        path = node.value.partition("?")[0]
        return path if re.match(r"/v\d/", path) else f"/v1{path}"
    raise ValueError(f"the path of {operation} can't be read: {ast.unparse(node)}")


def engine_routes() -> list[tuple[str, str, str]]:
    """List the engine's routes: method, path and what they do; the Hub's apart."""
    with tempfile.TemporaryDirectory() as home:
        works = open_works(EngineConfig(Path(home)))
        try:
            app = build(works, Serving(FlatRenderer), check_weights, lambda _: FlatLanguageModel()).app
            # The Hub is mounted last, and has a reference of its own protocol.
            paths = get_openapi(title="", version="", routes=app.routes[:-1])["paths"]
        finally:
            works.close()
    return [
        (method.upper(), path, str(told.get("description", "")).partition("\n")[0].rstrip("."))
        for path, methods in paths.items()
        for method, told in methods.items()
    ]


def page() -> str:
    """Write the page."""
    routes = engine_routes()
    has = {(method, anonymous(path)) for method, path, _ in routes}
    known = operations()
    emulated = sum(operation.key in has for operation in known)
    ours = [operation for operation in known if operation.key in has or not reason(operation)]
    return "\n".join(
        [
            "# What the engine has of Together's API",
            "",
            "<!-- Generated by `make docs` from tools/engine_coverage.py. -->",
            "",
            f"The official client, `together` {version('together')}, has {len(known)} operations; "
            f"the engine has {emulated} of them.",
            "",
            "## Operations of models, endpoints, containers and inference",
            "",
            "| operation | request | in the engine |",
            "|---|---|---|",
            *(_operation_row(each, emulated=each.key in has) for each in ours),
            "",
            "## What is left out, and why",
            "",
            "| operations | how many | why |",
            "|---|---|---|",
            *_left_out([operation for operation in known if operation not in ours]),
            "",
            "## The engine's routes",
            "",
            "`P` stands for `/v2/projects/{project}`. The Hub's routes are those that `huggingface_hub`",
            "uses with Xet off, below `/api/` and `/{owner}/{name}`.",
            "",
            "| method | path | what |",
            "|---|---|---|",
            *(
                f"| {method} | `{_short(path)}` | {what} |"
                for method, path, what in sorted(routes, key=_by_path)
            ),
            "",
        ]
    )


def _left_out(left: list[Operation]) -> Iterator[str]:
    for prefix, why in _REASONS.items():
        count = sum(reason(operation) == why and operation.name.startswith(prefix) for operation in left)
        if count:
            yield f"| `{prefix}` | {count} | {why} |"


def reason(operation: Operation) -> str:
    """Say why the engine leaves an operation out; empty where nothing speaks against it."""
    fitting = [prefix for prefix in _REASONS if f"{operation.name}.".startswith(f"{prefix}.")]
    return _REASONS[max(fitting, key=len)] if fitting else ""


def _operation_row(operation: Operation, *, emulated: bool) -> str:
    answer = "yes" if emulated else "no"
    return f"| `{operation.name}` | {operation.method} `{_short(operation.path)}` | {answer} |"


def _by_path(row: tuple[str, str, str]) -> tuple[str, str]:
    return row[1], row[0]


def anonymous(path: str) -> str:
    """Write a path without the names of its parameters."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def _short(path: str) -> str:
    return re.sub(r"^/v2/projects/\{[^}]*\}", "P", path)
