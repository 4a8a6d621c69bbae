"""The check of a full checkpoint: its files, their headers, the index, the configuration.

How it works: the names tell which files belong together; the index says what lies where; then every file's
header is read and compared with it. The numbers themselves are not looked at: that takes a pass over all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lorry.errors import SourceNotFound
from lorry.model.report import Finding, WeightsReport, WeightsSummary
from lorry.weights.catalogue import StructureFault, counted, finding
from lorry.weights.checkpoint.index import (
    CheckpointFiles,
    ShardIndex,
    missing_findings,
    missing_shards,
    read_index,
    with_named,
)
from lorry.weights.checkpoint.names import WholeModel, recognised
from lorry.weights.checkpoint.settings import FILE, LARGEST, CheckpointConfig, read_checkpoint_config
from lorry.weights.checkpoint.shards import Opener, compare, duplicates, read_shards
from lorry.weights.files.listing import Listing
from lorry.weights.files.source import ByteSource, FileSource

KIND = "checkpoint"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a full checkpoint is, and everything that is wrong with it.

    Attributes:
        files: Its files.
        config: What its config.json says.
        model: Whose layers its weights are; `None` when it has hardly any.
        tensors: Tensors in all files together.
        parameters: Numbers in all tensors together.
        dtypes: Tensors by data type.
        size_bytes: Bytes of all weights files together.
        findings: What is wrong, file by file and between them.
    """

    files: CheckpointFiles
    config: CheckpointConfig
    model: WholeModel | None
    tensors: int
    parameters: int
    dtypes: Mapping[str, int]
    size_bytes: int
    findings: tuple[Finding, ...]

    @property
    def dtype(self) -> str | None:
        """The data type of its weights, `mixed` for several."""
        return (
            None
            if not self.dtypes
            else (next(iter(self.dtypes)).lower() if len(self.dtypes) == 1 else "mixed")
        )

    @property
    def sentence(self) -> str:
        """Write `LlamaForCausalLM (Llama 3 8B), 8,030,261,248 parameters in bf16, 4 shards, 16 … bytes`."""
        known = self.model.family if self.model else None
        name = self.config.architecture or "A checkpoint without a named class"
        named = f"{name} ({known.name})" if known else name
        shards = counted(len(self.files.weights), "shard" if self.files.sharded else "file")
        numbers = f"{counted(self.parameters, 'parameter')} in {self.dtype or 'no type'}"
        return f"{named}, {numbers}, {shards}, {counted(self.size_bytes, 'byte')}"

    def report(self, path: str) -> WeightsReport:
        """Give the findings and what is known as a report.

        Args:
            path: What the user named.
        """
        first = self.files.first
        known = self.model.family if self.model else None
        summary = WeightsSummary(
            path=path,
            file=self.files.index or (first.name if first else path),
            size_bytes=self.size_bytes,
            format="safetensors",
            family=known.key if known else None,
            base=known.bases[0].id if known and len(known.bases) == 1 else None,
            tensors=self.tensors,
            parameters=self.parameters,
            dtype=self.dtype,
            kind=KIND,
            confidence=self.model.coverage if known and self.model else None,
            choice=f"{self.sentence}.",
        )
        return WeightsReport(summary, self.findings)


def check_checkpoint(listing: Listing, files: CheckpointFiles, another: Opener) -> Checkpoint:
    """Check a checkpoint by the headers of all its files.

    Args:
        listing: Where it lies.
        files: Its files, as `find_checkpoint` finds them there.
        another: Opens a file of the listing by its path.
    """
    index = _index(files, another)
    if index is not None and index.places:
        files = with_named(files, index, listing)
    missing = missing_shards(files, index)
    shards = read_shards(files.weights, another)
    findings = [
        *(index.findings if index else ()),
        *missing_findings(files, missing),
        *shards.findings,
        *duplicates(shards),
    ]
    if index is not None and index.places:
        findings += compare(index, shards)
    if not files.weights and not missing:
        findings.append(finding("FILE_MISSING", "The checkpoint has no file with weights."))
    settings = read_checkpoint_config(_config_text(files.folder, another))
    return Checkpoint(
        files,
        settings,
        recognised(shards.matrices),
        len(shards.places),
        shards.parameters,
        dict(shards.dtypes.most_common()),
        sum(entry.size for entry in files.weights),
        (*findings, *settings.findings),
    )


def opener(folder: Path, stack: ExitStack) -> Opener:
    """Give what opens the files of a folder on disk for as long as a stack lasts.

    Args:
        folder: The folder.
        stack: Closes them.
    """

    def another(inside: str) -> ByteSource:
        return stack.enter_context(FileSource(folder / inside))

    return another


def _config_text(folder: str, another: Opener) -> str | None:
    source = _opened(another, folder + FILE)
    return None if source is None else source.read(0, min(source.size, LARGEST)).decode("utf-8", "replace")


def _index(files: CheckpointFiles, another: Callable[[str], ByteSource]) -> ShardIndex | None:
    if files.index is None:
        return None
    source = _opened(another, files.folder + files.index)
    if source is None:
        message = f"{files.index} can't be opened."
        return ShardIndex(findings=(finding("SHARD_INDEX", message, subject=files.index),))
    return read_index(files.index, source)


def _opened(another: Opener, path: str) -> ByteSource | None:
    try:
        return another(path)
    except (SourceNotFound, StructureFault, OSError, KeyError):
        return None  # what is not there is told by the finding that it leads to
