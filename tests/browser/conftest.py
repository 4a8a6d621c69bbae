"""A real Chromium before a real server: pages, what their console said, and pictures of them."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from lorry.settings import Settings
from tests.browser.world import settled
from tests.server.ground import settings_of
from tests.server.running import running_gateway

T = TypeVar("T")

#: Debian's; Playwright's own browsers are not installed.
CHROMIUM = shutil.which("chromium")

#: Root may not have a sandbox, and a container has little shared memory.
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]

#: Where pictures of the pages are kept; nowhere when it is not set. Read before the environment is wiped.
SCREENSHOTS = os.environ.get("LORRY_SCREENSHOTS")

#: Milliseconds that a page may take for anything: a machine that is busy with other tests is slow.
PATIENCE = 60_000

PHONE, DESK = (390, 844), (1280, 900)


def awaited(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end: in a thread, since Playwright holds a loop in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start the browser; skips where it is not installed (CONTRIBUTING.md).

    For one module: while it runs, no test of another can have an event loop.
    """
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (Debian's package `chromium`)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Screen:
    """A window of the browser, and everything that its console complained of.

    Attributes:
        page: The page.
        url: Address of the server.
        complaints: Errors and warnings of the console, and exceptions of scripts.
    """

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Go to a page of the server."""
        self.page.goto(self.url + path)
        return self.page

    def sees(self, text: str, within: str = "body") -> None:
        """Wait until a text is to be seen."""
        self.page.locator(within).get_by_text(text).first.wait_for()

    def keep(self, name: str) -> None:
        """Keep a picture of the page where pictures are kept."""
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


Opening = Callable[..., Screen]


@pytest.fixture
def opening(chromium: Browser) -> Iterator[Opening]:
    """Open windows; at the end no console may have complained of anything that was not expected."""
    screens: list[tuple[Screen, bool]] = []
    with ExitStack() as stack:

        def opened(
            url: str, *, size: tuple[int, int] = DESK, dark: bool = False, complains: bool = False
        ) -> Screen:
            context = chromium.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme="dark" if dark else "light",
                reduced_motion="reduce",
            )
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE)
            screen = Screen(context.new_page(), url)
            screens.append((screen, complains))

            def said(message: ConsoleMessage) -> None:
                if message.type in ("error", "warning"):
                    screen.complaints.append(message.text)

            screen.page.on("console", said)
            screen.page.on("pageerror", lambda error: screen.complaints.append(str(error)))
            return screen

        yield opened
        for screen, complains in screens:
            assert complains or screen.complaints == []


@contextmanager
def serving(home: Path, **more: str) -> Iterator[tuple[str, Settings]]:
    """Serve a home in which everything has happened."""
    settings = settings_of(home, **more)
    awaited(settled(settings))
    with running_gateway(settings) as url:
        yield url, settings


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve such a home for all tests of a module, which only look."""
    with serving(tmp_path_factory.mktemp("served") / "home") as (url, _):
        yield url
