"""From a file to pictures and back, in a browser: the way of somebody who never opens a terminal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.browser.conftest import Opening
from tests.journeys.conftest import EXAMPLES, Terminal, terminal
from tests.journeys.test_serve import serving

__all__ = ["terminal"]

pytestmark = pytest.mark.journey

FILE = EXAMPLES / "tok" / "pytorch_lora_weights.safetensors"


@pytest.fixture
def priced(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run an engine that rehearses Together's hardware and prices, under a keeper that looks often."""
    monkeypatch.setenv("LORRY_KEEPER_SECONDS", "1")
    process = terminal.start("engine", "--hardware", "together", "--port", "0")
    assert process.stdout is not None
    process.stdout.readline()
    yield
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


#: Remembers that a picture was seen while it was drawn.
_SEES_PREVIEWS = """new MutationObserver(() => {
  window.seen ||= document.querySelector(".previews img") !== null;
}).observe(document.querySelector("#results"), { childList: true, subtree: true })"""


@pytest.mark.usefixtures("priced")
def test_from_a_dropped_file_to_pictures_and_to_nothing(terminal: Terminal, opening: Opening) -> None:
    """Drop, check, ship at its price, watch, compare, scale, stop, retire: all seen without a reload."""
    with serving(terminal) as (url, _):
        screen = opening(url)
        page = screen.go("/deliver")
        page.set_input_files("#files", FILE)
        screen.sees("fit to ship", "#report")
        page.locator("form.route", has_text="local").get_by_role("button").wait_for()
        page.fill("#ship-name", "mine")
        screen.keep("journey-deliver")
        page.get_by_role("button", name="Ship for $5.49 per replica-hour").click()
        page.wait_for_url("**/models/mine")
        page.evaluate("window.same = true")
        page.locator("h1 + .pill.good").wait_for()
        assert page.locator(".timeline li").count() >= 10
        assert page.evaluate("window.same")
        page.locator("#proof img").nth(1).wait_for()
        screen.sees("1 replica of 1xnvidia-h100-80gb, $5.49 an hour")
        screen.sees("runs", "#report")
        screen.keep("journey-model")

        page.get_by_role("link", name="Try it").click()
        page.fill("#prompt", "an apple")
        page.fill("#seed", "7")
        page.fill("#steps", "50")
        page.get_by_label("with and without it").check()
        page.evaluate(_SEES_PREVIEWS)
        page.get_by_role("button", name="Generate").click()
        page.locator("#both img").nth(1).wait_for()
        assert page.evaluate("window.seen")
        pictures = page.locator("#results article img")
        sizes = [
            pictures.nth(number).evaluate("(each) => each.decode().then(() => each.naturalWidth)")
            for number in (0, 1)
        ]
        assert sizes == [64, 64]
        page.locator("#history li").nth(1).wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").last.click()
        assert download.value.suggested_filename == "mine-7.png"
        screen.keep("journey-playground")

        page = screen.go("/models/mine")
        page.get_by_role("button", name="Scale").click()
        page.fill("#replicas", "2")
        page.get_by_role("dialog").get_by_role("button", name="Scale").click()
        page.get_by_role("button", name="Scale for $10.98 per hour").wait_for()
        screen.keep("journey-price")
        page.get_by_role("button", name="Leave it").click()
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("dialog").get_by_role("button", name="Stop").click()
        screen.sees("is stopped, and bills nothing by the hour", "#notice")
        page.locator("h1 + .pill", has_text="asleep").wait_for()
        page.get_by_role("button", name="Retire").click()
        page.get_by_role("dialog").get_by_role("button", name="Retire").click()
        screen.sees("Nothing of it runs or bills any more.")
    journal = terminal.ok("events", "mine")
    for did in ("Shipped to local", "Scale: asked for", "Stop: asked for", "Retire: asked for"):
        assert did in journal
    assert "By this machine." in journal


@pytest.mark.usefixtures("priced")
def test_a_server_that_is_killed_leaves_its_delivery_to_the_next(
    terminal: Terminal, opening: Opening
) -> None:
    """Killed right after something was shipped: the page tells that nobody answers, and goes on by itself."""
    with serving(terminal) as (url, process):
        screen = opening(url, complains=True)
        page = screen.go(f"/deliver?source={FILE}&name=mine")
        page.get_by_role("button", name="Ship for $5.49 per replica-hour").click()
        page.wait_for_url("**/models/mine")
        page.evaluate("window.same = true")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with serving(terminal, "--port", url.rpartition(":")[2]):
        page.locator("h1 + .pill.good").wait_for()
        assert page.evaluate("window.same")


def test_signing_in_and_out(terminal: Terminal, opening: Opening) -> None:
    """With tokens a page asks for one, says what is wrong with another, and forgets it when told to."""
    secret = terminal.data("token", "create", "--scope", "admin")["secret"]
    with serving(terminal) as (url, _):
        screen = opening(url, complains=True)
        page = screen.go("/costs?days=7")
        page.get_by_label("Token").fill("lorry_wrong")
        page.get_by_role("button", name="Sign in").click()
        screen.sees("unknown or was revoked")
        page.get_by_label("Token").fill(secret)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/costs?days=7")
        screen.sees("the house")
        assert secret not in page.content()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/login")
        screen.go("/health")
        page.get_by_label("Token").wait_for()
