"""The console while the hub, its history or the network is away, and afterwards."""

import contextlib
import re

import redis
from playwright.sync_api import Browser, expect

from tests.e2e.console import SignIn, expect_connected, press, press_ring, taps
from tests.fixtures.stack import Stack


def test_what_happened_while_the_hub_was_away_is_recovered_and_said(
    signed_in: SignIn, stack: Stack
) -> None:
    page = signed_in("Ada Lovelace")
    known = taps(page)
    stack.kill("serve")
    expect(page.locator("#connection")).to_contain_text("Reconnecting")
    expect(page.locator("#link-words")).to_contain_text("Connection to the hub lost")
    expect(page.get_by_role("button", name="Retry now")).to_be_visible()
    for _ in range(3):
        press_ring(stack, "ada-1")
    stack.start("serve")
    expect(page.locator("#notice-words")).to_have_text(
        "Connected again: recovered 3 missed events.", timeout=20_000
    )
    expect_connected(page)
    expect(page.get_by_role("button", name="Retry now")).to_be_hidden()
    assert taps(page)[3:] == known


def test_a_lost_history_is_said_and_the_lists_are_loaded_again(
    signed_in: SignIn, stack: Stack
) -> None:
    page = signed_in("Ada Lovelace")
    press(page)
    known = taps(page)
    stack.kill("serve")
    redis.Redis.from_url(stack.settings.redis.url).flushall()
    press_ring(stack, "ada-1")
    stack.start("serve")
    expect(page.locator("#notice-words")).to_have_text(
        "Connected again, but the history was lost: the lists were reloaded.", timeout=20_000
    )
    expect(page.locator("#taps > li").nth(1)).to_have_attribute("data-tap", known[0])
    press(page)


def test_the_wait_for_the_next_attempt_is_counted_down_and_can_be_cut_short(
    signed_in: SignIn, stack: Stack
) -> None:
    page = signed_in("Ada Lovelace")
    stack.kill("serve")
    # The waits grow, so that a long one is sure to come.
    expect(page.locator("#connection")).to_have_text(
        re.compile(r"Reconnecting in [345] s"), timeout=30_000
    )
    expect(page.locator("#connection")).to_have_text(re.compile(r"Reconnecting in [12] s"))
    stack.start("serve")
    expect(page.locator("#connection")).to_have_text(
        re.compile(r"Reconnecting in [345] s|Connected"), timeout=30_000
    )
    if page.get_by_role("button", name="Retry now").is_visible():
        page.get_by_role("button", name="Retry now").click()
    expect(page.locator("#connection")).to_have_text("Connected", timeout=2_000)


def test_a_device_without_network_is_told_apart_from_a_hub_that_is_away(
    signed_in: SignIn,
) -> None:
    page = signed_in("Ada Lovelace")
    page.context.set_offline(True)
    expect(page.locator("#connection")).to_have_text("Offline")
    expect(page.locator("#link-words")).to_contain_text("no network")
    page.context.set_offline(False)
    expect_connected(page)
    expect(page.locator("#notice-words")).to_contain_text("nothing was missed")


def test_without_the_sdk_the_page_says_what_to_run(browser: Browser, stack: Stack) -> None:
    with contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        page.route("**/console/sdk/centrifuge.js", lambda route: route.fulfill(status=404))
        page.goto(f"{stack.url}/console")
        expect(page.get_by_role("alert")).to_contain_text("make up")
