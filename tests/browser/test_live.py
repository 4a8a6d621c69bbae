"""What happens is seen as it happens, without a reload."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lorry.journal import step_done, step_started
from lorry.model.placement import PlacementState
from lorry.settings import Settings
from lorry.store import Store, open_store
from tests.browser.conftest import Opening, awaited, serving


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Settings]]:
    """Serve a home in which things go on."""
    with serving(tmp_path_factory.mktemp("moving") / "home") as found:
        yield found


def happen(settings: Settings, what: Callable[[Store], Awaitable[None]]) -> None:
    """Have another process write into the home."""

    async def write() -> None:
        async with open_store(settings.home) as store:
            await what(store)

    awaited(write())


def test_a_delivery_is_watched(moving: tuple[str, Settings], opening: Opening) -> None:
    """Each step is on the timeline a moment after it was written, and the state with it, without a reload."""
    url, settings = moving
    screen = opening(url)
    page = screen.go("/models/moving")
    screen.sees("38 % of 89.5 MB", ".timeline")
    page.evaluate("window.same = true")
    page.get_by_text("Every event").click()
    page.get_by_role("button", name="Hold").focus()
    now = datetime.now(UTC)

    async def uploaded(store: Store) -> None:
        await store.write(step_done("moving", "delivery", "upload", "All of it is there.", now, now))
        await store.write(step_started("moving", "delivery", "deploy", "One replica is asked for.", now))

    happen(settings, uploaded)
    screen.sees("All of it is there.", ".timeline")
    screen.sees("One replica is asked for.", ".timeline")
    assert page.locator(".journal tbody tr").first.is_visible()  # what was opened stays open
    assert page.evaluate("document.activeElement.textContent") == "Hold"

    async def ready(store: Store) -> None:
        placement = await store.placement("moving")
        assert placement is not None
        await store.save_placement(replace(placement, state=PlacementState.READY, updated_at=now))

    happen(settings, ready)
    page.locator("h1 + .pill.good").wait_for()
    assert page.evaluate("window.same")


def test_the_list_changes_under_the_eyes(moving: tuple[str, Settings], opening: Opening) -> None:
    """A model that failed, or is gone, is shown so within a moment; what was typed stays."""
    url, settings = moving
    screen = opening(url)
    page = screen.go("/?q=nowhere")
    page.evaluate("window.same = true")
    page.locator("tbody tr .pill.off").wait_for()

    async def gone(store: Store) -> None:
        await store.forget("nowhere-yet")

    happen(settings, gone)
    screen.sees("None of your models fits")
    assert page.evaluate("window.same")
    assert page.input_value("#q") == "nowhere"


def test_a_page_listens_again_after_the_server_was_away(home: Path, opening: Opening) -> None:
    """A server that is started again at the same address is found by itself."""
    from tests.server.running import running_gateway

    with serving(home) as (url, settings):
        screen = opening(url, complains=True)
        page = screen.go("/models/moving")
        screen.sees("38 % of 89.5 MB", ".timeline")
        page.evaluate("window.same = true")
    now = datetime.now(UTC)

    async def on(store: Store) -> None:
        await store.write(step_done("moving", "delivery", "upload", "It came while nobody looked.", now, now))

    happen(settings, on)
    with running_gateway(settings, port=int(url.rpartition(":")[2])):
        screen.sees("It came while nobody looked.", ".timeline")
        assert page.evaluate("window.same")
