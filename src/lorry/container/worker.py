"""A job from its payload to its pictures: read, LoRAs ready, drawn, encoded, handed over."""

from __future__ import annotations

import base64
import hashlib
import io
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lorry.container.bench import Bench, Drawing, Use
from lorry.container.loras import Loras, ReadyLora
from lorry.container.orders import JobOrder, read_order
from lorry.errors import AdapterUnusable, OptionInvalid

if TYPE_CHECKING:
    from lorry.container.bench import Picture

#: Stores a file under a name and gives the address at which it can be fetched.
Store = Callable[[str, bytes], str]

_JPEG_QUALITY = 92


class Worker:
    """Draws jobs, one after another.

    Args:
        open_bench: Opens the base model; called once, by `setup`.
        open_loras: Opens what brings LoRAs, given the base's id; called once, by `setup`.
        store: Stores pictures that a job wants as addresses; `None` where there is no storage.
    """

    def __init__(
        self,
        open_bench: Callable[[], Bench],
        open_loras: Callable[[str], Loras],
        store: Store | None = None,
    ) -> None:
        self._open_bench = open_bench
        self._open_loras = open_loras
        self._store = store
        self._bench: Bench | None = None
        self._loras: Loras | None = None

    def setup(self) -> None:
        """Open the base model.

        Raises:
            LorryError: It can't be opened.
        """
        self._bench = self._open_bench()
        self._loras = self._open_loras(self._bench.base)

    def shutdown(self) -> None:
        """Let go of the base model."""
        if self._bench is not None:
            self._bench.close()

    def predict(self, args: Mapping[str, Any], job: str = "picture") -> dict[str, Any]:
        """Draw one job.

        Args:
            args: Its payload (`orders.py`).
            job: Its id; stored pictures are named after it.

        Returns:
            `images` (index, seed, format, sha256, and `b64_json` or `url` each), `loras` (path, digest, scale
            and the layers that each changes), `base`, and `timings` in seconds.

        Raises:
            LorryError: It can't be drawn; nothing of it was.
        """
        if self._bench is None or self._loras is None:
            raise RuntimeError("setup has not been called")
        begun = time.perf_counter()
        order = read_order(args, largest=self._bench.largest, multiple=self._bench.multiple)
        if order.by_address and self._store is None:
            message = "This worker has no storage to put pictures into; it answers with them."
            raise OptionInvalid(message, fix="Leave response_format out, or set it to base64.")
        ready = [self._loras.ready(lora) for lora in order.loras]
        layers = [self._loaded(self._bench, lora) for lora in ready]
        fetched = time.perf_counter()
        pictures = self._bench.draw(_drawings(order, ready))
        drawn = time.perf_counter()
        return {
            "images": [self._row(order, job, index, picture) for index, picture in enumerate(pictures)],
            "loras": _used(order, ready, layers),
            "base": self._bench.base,
            "timings": {"loras": round(fetched - begun, 4), "inference": round(drawn - fetched, 4)},
        }

    @staticmethod
    def _loaded(bench: Bench, lora: ReadyLora) -> int:
        """Load a LoRA, and hold what was loaded against what the check foretold."""
        changed = bench.load(lora.digest, lora.file)
        if changed != lora.layers:
            raise AdapterUnusable(
                f"The LoRA {lora.digest[:12]} was put into {changed} layers of {bench.base}, but the check "
                f"of its file foretold {lora.layers}.",
                evidence={"digest": lora.digest, "expected": lora.layers, "found": changed},
            )
        return changed

    def _row(self, order: JobOrder, job: str, index: int, picture: Picture) -> dict[str, Any]:
        data = encoded(picture, order.form)
        row = {
            "index": index,
            "seed": order.seed + index,
            "format": order.form,
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        if order.by_address and self._store is not None:
            return {**row, "url": self._store(f"{job}-{index}.{order.form}", data)}
        return {**row, "b64_json": base64.b64encode(data).decode()}


def encoded(picture: Picture, form: str) -> bytes:
    """Write a picture as a file.

    Args:
        picture: uint8 [height, width, 3], RGB.
        form: `png` or `jpeg`.
    """
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture, "RGB").save(out, format=form.upper(), quality=_JPEG_QUALITY)
    return out.getvalue()


def _drawings(order: JobOrder, ready: Sequence[ReadyLora]) -> list[Drawing]:
    # The same file twice in one job acts with both strengths together, as the field's loaders add changes up.
    scales: dict[str, float] = {}
    for lora, wanted in zip(ready, order.loras, strict=True):
        scales[lora.digest] = scales.get(lora.digest, 0.0) + wanted.scale
    uses = tuple(Use(digest, scale) for digest, scale in scales.items())
    return [
        Drawing(
            prompt=order.prompt,
            seed=order.seed + number,
            width=order.width,
            height=order.height,
            steps=order.steps,
            guidance=order.guidance,
            negative_prompt=order.negative_prompt,
            uses=uses,
        )
        for number in range(order.count)
    ]


def _used(order: JobOrder, ready: Sequence[ReadyLora], layers: Sequence[int]) -> list[dict[str, Any]]:
    from lorry.weights.origins.access import without_secrets

    return [
        {
            "path": without_secrets(wanted.path) if "://" in wanted.path else wanted.path,
            "digest": lora.digest,
            "scale": wanted.scale,
            "layers": changed,
        }
        for wanted, lora, changed in zip(order.loras, ready, layers, strict=True)
    ]
