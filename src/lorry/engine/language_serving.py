"""The engine's language models: opened when first needed, asked in batches, by one thread.

Requests that wait for the same weights are answered together, each with its own adapter. A streamed answer
has the model to itself from its first word to its last, or until nobody listens any more.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lorry.engine.drawing.port import Needed
from lorry.engine.language.port import LanguageModel, LoadedTextAdapter, TextAnswer, TextRequest
from lorry.errors import AdapterUnusable, LorryError

#: Requests that are answered in one batch; what waits beyond goes into the next one.
MOST_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Weights:
    """Whole weights that answer: a checkpoint by its key and folder, or the base model without a folder."""

    key: str
    folder: Path | None = None


BASE = Weights("base")

#: Opens whole weights: the base model for `None`, else the checkpoint in a folder.
OpenLanguage = Callable[[Path | None], LanguageModel]


@dataclass(frozen=True, slots=True)
class _Waiting:
    weights: Weights
    request: TextRequest
    answer: Future[TextAnswer]


class LanguageServing:
    """The language models and the adapters that are loaded in them.

    Args:
        open_model: Opens whole weights; called once for each, when they are first needed.
    """

    def __init__(self, open_model: OpenLanguage) -> None:
        self._open = open_model
        self._lock = threading.RLock()
        self._models: dict[str, LanguageModel] = {}
        self._residents: dict[str, LoadedTextAdapter] = {}
        self._waiting: deque[_Waiting] = deque()
        self._closing = threading.Event()
        self._line = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lorry-language")

    def close(self) -> None:
        """End what is being answered at its next word, and take no other request."""
        self._closing.set()
        self._line.shutdown(wait=True, cancel_futures=True)

    def open(self, weights: Weights) -> None:
        """Open whole weights, if they are not open yet.

        Raises:
            LorryError: They can't be opened.
        """
        self._model(weights)

    def forget(self, weights: Weights) -> None:
        """Close a checkpoint; the base model stays, and what is not open is fine."""
        with self._lock:
            if weights != BASE:
                self._models.pop(weights.key, None)

    def keep(self, needed: Needed) -> LoadedTextAdapter:
        """Load an adapter into the base model and keep it until `release`.

        Args:
            needed: Its key and the folder with its files.

        Raises:
            LorryError: The base model can't be opened, or can't take the adapter.
        """
        # Not behind the lock: what is loaded need not wait for an answer that is being written.
        if resident := self._residents.get(needed.key):
            return resident
        with self._lock:
            if needed.key not in self._residents:
                self._residents[needed.key] = self._model(BASE).load(needed.key, needed.path)
            return self._residents[needed.key]

    def release(self, key: str) -> None:
        """Unload an adapter; one that is not loaded is fine."""
        # In line, for who lets go of an adapter need not wait for an answer that is being written.
        if self._residents.pop(key, None) and not self._closing.is_set():
            self._line.submit(self._unload, key)

    def loaded(self) -> frozenset[str]:
        """Name the adapters that are loaded now."""
        return frozenset(self._residents)

    def probe(self, key: str) -> None:
        """Let a loaded adapter say one word, to see that it can.

        Raises:
            AdapterUnusable: It can't.
        """
        word = TextRequest(prompt="Hello", adapter=key, max_tokens=1, temperature=0)
        try:
            with self._lock:
                self._model(BASE).answer([word])
        except LorryError:
            raise
        except Exception as error:
            message = f"The adapter was loaded, but its first word failed: {type(error).__name__}: {error}."
            raise AdapterUnusable(message) from error

    async def answer(self, weights: Weights, request: TextRequest) -> TextAnswer:
        """Answer a request when its turn comes, together with others that wait for the same weights.

        Raises:
            LorryError: The weights can't be opened, or the adapter is not loaded.
        """
        waiting = _Waiting(weights, request, Future())
        self._waiting.append(waiting)
        self._line.submit(self._turn)
        return await asyncio.wrap_future(waiting.answer)

    async def stream(self, weights: Weights, request: TextRequest) -> AsyncGenerator[str | TextAnswer]:
        """Give the pieces of an answer as they come, and the whole answer last; leaving early ends it.

        Raises:
            LorryError: The weights can't be opened, or the adapter is not loaded.
        """
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | TextAnswer | BaseException | None] = asyncio.Queue()
        left = threading.Event()

        def send(piece: str | TextAnswer | BaseException | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        self._line.submit(self._speak, weights, request, send, left)
        try:
            while (piece := await pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            left.set()

    def _unload(self, key: str) -> None:
        with self._lock:
            if key not in self._residents and BASE.key in self._models:
                self._models[BASE.key].unload(key)

    def _turn(self) -> None:
        batch = self._next_batch()
        if not batch:
            return  # an earlier turn took it along
        try:
            with self._lock:
                answers = self._model(batch[0].weights).answer([waiting.request for waiting in batch])
        except Exception as error:  # noqa: BLE001  # whatever it is, each request gets it as its own
            self._apart(batch, error)
            return
        for waiting, answer in zip(batch, answers, strict=True):
            waiting.answer.set_result(answer)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        later: deque[_Waiting] = deque()
        while self._waiting and len(batch) < MOST_AT_ONCE:
            waiting = self._waiting.popleft()
            fits = not batch or waiting.weights == batch[0].weights
            if fits and waiting.answer.set_running_or_notify_cancel():
                batch.append(waiting)
            elif not fits:
                later.append(waiting)
        self._waiting.extendleft(reversed(later))
        return batch

    def _apart(self, batch: list[_Waiting], error: Exception) -> None:
        """Answer the requests of a batch that failed one by one: one of them must not spoil the others."""
        if len(batch) == 1:
            batch[0].answer.set_exception(error)
            return
        for waiting in batch:
            try:
                with self._lock:
                    (answer,) = self._model(waiting.weights).answer([waiting.request])
            except Exception as own:  # noqa: BLE001  # whatever it is, the request gets it
                waiting.answer.set_exception(own)
            else:
                waiting.answer.set_result(answer)

    def _speak(
        self,
        weights: Weights,
        request: TextRequest,
        send: Callable[[str | TextAnswer | BaseException | None], None],
        left: threading.Event,
    ) -> None:
        try:
            with self._lock:
                if left.is_set():
                    return
                pieces = self._model(weights).stream(request)
                for piece in pieces:
                    send(piece)
                    if left.is_set() or self._closing.is_set():
                        break
                if close := getattr(pieces, "close", None):
                    close()
        except Exception as error:  # noqa: BLE001  # whatever it is, the listener gets it
            send(error)
        finally:
            send(None)

    def _model(self, weights: Weights) -> LanguageModel:
        with self._lock:
            if weights.key not in self._models:
                self._models[weights.key] = self._open(weights.folder)
            return self._models[weights.key]
