"""The console in a real browser, before the whole system: every part between ring and page runs."""

import asyncio
import contextlib
import json
import re
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from tests.fixtures.chromium import AUTHENTICATOR, CHROMIUM, FLAGS
from tests.fixtures.ports import missing
from tests.fixtures.stack import Stack

AXE = Path("node_modules/axe-core/axe.min.js")
DESKTOP = {"width": 1280, "height": 820}
PHONE = {"width": 360, "height": 740}
LATENCY_GOAL_MS = 500

SignIn = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing("chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def window(browser: Browser, stack: Stack) -> Iterator[Callable[..., Page]]:
    """Open windows; afterwards none may have asked another origin or broken the page's policy."""
    contexts: list[BrowserContext] = []
    origins: set[str] = set()
    complaints: list[str] = []

    def open_window(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        context.on("request", lambda request: origins.add(urlsplit(request.url).netloc))
        page.on("websocket", lambda socket: origins.add(urlsplit(socket.url).netloc))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda line: (
                complaints.append(line.text) if "Content Security Policy" in line.text else None
            ),
        )
        page.goto(f"{stack.url}/console")
        return page

    yield open_window
    for context in contexts:
        context.close()
    own = urlsplit(stack.url).netloc
    assert origins <= {own, own.replace("127.0.0.1", "localhost")}
    assert complaints == []


@pytest.fixture
def signed_in(window: Callable[..., Page]) -> SignIn:
    def sign_in(name: str, **options: Any) -> Page:
        page = window(**options)
        page.get_by_role("button", name=name).click()
        expect_connected(page)
        return page

    return sign_in


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


def expect_connected(page: Page) -> None:
    expect(page.locator("#connection")).to_have_text("Connected", timeout=20_000)
    expect(page.locator("#desk")).not_to_have_attribute("aria-busy", "true")


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


def test_without_the_sdk_the_page_says_what_to_run(browser: Browser, stack: Stack) -> None:
    with contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        page.route("**/console/sdk/centrifuge.js", lambda route: route.fulfill(status=404))
        page.goto(f"{stack.url}/console")
        expect(page.get_by_role("alert")).to_contain_text("make up")


@pytest.mark.parametrize(
    "command",
    [("-m", "hub.embedded.node", "docs/examples/taps.mjs"), ("docs/examples/taps.py",)],
    ids=["javascript", "python"],
)
def test_the_client_example_prints_taps_of_the_named_user(
    stack: Stack, command: tuple[str, ...]
) -> None:
    client = subprocess.Popen(
        [sys.executable, *command, stack.url, "Grace Hopper"], stdout=subprocess.PIPE, text=True
    )
    assert client.stdout is not None
    try:
        assert client.stdout.readline() == "Following the taps of Grace Hopper; Ctrl-C ends.\n"
        # The subscription is part of connecting, so a tap from now on cannot be missed.
        press_ring(stack, "ada-1")
        press_ring(stack, "grace-1")
        assert "tap_to_phone" in client.stdout.readline()
    finally:
        client.kill()
        client.wait()
        client.stdout.close()


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
