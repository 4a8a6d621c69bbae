"""The whole sweep: `python -m tests.crash [EVERY]` prints what was tried as a table (`make sweep`)."""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.crash.conftest import running
from tests.crash.sweeping import HEAD, ROUTES, Tried, sweep


def main(every: int) -> int:
    """Sweep all routes, two at a time, and print the table; gives the exit status."""

    def one(route: str) -> list[Tried]:
        with running() as runner, tempfile.TemporaryDirectory() as folder:
            return list(sweep(runner, Path(folder), route, every))

    with ThreadPoolExecutor(2) as pool:
        tried = [each for found in pool.map(one, ROUTES) for each in found]
    print(HEAD)
    for each in tried:
        print(each.row)
    kills = sum(each.kills for each in tried)
    wrong = [sentence for each in tried for sentence in each.wrong]
    print(f"\n{kills} kills; {kills - len(wrong)} ended as without a kill.")
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
