"""The console in a real browser: its windows, and what tests do and see in them."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.fixtures.stack import Stack

AXE = Path("node_modules/axe-core/axe.min.js")
DESKTOP = {"width": 1280, "height": 820}
PHONE = {"width": 360, "height": 740}
SignIn = Callable[..., Page]


def expect_connected(page: Page) -> None:
    expect(page.locator("#connection")).to_have_text("Connected", timeout=20_000)
    expect(page.locator("#desk")).not_to_have_attribute("aria-busy", "true", timeout=20_000)


def taps(page: Page) -> list[str]:
    return page.locator("#taps > li").evaluate_all("rows => rows.map(row => row.dataset.tap)")


def press_ring(stack: Stack, name: str) -> None:
    """Press a ring by hand: the hub need not be there."""
    stack.press(next(ring["device_id"] for ring in stack.rings if ring["name"] == name))


def press(page: Page, ring: int = 0) -> None:
    """Press one of the rings and wait for its tap to arrive."""
    before = page.locator("#taps > li").count()
    page.get_by_role("button", name="Tap ring").nth(ring).click()
    expect(page.locator("#taps > li")).to_have_count(before + 1)


def open_thread(page: Page, name: str) -> None:
    page.locator("#people").get_by_role("button", name=name).click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def has_horizontal_scroll(page: Page) -> bool:
    return page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )


def axe_violations(page: Page) -> list[str]:
    page.evaluate(AXE.read_text() + "\n;undefined")
    found = page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',"
        " 'best-practice']})"
    )
    return [
        f"{issue['impact']} {issue['id']}: {node['html'][:200]}"
        for issue in found["violations"]
        for node in issue["nodes"]
    ]


def violations_by_day_and_night(page: Page) -> list[str]:
    """Return what axe finds in the light colours and in the dark ones, which the page ends in."""
    found: list[str] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += axe_violations(page)
    return found
