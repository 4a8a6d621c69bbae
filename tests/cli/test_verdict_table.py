"""The table of verdicts: it fits a terminal, says why, and its commands can be copied."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lorry.cli.verdicts import WIDTH, verdict_lines
from lorry.model.verdict import Reason, Runs, Verdict

COMMAND = "lorry convert style.safetensors -o style-diffusers.safetensors --to diffusers"
RUNS = Verdict("comfyui", "loader", Runs.YES, (), None, 494)
MENDED = Verdict(
    "diffusers",
    "loader",
    Runs.CONVERTED,
    (Reason("LOADER_LIMIT", "diffusers ignores all 988 tensors.", True, "--to diffusers"),),
    COMMAND,
    494,
)
CLOSED = Verdict("together-v1", "route", Runs.NO, (Reason("ROUTE_CLOSED", "It is closed.", True),))


def test_a_row_for_each_target_and_the_commands_below() -> None:
    """Target, verdict, reason with its code; a command that serves several targets is printed once."""
    also = Verdict("together-container", "route", Runs.CONVERTED, MENDED.reasons, COMMAND, 494)
    assert verdict_lines([RUNS, CLOSED, MENDED, also]) == [
        "WHERE               VERDICT                WHY",
        "comfyui             runs                   494 layers are changed.",
        "together-v1         does not run           It is closed. [ROUTE_CLOSED]",
        "diffusers           runs after conversion  diffusers ignores all 988 tensors. [LOADER_LIMIT]",
        "together-container  runs after conversion  diffusers ignores all 988 tensors. [LOADER_LIMIT]",
        "",
        "To run on diffusers, together-container:",
        f"  {COMMAND}",
    ]


def test_what_is_good_to_know_is_said_where_the_file_runs() -> None:
    """Under the verdict; not where it does not run anyway, and never how many adapters fit at once."""
    notes = (Reason("LICENCE_LIMIT", "Not for sale.", False), Reason("ADAPTERS_LIMIT", "Two at once.", False))
    told = "\n".join(verdict_lines([Verdict("diffusers", "loader", Runs.YES, notes, None, 3)]))
    assert "Not for sale." in told
    assert "Two at once." not in told
    no = Verdict("diffusers", "loader", Runs.NO, (*CLOSED.reasons, *notes))
    assert "Not for sale." not in "\n".join(verdict_lines([no]))


@given(st.text(st.characters(categories=["L", "N", "P", "Z"]), min_size=1, max_size=300))
def test_the_table_fits_its_width(sentence: str) -> None:
    """Whatever the sentence: no line of the table is wider, and no word of it is lost."""
    verdict = Verdict("together-container", "route", Runs.NO, (Reason("LOADER_LIMIT", sentence, True),))
    lines = verdict_lines([verdict])
    assert all(len(line) <= WIDTH for line in lines)
    assert "".join(sentence.split()) in "".join("".join(lines).split())
