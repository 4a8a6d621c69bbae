"""What the header's metadata lets be seen, and what it lacks: private things, a trigger word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lorry.model.report import Finding
from lorry.weights.catalogue import finding
from lorry.weights.trainers.privacy import privacy_finding


def label_findings(metadata: Mapping[str, str], trigger: str | None) -> Iterator[Finding]:
    """Report private things in the header, and a trigger word that nothing names.

    Args:
        metadata: The header's metadata.
        trigger: The trigger word, where one was found.
    """
    found = privacy_finding(metadata)
    if found is not None:
        yield found
    if trigger is None:
        yield finding("TRIGGER_MISSING", "No trigger word is named, so prompts are sent as they are.")
