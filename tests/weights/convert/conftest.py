"""Set before numpy is loaded: on a busy machine several threads wait for each other on matrices this thin."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
