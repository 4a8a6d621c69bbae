"""The tree of errors: drawn as it is, each with a sentence, a code, a next step, and who pays."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest

from lorry import errors
from lorry.cli.main import COMMANDS
from lorry.errors import LorryError, Pays
from lorry.platforms.together.faults import Faults


def _tree(root: type[LorryError]) -> Iterator[type[LorryError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__.startswith("lorry."):
            yield from _tree(child)


KINDS = list(_tree(LorryError))


def _drawn() -> dict[str, tuple[str, str | None]]:
    """Read the drawing: each name with its parent's and its code, where the drawing gives one."""
    found: dict[str, tuple[str, str | None]] = {}
    above = ["LorryError"]
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^([│ ]*)[├└]── (\w+)(?: +([a-z0-9_]+)(?: |$))?", line)
        if match:
            depth = len(match[1]) // 4 + 1
            above[depth:] = [match[2]]
            found[match[2]] = (above[depth - 1], match[3])
    return found


def test_the_drawing_is_the_tree() -> None:
    """Every error is drawn under its parent, and nothing else is."""
    real = {kind.__name__: kind.__bases__[0].__name__ for kind in KINDS if kind is not LorryError}
    assert {name: parent for name, (parent, _) in _drawn().items()} == real


def test_the_codes_in_the_drawing_are_the_codes() -> None:
    """A code beside a name is that error's code; leaves have one."""
    for name, (_, code) in _drawn().items():
        kind = getattr(errors, name)
        if not kind.__subclasses__():
            assert code == kind.code
    assert sum(code is not None for _, code in _drawn().values()) > 50


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
def test_an_error_says_all_that_it_promises(kind: type[LorryError]) -> None:
    """One sentence of meaning, a code of its own, a next step that exists, and who pays."""
    meaning = (inspect.getdoc(kind) or "").splitlines()[0]
    assert meaning.endswith((".", "to do next."))
    assert "code" in vars(kind)
    assert isinstance(kind.pays, Pays)
    assert kind.default_fix.endswith(".")
    for command in re.findall(r"`lorry ([a-z]+)", kind.default_fix):
        assert command in COMMANDS
    assert kind.__name__ in errors.__all__


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
def test_who_pays_and_repeating_go_into_the_data(kind: type[LorryError]) -> None:
    """A script reads from the data alone whether to repeat, and whether something is paid for meanwhile."""
    error = kind.__new__(kind)
    LorryError.__init__(error, "It broke.")
    data = error.as_dict()
    assert set(data) == {"code", "message", "fix", "retryable", "pays", "evidence"}
    assert (data["retryable"], data["pays"]) == (kind.retryable, str(kind.pays))


def test_an_error_whose_call_may_have_acted_is_not_said_to_be_free() -> None:
    """Whoever may have made something says that it may cost."""
    for kind in _tree(errors.PlatformError):
        assert getattr(kind, "may_have_acted", False) is (kind.pays is Pays.UNKNOWN), kind


def test_faults_do_not_show_the_key_in_their_repr() -> None:
    """A value that knows the key keeps it to itself."""
    assert "tgp_secret" not in repr(Faults("https://api.example", errors.Unreachable, "tgp_secret"))
