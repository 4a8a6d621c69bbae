"""Run an engine as a process: bind, lock the home, answer, leave cleanly."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from lorry.engine.app import Engine, build
from lorry.engine.clock import stamp
from lorry.engine.config import EngineConfig
from lorry.engine.discovery import Note, remove_note, running, write_note
from lorry.engine.doorkeeper import LoopbackNamesOnly
from lorry.engine.drawing.port import ImageServing
from lorry.engine.language.port import LanguageModel
from lorry.engine.storage_faults import storage_faults
from lorry.engine.works import open_works
from lorry.errors import HomeBusy, OptionInvalid
from lorry.listening import IDLE_SECONDS, bind, is_own, quiet_signals, url_of
from lorry.model.report import WeightsReport

#: How long requests that are being answered may take to end once the engine is told to stop.
_GRACE_SECONDS = 5


def serve(
    config: EngineConfig,
    drawing: ImageServing,
    host: str = "127.0.0.1",
    port: int = 8765,
    *,
    announce: Callable[[str], None] | None = None,
    stop_with_stdin: bool = False,
) -> None:
    """Run an engine until it is told to stop (SIGINT or SIGTERM).

    Args:
        config: What it is told.
        drawing: What it draws with; closed with it.
        host: Address to listen at; another than loopback needs `config.api_key`.
        port: Port to listen at; 0 takes any free one.
        announce: Called with its URL once it answers.
        stop_with_stdin: End when standard input closes, so that a parent never leaves an engine behind.

    Raises:
        PortTaken: Something else listens there.
        HomeBusy: An engine runs on the same home already.
        OptionInvalid: It would be open to others without a key.
        DiskFull: No space is left.
        NotWritable: The home can't be written.
    """
    _refuse_open_door(config, host)
    with _bound(host, port) as listener, _locked(config.home):
        url = url_of(host, listener)
        engine = build(
            open_works(config),
            drawing,
            check_weights,
            lambda folder: _open_language(config, folder),
        )

        def answering() -> None:
            now = stamp(engine.works.clock.now())
            write_note(config.home, Note(url=url, pid=os.getpid(), started_at=now))
            engine.serving.warm_up()
            if announce:
                announce(url)

        try:
            _run(AnnouncingServer(engine, answering), listener, stop_with_stdin=stop_with_stdin)
        finally:
            remove_note(config.home)


class AnnouncingServer(uvicorn.Server):
    """A server that says when it answers.

    Args:
        engine: What answers.
        answering: Called once connections are taken.
    """

    def __init__(self, engine: Engine, answering: Callable[[], None]) -> None:
        # Without a key of its own the engine trusts whoever reaches it at a loopback address; a page in a
        # browser must not get there by giving its own name that address.
        open_door = engine.works.config.api_key is None
        super().__init__(
            uvicorn.Config(
                LoopbackNamesOnly(engine.app) if open_door else engine.app,
                log_level="warning",
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=_GRACE_SECONDS,
                timeout_keep_alive=IDLE_SECONDS,
            )
        )
        self._answering = answering

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to take connections, then say so."""
        await super().startup(sockets)
        if self.started:
            self._answering()


def _stop_at_end_of_stdin(server: uvicorn.Server) -> None:
    # Read past Python's buffers: a daemon thread that holds one of their locks stops the interpreter's exit.
    while os.read(0, 4096):
        pass
    server.should_exit = True


def check_weights(source: Path, base: str) -> WeightsReport:
    """Validate uploaded files with the check that `lorry check` runs."""
    from lorry.weights import check

    return check(source, base=base, clock=None)  # the upload has ended, however fresh the file is


def _open_language(config: EngineConfig, folder: Path | None) -> LanguageModel:
    from lorry.engine.language.open import open_language

    return open_language(folder, config.folder / "language", config.threads)


def _run(server: AnnouncingServer, listener: socket.socket, *, stop_with_stdin: bool) -> None:
    if stop_with_stdin:
        threading.Thread(target=_stop_at_end_of_stdin, args=(server,), daemon=True).start()
    with quiet_signals():
        server.run(sockets=[listener])


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    listener = bind(host, port)
    try:
        yield listener
    finally:
        listener.close()


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    path = home / "engine" / "engine.lock"
    with storage_faults(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            url = running(home)
            raise HomeBusy(
                f"An engine runs on {home} already{' at ' + url if url else ''}.",
                fix="Use that one, or another home with `--home`.",
                evidence={"home": str(home), "url": url},
            ) from error
        yield


def _refuse_open_door(config: EngineConfig, host: str) -> None:
    if not is_own(host) and config.api_key is None:
        raise OptionInvalid(
            f"The engine would be open to everybody who reaches {host}, since it takes any key.",
            fix="Set LORRY_ENGINE_KEY, or leave `--host` out to listen at 127.0.0.1 only.",
            evidence={"host": host},
        )
