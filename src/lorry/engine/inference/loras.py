"""The adapters that one request for pictures draws with (`image_loras`, Together API dossier 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, Field

from lorry.container.cache import Cache
from lorry.engine.api_errors import invalid
from lorry.engine.drawing.port import Needed
from lorry.engine.inference.targets import Target
from lorry.engine.renderers.port import AdapterUse
from lorry.engine.repositories import RepoFile, Repositories
from lorry.engine.storage_faults import storage_faults
from lorry.engine.together.models import Models
from lorry.engine.together.revisions import Revisions
from lorry.engine.works import Works

#: Together takes two (Together API dossier 3.3).
MOST_LORAS = 2


class ImageLora(BaseModel):
    """An adapter and its strength in one request."""

    path: str
    scale: Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Adapters with their strengths, and the files that they are loaded from."""

    uses: tuple[AdapterUse, ...]
    needed: tuple[Needed, ...]


class Loras:
    """Finds the adapters that a request names."""

    def __init__(
        self, works: Works, models: Models, revisions: Revisions, repositories: Repositories
    ) -> None:
        self._works = works
        self._models = models
        self._revisions = revisions
        self._repositories = repositories

    def choose(self, target: Target, loras: Sequence[ImageLora], host: str) -> Chosen:
        """Put the deployed adapter and those of the request together.

        Args:
            target: What draws; its deployed adapter acts at 1.0 unless the request names it with a scale.
            loras: What the request asks for.
            host: Host and port under which this engine was asked.

        Raises:
            Refusal: There are too many, or one is not here.
        """
        if len(loras) > MOST_LORAS:
            raise invalid(f"image_loras has {len(loras)} entries; {MOST_LORAS} is the most.", "image_loras")
        scales = {target.adapter.key: 1.0} if target.adapter else {}
        needed = {target.adapter.key: target.adapter} if target.adapter else {}
        for lora in loras:
            if target.adapter and lora.path in target.adapter_names:
                scales[target.adapter.key] = lora.scale
                continue
            found = self._model(lora.path) or self._repository(lora.path, host)
            needed[found.key] = found
            scales[found.key] = lora.scale
        uses = tuple(AdapterUse(key, scale) for key, scale in scales.items())
        return Chosen(uses, tuple(needed.values()))

    def _model(self, name: str) -> Needed | None:
        model = self._models.named(name)
        if model is None:
            return None
        revision = self._revisions.latest(model.id)
        if revision is None or revision.outcome != "SUCCESS" or revision.weights is None:
            raise invalid(f"The model {name} has no revision that passed its validation.", "image_loras")
        return Needed(revision.id, self._revisions.folder(revision.id) / revision.weights)

    def _repository(self, path: str, host: str) -> Needed:
        place = _parse(path, host)
        if place is None:
            raise invalid(
                f"{path} is neither a model of this project nor a file on this engine's own Hub; "
                "nothing else is fetched.",
                "image_loras",
            )
        repo, revision, name = place
        files = self._repositories.files(repo, revision)
        if files is None:
            raise invalid(f"The Hub of this engine has no repository {repo} at {revision}.", "image_loras")
        weights = [file for file in files if file.path.endswith(".safetensors") and name in ("", file.path)]
        if len(weights) != 1:
            raise invalid(
                f"{repo} has {len(weights)} .safetensors files{' named ' + name if name else ''}; "
                "name one as owner/name/FILE.",
                "image_loras",
            )
        return self._linked(weights[0])

    def _linked(self, file: RepoFile) -> Needed:
        # Loaders go by the suffix, which a stored content has not.
        folder = self._works.config.folder / "loras"
        with storage_faults(str(folder)):
            cache = Cache(folder, self._works.config.room.disk)
            return Needed(file.sha256, cache.link(file.sha256, self._works.blobs.path(file.sha256)))


def _parse(path: str, host: str) -> tuple[str, str, str] | None:
    text = path.strip().strip("/")
    if "://" in text:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or parts.netloc != host:
            return None
        text = unquote(parts.path).strip("/")
    owner, _, rest = text.partition("/")
    name, _, inside = rest.partition("/")
    if not owner or not name:
        return None
    revision = "main"
    for marker in ("resolve/", "blob/", "tree/"):
        if inside.startswith(marker):
            revision, _, inside = inside.removeprefix(marker).partition("/")
            break
    return f"{owner}/{name}", revision, inside
