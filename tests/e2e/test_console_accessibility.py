"""The console for everybody: axe, small windows, the keyboard alone."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.console import (
    PHONE,
    SignIn,
    expect_connected,
    has_horizontal_scroll,
    open_thread,
    press,
    violations_by_day_and_night,
)
from tests.fixtures.stack import Stack


def test_the_page_has_no_accessibility_issue(
    signed_in: SignIn, window: Callable[..., Page], stack: Stack
) -> None:
    welcome = window()
    expect(welcome.get_by_role("button", name="Ada Lovelace")).to_be_visible()
    assert violations_by_day_and_night(welcome) == []

    desk = signed_in("Ada Lovelace", reduced_motion="reduce")
    press(desk)
    open_thread(desk, "Grace Hopper")
    desk.get_by_role("textbox", name="Message to Grace Hopper").fill("Is this readable?")
    desk.keyboard.press("Enter")
    expect(desk.locator("#bubbles > li").last).to_contain_text("readable")
    assert violations_by_day_and_night(desk) == []

    desk.get_by_role("button", name="Rename").first.click()
    desk.context.set_offline(True)
    expect(desk.locator("#connection")).to_have_text("Offline")
    desk.get_by_role("button", name="Tap ring").click()
    expect(desk.get_by_role("alert")).to_contain_text("The hub did not answer.")
    assert violations_by_day_and_night(desk) == []
    desk.context.set_offline(False)
    expect_connected(desk)

    desk.keyboard.press("Escape")
    desk.get_by_role("button", name="Report").last.click()
    expect(desk.get_by_role("dialog")).to_be_visible()
    assert violations_by_day_and_night(desk) == []


def test_at_360_pixels_nothing_scrolls_sideways(
    signed_in: SignIn, window: Callable[..., Page]
) -> None:
    welcome = window(viewport=PHONE)
    expect(welcome.get_by_role("button", name="Ada Lovelace")).to_be_visible()
    assert not has_horizontal_scroll(welcome)

    page = signed_in("Ada Lovelace", viewport=PHONE, has_touch=True)
    press(page)
    open_thread(page, "Grace Hopper")
    page.get_by_role("textbox", name="Message to Grace Hopper").fill("W" * 200)
    page.keyboard.press("Enter")
    expect(page.locator("#bubbles > li").last).to_contain_text("WWW")
    assert not has_horizontal_scroll(page)
    page.get_by_role("button", name="Rename").first.click()
    page.context.set_offline(True)
    expect(page.locator("#connection")).to_have_text("Offline")
    page.get_by_role("button", name="Tap ring").first.click()
    expect(page.get_by_role("alert")).to_contain_text("The hub did not answer.")
    assert not has_horizontal_scroll(page)


def test_everything_can_be_done_with_the_keyboard(window: Callable[..., Page]) -> None:
    page = window()
    expect(page.get_by_role("button", name="Ada Lovelace")).to_be_visible()

    def tab_to(role: Any, name: str) -> None:
        wanted = page.get_by_role(role, name=name).first
        for _ in range(40):
            page.keyboard.press("Tab")
            if wanted.evaluate("element => element === document.activeElement"):
                outline = wanted.evaluate("element => getComputedStyle(element).outlineStyle")
                assert outline != "none", f"{name} has no visible focus"
                return
        pytest.fail(f"Tab never reaches {name}")

    tab_to("button", "Ada Lovelace")
    page.keyboard.press("Enter")
    expect_connected(page)
    expect(page.locator("#rings > li")).to_have_count(2)
    before = page.locator("#taps > li").count()
    tab_to("button", "Tap ring")
    page.keyboard.press("Space")
    expect(page.locator("#taps > li")).to_have_count(before + 1)
    expect(page.locator("#announcer")).to_contain_text("New tap")

    tab_to("button", "Rename")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Name of the ring")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Rename").first).to_be_focused()

    tab_to("button", "Report")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep ring")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Report").first).to_be_focused()

    tab_to("button", "Grace Hopper")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Message to Grace Hopper")).to_be_focused()
    page.keyboard.type("Sent without a mouse")
    page.keyboard.press("Enter")
    expect(page.locator("#bubbles > li").last).to_contain_text("Sent without a mouse")
