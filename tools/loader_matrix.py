"""Measure what diffusers does with every layout of every family, and write the table and its page.

    python tools/loader_matrix.py [--jobs N] [FAMILY ...]

Without names, all families that diffusers has a loader for are measured. The table is
`src/lorry/weights/loaders/data/diffusers.json`, the page `docs/reference/loaders.md`. Minutes; needs the extra `diffusers`.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # `python tools/loader_matrix.py` finds the other tools too
    sys.path.insert(0, str(ROOT))

from lorry.weights.bases.families import Family, families  # noqa: E402
from tools.ground_truth.tables import document  # noqa: E402

TABLE = ROOT / "src" / "lorry" / "weights" / "loaders" / "data" / "diffusers.json"
#: What each run leaves for the next one, so that one family can be measured again.
MEASURED = ROOT / "build" / "loader_matrix"


def loadable() -> list[Family]:
    """List the families that diffusers loads adapters for."""
    return [known for known in families() if known.component in ("transformer", "unet")]


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
        for key, found, seconds in pool.map(measure, wanted):
            MEASURED.joinpath(f"{key}.json").write_text(json.dumps(found), encoding="utf-8")
            print(
                f"{key}: {len(found['layouts'])} layouts, {len(found['mixed'])} mixes, {seconds:.0f} s",
                flush=True,
            )
    measured = {
        key: json.loads(MEASURED.joinpath(f"{key}.json").read_text(encoding="utf-8")) for key in known
    }
    TABLE.write_text(document(measured, datetime.now(UTC).date().isoformat()), encoding="utf-8")
    print(f"wrote {TABLE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
