"""The ways from the gateway to places, built from settings."""

from __future__ import annotations

from lorry.errors import EngineNotRunning, KeyMissing, Unreachable
from lorry.generation.ports import Line, Upstream
from lorry.model.serving import Place
from lorry.settings import Settings
from lorry.wiring import ANY_KEY, engine_address


class Lines:
    """The ways to places, each opened once.

    Args:
        settings: Where the platforms are, and their keys.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._embedded: Line | None = None
        self._together: Line | None = None
        self._known: dict[str, Line] = {}

    def __call__(self, place: Place) -> Line:
        """Give the way to a place.

        Raises:
            KeyMissing: It needs a key, and none is set.
        """
        line = self._known.get(place.key)
        if line is None:
            line = self._known[place.key] = self._line(embedded=place.embedded)
        return line

    def _line(self, *, embedded: bool) -> Line:
        from lorry.platforms.together.line import TogetherLine

        settings = self._settings
        if embedded:
            if self._embedded is None:
                key = settings.engine_key or ANY_KEY
                self._embedded = TogetherLine(engine_address(settings), key, EngineNotRunning)
            return self._embedded
        if self._together is None:
            if settings.together_key is None:
                raise KeyMissing(f"Asking {settings.together_url} needs a key, and none is set.")
            self._together = TogetherLine(settings.together_url, settings.together_key, Unreachable)
        return self._together

    def forget(self) -> None:
        """Look again: the engine may have been started at another port, and a model be somewhere else."""
        self._embedded = None
        self._known.clear()


def client_of(settings: Settings) -> Upstream:
    """Build the HTTP client that the environment calls for: through a proxy where it names one."""
    from lorry.upstream.direct import DirectUpstream
    from lorry.upstream.proxied import ProxiedUpstream, proxies_named

    direct = DirectUpstream(settings.answer_seconds)
    if not proxies_named():
        return direct
    from lorry.upstream.steady import SteadyUpstream

    return ProxiedUpstream(direct, SteadyUpstream(settings.answer_seconds, proxies=True))
