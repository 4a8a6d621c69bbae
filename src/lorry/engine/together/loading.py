"""What a deployment serves, and how that gets into memory and out again."""

from __future__ import annotations

from dataclasses import dataclass

from lorry.engine.drawing.port import ImageServing, Needed
from lorry.engine.language_serving import BASE, LanguageServing, Weights
from lorry.engine.together.bases import Base, Catalog, ServingConfig
from lorry.engine.together.records import DeploymentRecord, RevisionRecord, Shelves
from lorry.engine.together.revisions import Revisions
from lorry.errors import AdapterUnusable


@dataclass(frozen=True, slots=True)
class Served:
    """What answers the requests of a deployment.

    Attributes:
        base: The base model.
        adapter: The adapter that always acts, if one is deployed.
        weights: Whole weights, where it answers in words.
    """

    base: Base
    adapter: Needed | None = None
    weights: Weights = BASE


class Loading:
    """Brings what is deployed into the renderer and the language models of one engine."""

    def __init__(
        self,
        catalog: Catalog,
        shelves: Shelves,
        revisions: Revisions,
        serving: ImageServing,
        language: LanguageServing,
    ) -> None:
        self._catalog = catalog
        self._shelves = shelves
        self._revisions = revisions
        self._serving = serving
        self._language = language

    def config(self, record: DeploymentRecord) -> tuple[Base, ServingConfig]:
        """Give the base model and the configuration of a deployment."""
        found = self._catalog.config(record.config_id)
        assert found is not None, record.config_id  # noqa: S101  # configurations are never taken away
        return found

    def served(self, record: DeploymentRecord) -> Served:
        """Say what a deployment serves.

        Raises:
            AdapterUnusable: Its files are gone.
        """
        base, _ = self.config(record)
        if record.model_id == base.model_id:
            return Served(base)
        model = self._shelves.models.get(record.model_id)
        if model is not None and model.type == "model":
            self._revision(record.revision_id)
            return Served(
                base, weights=Weights(record.revision_id, self._revisions.folder(record.revision_id))
            )
        return Served(base, self.adapter(base, record.revision_id))

    def adapter(self, base: Base, revision_id: str) -> Needed:
        """Say where an adapter's files lie: a file for pictures, a folder for text.

        Raises:
            AdapterUnusable: They are gone.
        """
        revision = self._revision(revision_id)
        folder = self._revisions.folder(revision.id)
        return Needed(revision.id, folder / str(revision.weights) if base.draws else folder)

    def load(self, served: Served) -> None:
        """Bring something into memory, and hold it there.

        Raises:
            AdapterUnusable: An adapter changes other than the predicted number of layers, or can't be read.
            LorryError: What shall carry it can't be opened.
        """
        if not served.base.draws:
            self._language.open(served.weights)
        if served.adapter is None:
            return
        modules = self._modules(served.base, served.adapter)
        revision = self._revision(served.adapter.key)
        if modules != revision.modules:
            self._drop(served)
            raise AdapterUnusable(
                f"The adapter was injected into {modules} layers of the base model, but the check of "
                f"its file predicted {revision.modules}."
            )

    def resume(self, record: DeploymentRecord) -> Served:
        """Say what a running deployment serves, and have it loaded (again, after a restart).

        Raises:
            LorryError: It can't be loaded.
        """
        served = self.served(record)
        if served.adapter:
            self.hold(served.base, served.adapter)
        return served

    def hold(self, base: Base, adapter: Needed) -> None:
        """Have an adapter loaded that was loaded before (a restart may lie between).

        Raises:
            LorryError: It can't be loaded.
        """
        self._modules(base, adapter)

    def release(self, record: DeploymentRecord) -> None:
        """Take out of memory what a deployment served, unless another still needs it."""
        self.release_revision(record.revision_id, apart_from=record.id)

    def release_revision(self, revision: str, apart_from: str | None = None) -> None:
        """Take a revision out of memory, unless something still needs it.

        Args:
            revision: Its id.
            apart_from: Id of the deployment or the attachment that lets go of it.
        """
        deployed = any(
            other.id != apart_from
            and other.revision_id == revision
            and other.phase not in ("stopped", "failed")
            for other in self._shelves.deployments.all()
        )
        attached = any(
            other.id != apart_from and revision in (other.revision_id, other.realized_id)
            for other in self._shelves.attachments.all()
        )
        if not deployed and not attached:
            self._serving.release(revision)
            self._language.release(revision)
            self._language.forget(Weights(revision))

    def _modules(self, base: Base, adapter: Needed) -> int:
        if base.draws and base.name != self._catalog.drawn:
            raise AdapterUnusable(
                f"This engine draws with {self._catalog.drawn}, and the adapter is for {base.name}.",
                fix=f"Start another engine with `--base {base.name}`.",
                evidence={"base": base.name, "drawn": self._catalog.drawn},
            )
        return (self._serving.keep(adapter) if base.draws else self._language.keep(adapter)).modules

    def _drop(self, served: Served) -> None:
        if served.adapter:
            (self._serving if served.base.draws else self._language).release(served.adapter.key)

    def _revision(self, key: str) -> RevisionRecord:
        revision = self._shelves.revisions.get(key)
        if revision is None or revision.weights is None:
            raise AdapterUnusable(f"The revision {key} is not there any more.")
        return revision
