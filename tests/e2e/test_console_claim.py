"""A person parts with a ring and claims it again, in a browser."""

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.e2e.test_console import browser, expect_connected, window
from tests.fixtures.stack import Stack

__all__ = ["browser", "window"]


def test_a_ring_is_released_and_claimed_again_by_its_code_and_a_press(
    window: Callable[..., Page], stack: Stack
) -> None:
    page = window()
    page.get_by_role("button", name="Ada Lovelace").click()
    expect_connected(page)
    page.goto(f"{stack.url}/console/edge")
    expect_connected(page)
    dialog: Any = page.get_by_role("dialog")
    cards = page.locator("#rings > li")
    card = cards.filter(has=page.get_by_role("heading", name="ada-1", exact=True))
    expect(card.locator(".ring-link")).to_have_text("Connected", timeout=20_000)
    card.get_by_role("button", name="Release").click()
    dialog.get_by_role("button", name="Release").click()
    code = dialog.locator("#released-code").inner_text()
    assert re.fullmatch(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", code)
    dialog.get_by_role("button", name="Close").click()
    expect(card.locator(".badge")).to_have_text("Released")

    page.get_by_role("button", name="Claim a ring").click()
    dialog.get_by_label("Code on the ring's card").fill(code.lower())
    dialog.get_by_label("Name of the ring").fill("Mine again")
    dialog.get_by_role("button", name="Claim").click()
    dialog.get_by_role("button", name="Press the virtual ring").click()
    dialog.get_by_role("button", name="Talk to the ring").click()
    expect(dialog.locator("#claim-said")).to_have_text("The ring is yours.", timeout=20_000)
    dialog.get_by_role("button", name="Close").click()
    mine = cards.filter(has=page.get_by_role("heading", name="Mine again", exact=True))
    expect(mine.locator(".badge")).to_have_text("Active")
