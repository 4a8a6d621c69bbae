"""Measure what diffusers does with every layout of every family, and write the table and its page.

    python tools/loader_matrix.py [--jobs N] [FAMILY ...]

Without names, all families that diffusers has a loader for are measured, which takes minutes and the extra
`diffusers`. The table is `src/lorry/weights/loaders/data/diffusers.json` with a file for each family beside
it; `make docs` writes the page.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # `python tools/loader_matrix.py` finds the other tools too
    sys.path.insert(0, str(ROOT))

from lorry.weights.bases.families import Family, families, layer_names  # noqa: E402
from tools.ground_truth.tables import documents  # noqa: E402

DATA = ROOT / "src" / "lorry" / "weights" / "loaders" / "data"
#: What each run leaves for the next one, so that one family can be measured again.
MEASURED = ROOT / "build" / "loader_matrix"


def loadable() -> list[Family]:
    """List the families that diffusers loads adapters for, those with the most layers first."""
    found = [known for known in families() if known.component in ("transformer", "unet")]
    return sorted(found, key=lambda known: -sum(1 for _ in layer_names(known)))


def measure(key: str) -> tuple[str, dict[str, Any], float]:
    """Measure one family.

    Args:
        key: Its key.

    Returns:
        The key, what was measured, and the seconds that it took.
    """
    from tools.ground_truth.measure import Measurement

    start = perf_counter()
    known = next(known for known in loadable() if known.key == key)
    return key, Measurement(known).family(), perf_counter() - start


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("families", nargs="*")
    asked = parser.parse_args()
    known = [each.key for each in loadable()]
    wanted = asked.families or known
    MEASURED.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        running = [pool.submit(measure, key) for key in wanted]
        for done in as_completed(running):
            key, found, seconds = done.result()
            MEASURED.joinpath(f"{key}.json").write_text(json.dumps(found), encoding="utf-8")
            print(
                f"{key}: {len(found['layouts'])} layouts, {len(found['mixed'])} mixes, {seconds:.0f} s",
                flush=True,
            )
    measured = {
        key: json.loads(MEASURED.joinpath(f"{key}.json").read_text(encoding="utf-8")) for key in known
    }
    DATA.joinpath("diffusers").mkdir(exist_ok=True)
    for key, text in documents(measured, datetime.now(UTC).date().isoformat()).items():
        path = DATA / "diffusers" / f"{key}.json" if key else DATA / "diffusers.json"
        path.write_text(text, encoding="utf-8")
    print(f"wrote {DATA.relative_to(ROOT)}/diffusers.json and one file for each of {len(measured)} families")


if __name__ == "__main__":
    main()
