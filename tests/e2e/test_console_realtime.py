"""The operators' page in a real browser, before the whole system with its own keys."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import websockets.sync.client
from playwright.sync_api import Page, expect

from tests.e2e.console import (
    PHONE,
    has_horizontal_scroll,
    press_ring,
    violations_by_day_and_night,
)
from tests.fixtures import patient
from tests.fixtures.stack import Stack

HOSTILE = "<img src=x onerror=alert(1)>"

Open = Callable[..., Page]
Connect = Callable[..., dict[str, Any]]
Publish = Callable[[str, Any], None]
OWN_CHANNELS = 7
"""Taps, messages, sync, health, insights, achievements, notifications."""


@pytest.fixture
def key(stack: Stack) -> str:
    return stack.settings.realtime.api_keys


@pytest.fixture
def page_of(window: Open, stack: Stack) -> Open:
    def open_page(**options: Any) -> Page:
        page = window(**options)
        page.goto(f"{stack.url}/console/realtime")
        return page

    return open_page


@pytest.fixture
def opened(page_of: Open, key: str) -> Open:
    def open_board(**options: Any) -> Page:
        page = page_of(**options)
        page.get_by_label("Key of the server API").fill(key)
        page.get_by_role("button", name="Open").click()
        expect(page.locator("#connection")).to_have_text("Live")
        return page

    return open_board


@pytest.fixture
def phone(stack: Stack) -> Iterator[Callable[..., dict[str, Any]]]:
    """Connect as a demo user, subscribed to more channels; return what connecting answered."""
    sockets = ExitStack()
    rest = sockets.enter_context(patient.client(stack.url))

    def connect(name: str, *channels: str) -> dict[str, Any]:
        users = rest.get("/v1/auth/development/users").json()["items"]
        user_id = next(user["id"] for user in users if user["full_name"] == name)
        signed_in = rest.post("/v1/auth/development/sign-in", json={"user_id": user_id}).json()
        url = stack.url.replace("http", "ws") + "/connection/websocket"
        socket = sockets.enter_context(websockets.sync.client.connect(url))
        socket.send(json.dumps({"id": 1, "connect": {"token": signed_in["access_token"]}}))
        answer = json.loads(socket.recv(10))
        for number, channel in enumerate(channels, 2):
            socket.send(json.dumps({"id": number, "subscribe": {"channel": channel}}))
            assert "subscribe" in json.loads(str(socket.recv(10)).splitlines()[0])
        return {**answer["connect"], "user": user_id}

    with sockets:
        yield connect


@pytest.fixture
def publish(stack: Stack, key: str) -> Publish:
    def publish(channel: str, data: Any) -> None:
        body = {"channel": channel, "data": data}
        with patient.client(stack.url) as rest:
            answer = rest.post("/api/publish", json=body, headers={"X-API-Key": key})
        assert "result" in answer.json()

    return publish


def row(page: Page, channel: str) -> Any:
    return page.locator(f'#channels > li[data-key="{channel}"]')


def test_the_board_shows_connections_users_channels_and_processes(
    opened: Open, phone: Connect
) -> None:
    page = opened()
    ada = phone("Ada Lovelace")["user"]
    phone("Ada Lovelace")
    phone("Grace Hopper")
    expect(page.locator("#clients")).to_have_text("3")
    expect(page.locator("#users")).to_have_text("2")
    expect(page.locator("#subscriptions")).to_have_text(str(3 * OWN_CHANNELS))
    expect(row(page, f"taps:{ada}")).to_contain_text("2 clients")
    expect(page.locator("#channels > li")).to_have_count(2 * OWN_CHANNELS)
    expect(page.locator("#channels-number")).to_have_text(str(2 * OWN_CHANNELS))
    expect(page.locator("#nodes > tr")).to_have_count(1)
    expect(page.locator("#now-hint")).to_have_text("over 1 process")
    expect(page.locator("#sent")).to_have_text(re.compile(r"[0-9]"))
    expect(page.locator("#line-sent")).to_have_attribute("points", re.compile(r"60,"))


def test_who_is_present_is_not_asked_again_where_there_is_no_presence(
    opened: Open, phone: Connect
) -> None:
    page = opened()
    ada = phone("Ada Lovelace")["user"]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    row(page, f"taps:{ada}").get_by_role("button").click()
    for _ in range(6):
        with page.expect_response("**/api/info"):
            pass
    assert asked.count("presence") == 1


def test_the_list_of_channels_can_be_narrowed(opened: Open, phone: Connect) -> None:
    ada = phone("Ada Lovelace", "lobby:one", "lobby:two")["user"]
    page = opened()
    expect(page.locator("#channels > li")).to_have_count(OWN_CHANNELS + 2)
    field = page.get_by_role("searchbox")
    field.fill("obb")
    expect(page.locator("#channels > li")).to_have_count(2)
    field.fill("*:two")
    expect(page.locator("#channels > li")).to_have_count(1)
    field.fill(ada[:8])
    expect(page.locator("#channels > li")).to_have_count(OWN_CHANNELS)
    field.fill("nothing like that")
    expect(page.locator("#channels-empty")).to_be_visible()
    field.fill("")
    expect(page.locator("#channels > li")).to_have_count(OWN_CHANNELS + 2)


def test_a_tap_of_a_ring_passes_in_the_live_tail(
    opened: Open, phone: Connect, stack: Stack
) -> None:
    ada = phone("Ada Lovelace")["user"]
    page = opened()
    row(page, f"taps:{ada}").get_by_role("button").click()
    expect(page.locator("#tail-state")).to_have_text("live")
    expect(row(page, f"taps:{ada}").get_by_role("button")).to_have_attribute("aria-pressed", "true")
    for number in (1, 2):
        press_ring(stack, "ada-1")
        expect(page.locator("#tail > li")).to_have_count(number)
    expect(page.locator("#tail > li").first).to_contain_text("ring.tapped")
    # Looking changes nothing of what is looked at.
    expect(row(page, f"taps:{ada}")).to_contain_text("1 client")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#tail > li")).to_have_count(0)
    expect(page.locator("#tail-empty")).to_be_visible()


def test_presence_is_shown_where_the_namespace_has_it(opened: Open, phone: Connect) -> None:
    first = phone("Ada Lovelace", "lobby:a")
    second = phone("Grace Hopper", "lobby:a")
    page = opened()
    row(page, "lobby:a").get_by_role("button").click()
    expect(page.locator("#presence-count")).to_have_text("2 clients of 2 users present")
    page.locator("#presence-count").click()
    for connected in (first, second):
        expect(page.locator("#presence-list")).to_contain_text(connected["client"])
        expect(page.locator("#presence-list")).to_contain_text(connected["user"])
    row(page, f"taps:{first['user']}").get_by_role("button").click()
    expect(page.locator("#presence")).to_be_hidden()


def test_hostile_names_and_data_are_text(opened: Open, phone: Connect, publish: Publish) -> None:
    channel = f"lobby:{HOSTILE}"
    phone("Ada Lovelace", channel)
    page = opened()
    button = page.locator("#channels").get_by_role("button").filter(has_text=HOSTILE)
    button.click()
    expect(page.locator("#tail-state")).to_have_text("live")
    publish(channel, {HOSTILE: f"</code><script>{HOSTILE}"})
    expect(page.locator("#tail > li")).to_contain_text(f"</code><script>{HOSTILE}")
    expect(page.locator("#tail-channel")).to_have_text(channel)
    assert page.locator("main img, main script").count() == 0


def test_a_wrong_key_is_told_and_forgotten(page_of: Open) -> None:
    page = page_of()
    page.get_by_label("Key of the server API").fill("a wrong key")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_contain_text("does not know this key")
    expect(page.get_by_label("Key of the server API")).to_be_focused()
    expect(page.locator("#board")).to_be_hidden()
    assert page.evaluate("sessionStorage.length") == 0


def test_the_key_stays_in_its_window_until_it_is_forgotten(opened: Open, key: str) -> None:
    page = opened()
    stored = page.evaluate("JSON.stringify([{...localStorage}, document.cookie, location.href])")
    assert key not in stored
    page.reload()
    expect(page.locator("#connection")).to_have_text("Live")
    page.get_by_role("button", name="Forget the key").click()
    expect(page.get_by_label("Key of the server API")).to_be_focused()
    expect(page.locator("#board")).to_be_hidden()
    assert page.evaluate("sessionStorage.length") == 0
    assert key not in page.content()


def test_a_restart_of_the_hub_is_told_and_overcome(
    opened: Open, phone: Connect, stack: Stack, publish: Publish
) -> None:
    phone("Ada Lovelace", "lobby:a")
    page = opened()
    row(page, "lobby:a").get_by_role("button").click()
    publish("lobby:a", "before")
    expect(page.locator("#tail > li")).to_have_count(1)
    stack.kill("serve")
    expect(page.get_by_role("alert")).to_contain_text("The hub did not answer.")
    expect(page.locator("#connection")).to_have_text("Not reached")
    expect(page.locator("#board")).to_be_visible()
    stack.start("serve")
    expect(page.locator("#connection")).to_have_text("Live", timeout=20_000)
    expect(page.locator("#problem")).to_be_hidden()
    expect(page.locator("#tail-state")).to_have_text("live", timeout=20_000)
    publish("lobby:a", "after")
    expect(page.locator("#tail > li")).to_have_text(
        [re.compile("after"), re.compile("something may be missing"), re.compile("before")]
    )


def test_the_page_is_found_from_the_console(window: Open) -> None:
    page = window()
    page.get_by_role("link", name="Realtime at work").click()
    expect(page.get_by_role("heading", name="Realtime at work")).to_be_visible()


def test_the_page_has_no_accessibility_issue_and_fits_a_phone(
    page_of: Open,
    opened: Open,
    phone: Connect,
    publish: Publish,
) -> None:
    welcome = page_of(viewport=PHONE)
    expect(welcome.get_by_label("Key of the server API")).to_be_visible()
    assert violations_by_day_and_night(welcome) == []
    assert not has_horizontal_scroll(welcome)
    phone("Ada Lovelace", "lobby:a", f"lobby:{'w' * 200}")
    for viewport in (PHONE, {"width": 1280, "height": 900}):
        page = opened(viewport=viewport, reduced_motion="reduce")
        row(page, "lobby:a").get_by_role("button").click()
        expect(page.locator("#tail-state")).to_have_text("live")
        for number in range(3):
            publish("lobby:a", {"n": number, "long": "w" * 300})
        expect(page.locator("#tail > li")).to_have_count(3)
        page.locator("#presence-count").click()
        expect(page.locator("#line-sent")).to_have_attribute("points", re.compile(r"59,"))
        assert violations_by_day_and_night(page) == []
        assert not has_horizontal_scroll(page)
