"""The edge page in a real browser, before the whole system with its own gateway and rings."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from core.actor import SYSTEM
from core.db import begin
from hub.domains.accounts import service as accounts
from hub.domains.flags import service as flags
from hub.domains.flags.schemas import PutFlag
from hub.processes.system_pool import system_pool
from tests.e2e.console import (
    PHONE,
    axe_violations,
    expect_connected,
    has_horizontal_scroll,
    press_ring,
    violations_by_day_and_night,
)
from tests.fixtures import patient
from tests.fixtures.postgres import run
from tests.fixtures.stack import Stack
from tests.fixtures.waiting import wait_until

ADA = "Ada Lovelace"
Open = Callable[..., Page]


@pytest.fixture
def edge_page(window: Callable[..., Page], stack: Stack) -> Open:
    def open_page(name: str = ADA, **options: Any) -> Page:
        page = window(**options)
        page.get_by_role("button", name=name).click()
        expect_connected(page)
        page.goto(f"{stack.url}/console/edge")
        expect_connected(page)
        return page

    return open_page


@pytest.fixture
def ada(stack: Stack) -> httpx.Client:
    """REST as Ada, the owner of the stack's gateway."""
    client = patient.client(stack.url)
    users = client.get("/v1/auth/development/users").json()["items"]
    user = next(user for user in users if user["full_name"] == ADA)
    signed_in = client.post("/v1/auth/development/sign-in", json={"user_id": user["id"]}).json()
    client.headers["Authorization"] = f"Bearer {signed_in['access_token']}"
    return client


def gateway_card(page: Page, name: str) -> Any:
    heading = page.get_by_role("heading", name=name, exact=True)
    return page.locator("#gateways > li").filter(has=heading)


def first_gateway(ada: httpx.Client) -> dict[str, Any]:
    return ada.get("/v1/gateways").json()["items"][0]


def open_details(page: Page, name: str) -> Any:
    card = gateway_card(page, name)
    card.locator("summary").click()
    return card


def test_rings_show_their_battery_and_link_as_the_gateway_tells_them(edge_page: Open) -> None:
    page = edge_page()
    ring = page.locator("#rings > li").first
    expect(ring.locator(".ring-link")).to_have_text("Connected", timeout=20_000)
    expect(ring.locator(".battery")).to_have_text(re.compile(r"\d+ % battery"))
    expect(ring).to_contain_text("Firmware")


def test_a_ring_is_lost_and_found_and_its_taps_are_shown_as_they_come(
    edge_page: Open, stack: Stack
) -> None:
    page = edge_page()
    ring = page.locator("#rings > li").filter(has=page.get_by_text("Active")).first
    name = ring.get_by_role("heading").inner_text()
    ring.get_by_role("button", name="Report lost").click()
    page.get_by_role("dialog").get_by_role("button", name="Report lost").click()
    card = page.locator("#rings > li").filter(has=page.get_by_role("heading", name=name))
    expect(card.locator(".badge")).to_have_text("Lost")
    card.get_by_role("button", name="Report found").click()
    expect(card.locator(".badge")).to_have_text("Active")


def test_a_tap_stands_on_the_timeline_and_is_reached_by_keyboard(
    edge_page: Open, stack: Stack
) -> None:
    page = edge_page()
    before = page.locator("#timeline .mark").count()
    for _ in range(2):
        press_ring(stack, next(ring["name"] for ring in stack.rings))
    expect(page.locator("#timeline .mark")).to_have_count(before + 2)
    page.locator("#timeline .mark[tabindex='0']").focus()
    page.keyboard.press("End")
    expect(page.locator("#timeline-words")).to_contain_text("Tap to phone")
    last = page.evaluate("document.activeElement.dataset.mark")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.dataset.mark") != last
    assert page.locator("#timeline .mark[tabindex='0']").count() == 1


def test_a_gateway_answers_calls_from_its_card(edge_page: Open, ada: httpx.Client) -> None:
    name = first_gateway(ada)["name"]
    page = edge_page()
    expect(gateway_card(page, name).locator(".badge")).to_have_text("Online", timeout=20_000)
    card = open_details(page, name)
    card.get_by_role("button", name="Collect log").click()
    expect(card.locator(".log")).to_contain_text("process_ready", timeout=15_000)
    card.get_by_role("button", name="Rescan").click()
    expect(page.locator("#notice-words")).to_contain_text("scans anew", timeout=15_000)


def test_a_ring_blinks(edge_page: Open, ada: httpx.Client) -> None:
    page = edge_page()
    expect(page.locator("#rings .ring-link").first).to_have_text("Connected", timeout=20_000)
    card = open_details(page, first_gateway(ada)["name"])
    card.get_by_role("button", name="Let it blink").click()
    expect(page.locator("#notice-words")).to_contain_text("blinks", timeout=15_000)


def test_a_configuration_reaches_the_gateway_and_a_conflict_is_shown(
    edge_page: Open, ada: httpx.Client
) -> None:
    gateway = first_gateway(ada)
    page = edge_page()
    card = open_details(page, gateway["name"])
    card.get_by_role("button", name="Configure").click()
    dialog = page.get_by_role("dialog")
    change = {"config": {"health_seconds": 20}, "config_rev": gateway["config_rev"]}
    assert ada.patch(f"/v1/gateways/{gateway['id']}", json=change).status_code == 200
    dialog.get_by_label("Health report every").fill("30")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Configuration changed meanwhile")
    expect(dialog).to_contain_text("health_seconds 20")
    expect(dialog.get_by_label("Health report every")).to_have_value("30")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    revision = gateway["config_rev"] + 2
    expect(card.locator(".details")).to_contain_text(f"In effectrevision {revision}")


def test_a_gateway_is_added_with_a_command_to_copy_and_cast_out(
    edge_page: Open, stack: Stack
) -> None:
    page = edge_page()
    page.get_by_role("button", name="Add a gateway").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Porch")
    dialog.get_by_role("button", name="Make a claim code").click()
    command = dialog.locator("#claim-command").inner_text()
    assert re.fullmatch(rf"pinghub gateway claim [0-9A-Z-]+ --hub {re.escape(stack.url)}", command)
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator("#claim-command")).to_have_count(0)
    assert command.split()[3] not in page.content()
    page.get_by_role("button", name="Add a gateway").click()
    dialog.get_by_label("Name").fill("Porch")
    dialog.get_by_role("button", name="Make a claim code").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Name taken")
    dialog.get_by_role("button", name="Cancel").click()
    card = open_details(page, "Porch")
    card.get_by_role("button", name="Cast out").click()
    dialog.get_by_role("button", name="Cast out").click()
    expect(gateway_card(page, "Porch")).to_have_count(0)


def test_a_touch_waits_for_the_users_word(edge_page: Open) -> None:
    page = edge_page()
    touch = {
        "id": "01930000-0000-7000-8000-000000000001",
        "ring_id": None,
        "tap_id": None,
        "state": "mutual",
        "is_asked": True,
        "answer": None,
        "partner_id": None,
        "conversation_id": None,
        "touched_at": None,
        "expires_at": "2099-01-01T00:00:00Z",
        "created_at": "2026-01-01T00:00:00Z",
    }
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(f"{route.request.method} {route.request.url.partition('/v1')[2]}")
        waiting = [] if route.request.method == "POST" or len(asked) > 1 else [touch]
        body = touch if route.request.method == "POST" else {"items": waiting}
        route.fulfill(body=json.dumps(body), content_type="application/json")

    page.route("**/v1/touches**", answer)
    page.reload()
    row = page.locator("#touches > li")
    row.get_by_role("button", name="Confirm").click()
    expect(row).to_have_count(0)
    assert f"POST /touches/{touch['id']}/confirm" in asked


def test_nobody_is_shut_out(edge_page: Open, stack: Stack, ada: httpx.Client) -> None:
    page = edge_page(viewport=PHONE)
    press_ring(stack, next(ring["name"] for ring in stack.rings))
    expect(page.locator("#timeline .mark")).not_to_have_count(0)
    open_details(page, first_gateway(ada)["name"])
    assert violations_by_day_and_night(page) == []
    assert not has_horizontal_scroll(page)
    page.get_by_role("button", name="Add a gateway").click()
    assert violations_by_day_and_night(page) == []


def test_who_is_not_signed_in_is_led_to_the_door(window: Open, stack: Stack) -> None:
    page = window()
    page.goto(f"{stack.url}/console/edge")
    expect(page.get_by_role("heading", name="Nobody is signed in here")).to_be_visible()
    assert axe_violations(page) == []


def test_a_ring_is_released_and_claimed_again_by_its_code_and_a_press(
    edge_page: Open,
) -> None:
    page = edge_page()
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


@pytest.fixture
def administrator(stack: Stack) -> str:
    """Make somebody an administrator; return their name."""
    name = "Alan Turing"
    run(_grant(stack, name))
    return name


async def _grant(stack: Stack, name: str) -> None:
    async with system_pool(stack.settings) as pool, begin(pool, SYSTEM) as tx:
        (found,) = await accounts.find_accounts(tx, name=name, role=None, after=None, limit=2)
        await accounts.set_role(tx, found.id, "admin")


@pytest.fixture
def audit_page(window: Open, stack: Stack, administrator: str) -> Open:
    def open_page(query: str = "", **options: Any) -> Page:
        page = window(**options)
        page.get_by_role("button", name=administrator).click()
        expect_connected(page)
        page.goto(f"{stack.url}/console/audit{query}")
        expect(page.locator("#entries > li").first).to_be_visible()
        return page

    return open_page


@pytest.mark.req("SEC-03")
def test_an_administrator_finds_who_did_what_by_keyboard_alone(
    audit_page: Open, ada: httpx.Client
) -> None:
    changed = ada.patch("/v1/me", json={"locale": "en-GB"})
    page = audit_page()
    page.get_by_label("Request id").focus()
    page.keyboard.type(changed.headers["x-request-id"])
    page.keyboard.press("Enter")
    expect(page.locator("#entries > li")).to_have_count(1)
    expect(page.locator("#entries-count")).to_have_text("1 on record")
    entry = page.locator("#entries > li")
    expect(entry).to_contain_text("A user changed users")
    entry.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(entry.get_by_role("row", name="locale")).to_contain_text("en-GB")
    expect(entry).to_contain_text("PATCH /v1/me")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Who did it (id)")).not_to_have_value("")
    expect(page.get_by_label("Request id")).to_have_value("")
    expect(page.locator("#entries > li")).not_to_have_count(1)
    assert page.evaluate("document.activeElement.id") == "entries-title"
    address = page.url
    assert "actor_id=" in address
    page.reload()
    expect(page.get_by_label("Who did it (id)")).not_to_have_value("")
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_label("Who did it (id)")).to_have_value("")
    expect(page.locator("#entries")).to_contain_text("An administrator looked at audit_log")


def test_older_entries_follow_and_nothing_is_said_to_be_there_that_is_not(
    audit_page: Open, ada: httpx.Client
) -> None:
    for number in range(60):
        ada.patch("/v1/me", json={"full_name": f"{ADA} {number}"})
    ada.patch("/v1/me", json={"full_name": ADA})
    page = audit_page("?resource_type=users&action=update")
    expect(page.locator("#entries > li")).to_have_count(50)
    expect(page.get_by_label("Deed")).to_have_value("update")
    page.get_by_role("button", name="Show older ones").click()
    expect(page.locator("#entries > li")).not_to_have_count(50)
    page.get_by_label("Kind of thing").fill("nothing")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("Nothing of this kind is on record.")).to_be_visible()
    page.get_by_label("Who did it (id)").fill("no id")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#problem")).to_contain_text("actor_id")


def test_the_audit_page_shuts_nobody_out(audit_page: Open) -> None:
    page = audit_page("?resource_type=users", viewport=PHONE)
    page.locator("#entries summary").first.click()
    expect(page.locator("#entries table").first).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert axe_violations(page) == []
    assert not has_horizontal_scroll(page)


def test_who_is_no_administrator_sees_no_entry(edge_page: Open, window: Open, stack: Stack) -> None:
    page = edge_page()
    page.goto(f"{stack.url}/console/audit")
    expect(page.get_by_role("heading", name="For administrators")).to_be_visible()
    expect(page.locator("#entries > li")).to_have_count(0)
    assert axe_violations(page) == []
    page = window()
    page.goto(f"{stack.url}/console/audit")
    expect(page.get_by_role("heading", name="Nobody is signed in here")).to_be_visible()


async def _add_flag(stack: Stack) -> None:
    async with system_pool(stack.settings) as pool, begin(pool, SYSTEM) as tx:
        await flags.put_flag(tx, "new-cards", PutFlag(enabled=False, description="cards, redrawn"))


HEAR_OF_FLAGS = """token => {
  globalThis.heard = [];
  const url = `ws://${location.host}/connection/websocket`;
  const client = new Centrifuge(url, { token });
  const flags = client.newSubscription("flags:all");
  flags.on("publication", ({ data }) => heard.push(data.type));
  const ready = new Promise((resolve) => flags.on("subscribed", resolve));
  flags.subscribe();
  client.connect();
  return ready.then(() => true);
}"""


@pytest.mark.req("OPS-04")
def test_an_administrator_switches_a_flag_by_keyboard_and_it_holds_within_a_second(
    window: Open, stack: Stack, administrator: str, ada: httpx.Client
) -> None:
    run(_add_flag(stack))
    phone = window()
    phone.evaluate(HEAR_OF_FLAGS, ada.headers["Authorization"].removeprefix("Bearer "))
    page = window(viewport=PHONE)
    page.get_by_role("button", name=administrator).click()
    expect_connected(page)
    page.goto(f"{stack.url}/console/flags")
    flag = page.locator("#flag-new-cards")
    expect(flag).to_contain_text("cards, redrawn")
    assert ada.get("/v1/flags").json() == {"on": []}
    flag.get_by_role("spinbutton").fill("100")
    page.keyboard.press("Tab")
    notice = page.locator("#notice-words")
    expect(notice).to_have_text("new-cards is off.")
    flag.get_by_role("switch").focus()
    page.keyboard.press("Space")
    expect(notice).to_have_text("new-cards is on for 100 % of all users.")
    expect(flag.get_by_role("switch")).to_be_checked()
    expect(flag.get_by_role("switch")).to_be_focused()
    answer = {"on": ["new-cards"]}
    wait_until(lambda: ada.get("/v1/flags").json() == answer, "the flag to be on", seconds=1)
    phone.wait_for_function("heard.includes('flags.changed')", timeout=5000)
    assert axe_violations(page) == []
    assert not has_horizontal_scroll(page)
