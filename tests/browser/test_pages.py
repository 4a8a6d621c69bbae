"""Every page as it is seen: without a complaint, readable for everybody, with nothing that breaks out."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Dialog, Page

from tests.browser.conftest import PHONE, Opening
from tests.browser.world import EVIL, NASTY

PAGES = {
    "models": "/",
    "model-ready": "/models/anna-portrait",
    "model-words": "/models/parcel-helper",
    "model-moving": "/models/moving",
    "model-failed": "/models/brand-kit",
    "model-runs": "/models/ink-style",
    "model-asleep": "/models/sleeper",
    "model-gone": "/models/old-one",
    "model-evil": f"/models/{quote(EVIL, safe='')}",
    "deliver": "/deliver",
    "playground": "/playground?model=anna-portrait",
    "costs": "/costs",
    "health": "/health",
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_for_everybody(served: str, opening: Opening, name: str) -> None:
    """No console complains; axe finds nothing serious, light and dark; on a phone nothing is cut off."""
    screen = opening(served)
    page = screen.go(PAGES[name])
    _whole(page)
    assert _serious(page) == []
    screen.keep(f"{name}-light")
    if not name.startswith("model-") or name == "model-ready":
        page.emulate_media(color_scheme="dark")
        assert _serious(page) == []
        screen.keep(f"{name}-dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.reload()
    _whole(page)
    screen.keep(f"{name}-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def _whole(page: Page) -> None:
    """Wait until everything is there that a page fetches or draws by itself."""
    page.locator("h1").wait_for()
    if page.locator("#weights").count():
        page.locator("#report").wait_for()
    if page.locator(".chart").count():
        page.locator(".chart canvas").first.wait_for()


def _serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:120]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("name", ["models", "model-ready", "deliver", "playground", "costs", "health"])
def test_the_keyboard_goes_through_a_page(served: str, opening: Opening, name: str) -> None:
    """The first key leads past the navigation; everything that can be pressed can be reached, and is seen."""
    screen = opening(served)
    page = screen.go(PAGES[name])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    wanted = page.evaluate(_MEANT)
    reached: set[str] = set()
    for _ in range(wanted + 60):
        page.keyboard.press("Tab")
        here = page.evaluate(_HERE)
        if here is None:
            break
        assert here["area"] > 0, here
        reached.add(here["html"])
    assert len(reached) >= min(wanted, 10) * 0.8


_MEANT = """
    document.querySelectorAll('main a[href], main button:not([disabled]), main select, main summary').length
"""
_HERE = """(() => {
    const here = document.activeElement;
    if (!here || !here.closest('main')) return null;
    const box = here.getBoundingClientRect();
    return { html: here.outerHTML.slice(0, 200), area: box.width * box.height };
})()"""


def test_nothing_breaks_out_of_where_it_is_put(served: str, opening: Opening) -> None:
    """A model named like a script, and sentences full of signs, are shown as they are and do nothing."""
    screen = opening(served)
    asked: list[str] = []

    def alerted(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    screen.page.on("dialog", alerted)
    page = screen.go("/")
    row = page.locator("tbody tr", has_text=EVIL)
    assert NASTY[:60] in (row.text_content() or "")
    row.get_by_role("link", name=EVIL).click()
    page.wait_for_url("**/models/**")
    assert page.locator("h1").text_content() == EVIL
    assert NASTY in (page.locator(".timeline").text_content() or "")
    assert page.title() == f"{EVIL} · Lorry"
    screen.go("/models/parcel-helper")
    assert NASTY in (page.locator(".words").text_content() or "")
    for path in ("/", f"/models/{quote(EVIL, safe='')}", "/costs", "/health", "/models/parcel-helper"):
        screen.go(path)
        assert page.locator("img[src=x]").count() == 0
        assert page.evaluate("[...document.scripts].every((each) => each.src)")
    assert asked == []


def test_the_list_is_found_sorted_and_turned(served: str, opening: Opening) -> None:
    """Typing finds without a reload; states and order can be chosen; the address says it all again."""
    screen = opening(served)
    page = screen.go("/")
    page.evaluate("window.same = true")
    page.keyboard.press("/")
    page.keyboard.type("parcel llama")
    page.locator("#list tbody tr").nth(1).wait_for(state="detached")
    assert page.locator("#list tbody tr .name").all_text_contents() == ["parcel-helper"]
    page.fill("#q", "")
    page.locator("#list tbody tr").nth(4).wait_for()
    page.select_option("#state", "failed")
    page.locator("#list tbody tr").nth(1).wait_for(state="detached")
    assert page.locator("#list .name").all_text_contents() == ["brand-kit"]
    page.select_option("#state", "")
    page.select_option("#sort", "cost")
    page.wait_for_url("**sort=cost**")
    page.locator("#list tbody tr").nth(4).wait_for()
    assert page.evaluate("window.same")
    assert page.locator("#list .name").all_text_contents()[0] == "ink-style"
    page.reload()
    assert page.locator("#list .name").all_text_contents()[0] == "ink-style"
    assert page.input_value("#sort") == "cost"


def test_the_pictures_of_a_proof_lie_over_each_other(served: str, opening: Opening) -> None:
    """The slider cuts the picture with the adapter off, by mouse and by keyboard."""
    screen = opening(served)
    page = screen.go("/models/anna-portrait")
    slider = page.get_by_label("How much of the picture is shown without")
    assert page.evaluate(
        "[...document.querySelectorAll('#proof img')].every((each) => each.naturalWidth === 256)"
    )
    slider.fill("80")
    assert page.evaluate("document.querySelector('#proof').style.getPropertyValue('--cut')") == "80%"
    slider.press("ArrowLeft")
    assert page.evaluate("document.querySelector('#proof').style.getPropertyValue('--cut')") == "79%"


def test_charts_show_what_the_table_below_them_says(served: str, opening: Opening) -> None:
    """Spend and idle share by day are drawn, and can be read as a table."""
    screen = opening(served)
    page = screen.go("/costs")
    page.locator(".chart canvas").wait_for()
    given = page.evaluate("JSON.parse(document.querySelector('[data-chart]').dataset.chart)")
    assert [each["label"] for each in given["series"]] == ["Replicas", "Requests", "Idle share"]
    page.get_by_text("As a table").click()
    rows = page.locator("[aria-label='Spend by day'] tbody tr")
    assert rows.count() == len(given["x"]) == 30
    newest = rows.first.locator("td").all_text_contents()
    assert newest[1] == f"${given['series'][0]['values'][-1]:.2f}"
    page.select_option("#days", "7")
    page.locator("#spent[hx-get*='days=7']").wait_for()
    assert len(page.evaluate("JSON.parse(document.querySelector('[data-chart]').dataset.chart).x")) == 7
    page.locator(".chart canvas").wait_for()
