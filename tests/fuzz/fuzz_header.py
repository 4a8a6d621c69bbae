"""Fuzz the header reader and the whole check with atheris, which follows the branches of our code.

    python -m tests.fuzz.fuzz_header -max_total_time=20 -rss_limit_mb=512

Every option is libFuzzer's. An input that breaks the check is written to the working folder as crash-…;
`python -m tests.fuzz.fuzz_header crash-…` runs it again. Where atheris has no wheel, the seeds are run.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path


def main() -> int:
    """Fuzz the inputs that are named, or from the seeds when none is; gives the exit status."""
    if find_spec("atheris") is None:
        return _run_seeds()
    if any(not argument.startswith("-") for argument in sys.argv[1:]):
        _fuzz()
    # libFuzzer ends its process without a word to Python, so a second one keeps the folder of the seeds.
    with tempfile.TemporaryDirectory() as folder:
        _write_seeds(Path(folder))
        command = [sys.executable, "-m", "tests.fuzz.fuzz_header", *sys.argv[1:], folder]
        return subprocess.run(command, check=False).returncode


def _fuzz() -> None:
    import atheris

    with atheris.instrument_imports(include=["lorry.weights"]):
        from tests.fuzz import target
    atheris.Setup([sys.argv[0], f"-max_len={target.LONGEST}", *sys.argv[1:]], target.check)
    atheris.Fuzz()


def _write_seeds(folder: Path) -> None:
    from tests.fuzz import target

    for seed in target.seeds():
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


def _run_seeds() -> int:
    from tests.fuzz import target

    inputs = list(target.seeds())
    for seed in inputs:
        target.check(seed)
    print(f"atheris is not installed; the {len(inputs)} seeds were run.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
