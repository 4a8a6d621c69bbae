"""onnxruntime, kept from writing a device id and from sending usage data."""

from __future__ import annotations

import os
from typing import Any

#: Read by onnxruntime 1.32 when it is imported; without it the import alone makes ~/.cache/Microsoft with a
#: device id and a database of events to send.
SILENCE = "ORT_DISABLE_TELEMETRY"


def load_onnxruntime() -> Any:
    """Import onnxruntime with its telemetry off.

    Returns:
        The module.
    """
    os.environ.setdefault(SILENCE, "1")
    import onnxruntime

    return onnxruntime
