"""What drawing leaves behind outside Lorry's own folders: nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_drawing_writes_nothing_into_the_user_s_home(tmp_path: Path) -> None:
    """The runtime's telemetry is off: opening the renderer makes no device id and no database of events."""
    script = "from lorry.engine.renderers import open_renderer; open_renderer('onnx', 1)"
    subprocess.run([sys.executable, "-c", script], env={**os.environ, "HOME": str(tmp_path)}, check=True)
    assert list(tmp_path.rglob("*")) == []
