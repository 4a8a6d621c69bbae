"""Files that are something else."""

from __future__ import annotations

from pathlib import Path

from lorry.weights import check


def test_a_text_file_is_not_quoted(tmp_path: Path) -> None:
    """A report never repeats what a file named by mistake says: it may be a key, and reports are logged."""
    file = tmp_path / "adapter.safetensors"
    file.write_text("TOGETHER_API_KEY=tgp_v1_secret\n")
    report = check(file)
    assert [finding.code for finding in report.findings] == ["FILE_TEXT"]
    assert "secret" not in str(report.as_dict())
