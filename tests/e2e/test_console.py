"""The console in a real browser, before the whole system: every part between ring and page runs."""

import asyncio
import json
import re
import statistics
import threading
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.console import (
    SignIn,
    expect_connected,
    open_thread,
    press,
    press_ring,
    taps,
)
from tests.fixtures.chromium import AUTHENTICATOR
from tests.fixtures.stack import Stack

LATENCY_GOAL_MS = 500


@pytest.fixture
def find_lost_rings(stack: Stack) -> Iterator[None]:
    """Undo what the interface cannot: the demo rings serve the other tests too."""
    yield

    async def find() -> None:
        connection = await asyncpg.connect(stack.settings.database.owner_url)
        await connection.execute("UPDATE rings SET status = 'active' WHERE status = 'lost'")
        await connection.close()

    # Playwright's own event loop runs in this thread.
    thread = threading.Thread(target=lambda: asyncio.run(find()))
    thread.start()
    thread.join()


@pytest.mark.req("RNG-02", "RTM-02")
def test_a_pressed_ring_is_seen_live_in_every_window_of_its_owner(signed_in: SignIn) -> None:
    here, there, elsewhere = (
        signed_in("Ada Lovelace"),
        signed_in("Ada Lovelace"),
        signed_in("Grace Hopper"),
    )
    expect(there.locator("#rings > li")).to_have_count(2)
    known = taps(there)
    strangers = taps(elsewhere)
    press(here)
    expect(there.locator("#taps > li")).to_have_count(len(known) + 1)
    assert taps(there) == taps(here)
    expect(here.locator("#taps > li").first).to_contain_text("Tap to phone")
    expect(here.locator("#taps > li").first).to_contain_text("verified")
    assert taps(elsewhere) == strangers


def test_a_tap_is_in_the_page_within_half_a_second_of_the_press(signed_in: SignIn) -> None:
    page = signed_in("Ada Lovelace")
    took = page.locator(".took").first
    milliseconds: list[int] = []
    for _ in range(10):
        page.evaluate("document.querySelector('.took').textContent = ''")
        press(page)
        expect(took).to_contain_text("ms after the press")
        milliseconds.append(int("".join(filter(str.isdigit, took.inner_text()))))
    assert statistics.median(milliseconds) <= LATENCY_GOAL_MS


def test_a_tap_that_comes_by_the_list_and_live_is_shown_once(
    signed_in: SignIn, stack: Stack
) -> None:
    page = signed_in("Ada Lovelace")
    press(page, 0)
    press(page, 1)
    known = taps(page)

    def tap_before_the_list_is_answered(route: Any) -> None:
        press_ring(stack, "ada-1")
        newest = known[0]
        while newest == known[0]:
            answer = route.fetch()
            newest = answer.json()["items"][0]["id"]
        # The list holds the tap and waits here until the page has it by the websocket too.
        expect(page.locator(f'[data-tap="{newest}"]')).to_be_visible()
        route.fulfill(response=answer)

    page.route("**/v1/rings/taps?*", tap_before_the_list_is_answered, times=1)
    page.reload()
    expect_connected(page)
    expect(page.locator("#taps > li")).to_have_count(len(known) + 1)
    shown = taps(page)
    assert shown[1:] == known
    assert shown == sorted(shown, reverse=True)


@pytest.mark.req("MSG-01", "MSG-05", "RTM-01")
def test_a_message_appears_on_the_other_side_and_so_does_the_answer(signed_in: SignIn) -> None:
    ada, grace = signed_in("Ada Lovelace"), signed_in("Grace Hopper")
    open_thread(ada, "Grace Hopper")
    expect(ada.locator("#bubbles > li").first).to_be_visible()  # the demo's own words
    said = ada.locator("#bubbles > li").count()
    greeting, answer = (f"Hello <b>{ada.evaluate('crypto.randomUUID()')}</b>", "Hello\nyourself")

    ada.get_by_role("textbox", name="Message to Grace Hopper").fill(greeting)
    ada.get_by_role("button", name="Send").click()
    expect(grace.locator("#people").get_by_role("button", name="Ada Lovelace")).to_contain_text(
        "1 unread message"
    )
    open_thread(grace, "Ada Lovelace")
    expect(grace.locator("#bubbles > li").last).to_contain_text(greeting)
    expect(grace.locator("#people .unread:visible")).to_have_count(0)

    grace.get_by_role("textbox", name="Message to Ada Lovelace").fill(answer)
    grace.keyboard.press("Enter")
    expect(ada.locator("#bubbles > li").last).to_contain_text("Hello yourself")
    expect(ada.locator("#bubbles > li")).to_have_count(said + 2)
    assert ada.locator("#bubbles .draft").count() == 0


def test_the_first_message_counts_once_though_its_conversation_was_asked_for_twice(
    signed_in: SignIn,
) -> None:
    grace, alan = signed_in("Grace Hopper"), signed_in("Alan Turing")
    held: list[Route] = []

    def answer_together(route: Route) -> None:
        held.append(route)
        if len(held) == 2:
            # The first was answered before the message was written, the second after it.
            opened = held[0].fetch()
            held[0].fulfill(response=opened, json={**opened.json(), "last_message_at": None})
            held[1].continue_()

    alan.route(re.compile("/v1/conversations/[^/?]+$"), answer_together, times=2)
    open_thread(grace, "Alan Turing")
    grace.get_by_role("textbox", name="Message to Alan Turing").fill("Good morning")
    grace.get_by_role("button", name="Send").click()
    expect(alan.locator("#people").get_by_role("button", name="Grace Hopper")).to_contain_text(
        ", 1 unread message"
    )


def test_a_message_whose_answer_was_lost_is_sent_again_but_exists_once(signed_in: SignIn) -> None:
    ada = signed_in("Ada Lovelace")
    open_thread(ada, "Alan Turing")
    text = f"Once {ada.evaluate('crypto.randomUUID()')}"

    def lose_answer(route: Any) -> None:
        route.fetch()
        route.abort()

    ada.route("**/messages", lose_answer, times=1)
    ada.get_by_role("textbox", name="Message to Alan Turing").fill(text)
    ada.keyboard.press("Enter")
    expect(ada.get_by_role("alert")).to_contain_text("The hub did not answer.")
    ada.get_by_role("button", name="Send again").click()
    expect(ada.get_by_role("button", name="Send again")).to_have_count(0)
    expect(ada.locator("#bubbles > li", has_text=text)).to_have_count(1)
    ada.reload()
    expect_connected(ada)
    open_thread(ada, "Alan Turing")
    expect(ada.locator("#bubbles > li", has_text=text)).to_have_count(1)


def test_a_ring_is_renamed_everywhere_at_once(signed_in: SignIn) -> None:
    here, there = signed_in("Grace Hopper"), signed_in("Grace Hopper")
    press(here)
    old = here.locator("#rings h3").inner_text()
    for label in ("Grace's new ring", old):
        here.get_by_role("button", name="Rename").click()
        here.get_by_role("textbox", name="Name of the ring").fill(label)
        here.get_by_role("button", name="Save").click()
        for page in (here, there):
            expect(page.get_by_role("heading", name=label)).to_be_visible()
            expect(page.locator(".tap-ring").first).to_have_text(label)


def test_a_ring_reported_lost_is_pressed_no_more(signed_in: SignIn, find_lost_rings: None) -> None:
    here, there = signed_in("Grace Hopper"), signed_in("Grace Hopper")
    here.get_by_role("button", name="Report lost").click()
    here.get_by_role("button", name="Keep ring").click()
    expect(here.locator("#rings .badge")).to_have_text("Active")
    here.get_by_role("button", name="Report lost").click()
    here.get_by_role("dialog").get_by_role("button", name="Report lost").click()
    for page in (here, there):
        expect(page.locator("#rings .badge")).to_have_text("Lost")
        expect(page.get_by_role("button", name="Tap ring")).to_have_count(0)
    expect(here.locator("#notice-words")).to_contain_text("is reported lost")


def test_a_refusal_is_shown_in_words_with_its_request_id(signed_in: SignIn) -> None:
    page = signed_in("Ada Lovelace")
    page.get_by_role("button", name="Rename").first.click()
    field = page.get_by_role("textbox", name="Name of the ring")
    field.evaluate("field => field.removeAttribute('maxlength')")
    field.fill("x" * 81)
    with page.expect_response("**/v1/rings/*") as refused:
        page.get_by_role("button", name="Save").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Invalid value.")
    expect(alert).to_contain_text("label")
    expect(alert).to_contain_text(refused.value.json()["request_id"])
    alert.get_by_role("button", name="Dismiss").click()
    expect(page.locator("#problem")).to_be_hidden()
    page.keyboard.press("Escape")


def test_a_reload_keeps_the_session_and_another_window_does_not_share_it(
    signed_in: SignIn,
) -> None:
    page = signed_in("Grace Hopper")
    stored = page.evaluate("JSON.stringify([{...localStorage}, document.cookie])")
    assert json.loads(stored) == [{}, ""]
    page.reload()
    expect_connected(page)
    expect(page.get_by_text("Grace Hopper", exact=True).first).to_be_attached()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open a second window").click()
    expect(opened.value.get_by_role("heading", name="Who are you?")).to_be_visible()


def test_a_passkey_makes_an_account_where_the_page_leads_from_its_address(
    window: Callable[..., Page],
) -> None:
    page = window()
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    page.get_by_role("link", name="Open this page there").click()
    page.get_by_role("textbox", name="New here? Your name").fill("Hedy Lamarr")
    page.get_by_role("button", name="Create an account with a passkey").click()
    expect_connected(page)
    expect(page.locator("#rings-empty")).to_be_visible()


def test_signing_out_ends_the_session_at_the_hub(signed_in: SignIn) -> None:
    page = signed_in("Grace Hopper")
    refresh_token = page.evaluate("sessionStorage.getItem('pinghub.refresh_token')")
    with page.expect_response("**/v1/auth/logout"):
        page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Who are you?")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    status = page.evaluate(
        "token => fetch('/v1/auth/refresh', {method: 'POST', body: JSON.stringify({refresh_token:"
        " token}), headers: {'Content-Type': 'application/json'}}).then(answer => answer.status)",
        refresh_token,
    )
    assert status == 401


def test_a_session_that_the_hub_ended_leads_back_to_the_sign_in(signed_in: SignIn) -> None:
    page = signed_in("Grace Hopper")
    page.evaluate("sessionStorage.setItem('pinghub.refresh_token', 'x'.repeat(43))")
    page.reload()
    expect(page.get_by_role("heading", name="Who are you?")).to_be_visible()
    expect(page.locator("#notice-words")).to_contain_text("Your session has ended")
