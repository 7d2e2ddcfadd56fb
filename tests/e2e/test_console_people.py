"""The page of people in a real browser, before the whole system and the demo's address book.

And what a phone hears of people over its own socket.
"""

import json
import re
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import websockets.sync.client
from playwright.sync_api import Page, expect

from tests.e2e.console import (
    PHONE,
    expect_connected,
    has_horizontal_scroll,
    violations_by_day_and_night,
)
from tests.fixtures.app import idempotency_key
from tests.fixtures.postgres import execute
from tests.fixtures.stack import Stack

Open = Callable[..., Page]
DEADLINE_SECONDS = 40.0
EXPECTED = {
    "taps": {"ring.tapped"},
    "messages": {"message.sent"},
    "health": {"health.changed"},
    "insights": {"insight.created"},
    "achievements": {"achievement.unlocked"},
    "notifications": {"goal.set", "goal.achieved"},
    "sync": {"contact.created"},
}
CARDS = """BEGIN:VCARD
VERSION:3.0
FN:Joseph Marie Jacquard
ORG:Looms of Lyon
EMAIL:jacquard@example.org
END:VCARD
BEGIN:VCARD
VERSION:3.0
FN:Charles Babbage
EMAIL:charles@example.org
END:VCARD
BEGIN:VCARD
VERSION:3.0
FN:Half a
""".replace("\n", "\r\n")


@pytest.fixture
def people_page(window: Callable[..., Page], stack: Stack) -> Open:
    def open_page(name: str = "Ada Lovelace", **options: Any) -> Page:
        page = window(**options)
        page.get_by_role("button", name=name).click()
        expect_connected(page)
        page.goto(f"{stack.url}/console/people")
        expect_connected(page)
        return page

    return open_page


def person(page: Page, name: str) -> Any:
    return page.locator("#contacts").get_by_role("button", name=name)


def choose(page: Page, name: str) -> None:
    person(page, name).click()
    expect(page.locator("#contact-name")).to_have_text(name)


@pytest.mark.req("REL-05")
def test_an_address_book_shows_how_each_fares_and_finds_by_beginnings_of_words(
    people_page: Open,
) -> None:
    page = people_page()
    expect(person(page, "Charles Babbage").locator(".band")).to_have_text(
        re.compile(r"Thriving \d")
    )
    expect(person(page, "Augustus De Morgan").locator(".band")).to_have_text(re.compile(r"Cold \d"))
    page.get_by_label("Name, company, tag or address").fill("mentor")
    expect(page.locator("#contacts > li")).to_have_count(2)
    page.get_by_label("Name, company, tag or address").fill("king coll")
    expect(page.locator("#contacts > li")).to_have_count(1)
    expect(person(page, "Charles Wheatstone")).to_be_visible()
    page.get_by_label("Name, company, tag or address").fill(" Luigi@Example.org")
    expect(page.locator("#contacts > li")).to_have_count(1)
    expect(person(page, "Luigi Menabrea")).to_be_visible()
    page.get_by_label("Name, company, tag or address").fill("")
    page.get_by_label("Among").select_option("Inner circle")
    expect(page.locator("#contacts > li")).to_have_count(3)
    page.get_by_label("Among").select_option("#mentor")
    expect(page.locator("#contacts > li")).to_have_count(2)


@pytest.mark.req("INT-01", "REL-06")
def test_a_contact_shows_its_curve_its_reasons_and_its_timeline_and_what_is_noted_moves_all(
    people_page: Open,
) -> None:
    page = people_page()
    choose(page, "Mary Somerville")
    curve = page.locator("#chart").get_by_role("img")
    expect(curve).to_have_attribute("aria-label", re.compile(r"was \d+ at best and \d+ at worst"))
    expect(page.locator("#components > li")).to_have_count(4)
    expect(page.locator("#history > li").first).to_contain_text("Proof sheets")
    entries = page.locator("#history > li").count()
    before = int(page.locator("#score-now").inner_text())
    page.get_by_role("button", name="Note contact").click()
    page.get_by_label("Kind").select_option("meeting")
    page.get_by_role("textbox", name="About").fill("Tea, at last")
    page.get_by_label("Minutes").fill("90")
    page.get_by_role("button", name="Note it").click()
    expect(page.locator("#history > li").first).to_contain_text("Tea, at last")
    expect(page.locator("#history > li")).to_have_count(entries + 1)
    expect(page.locator("#score-now")).not_to_have_text(str(before), timeout=20_000)
    assert int(page.locator("#score-now").inner_text()) > before


@pytest.mark.req("CON-01")
def test_a_file_is_tried_out_brought_in_and_taken_back_with_its_progress_and_its_faults(
    people_page: Open,
) -> None:
    page = people_page()
    page.get_by_role("button", name="Bring a file in").click()
    file = {"name": "cards.vcf", "mimeType": "text/vcard", "buffer": CARDS.encode()}
    page.get_by_label("File", exact=True).set_input_files([file])  # type: ignore[list-item]
    page.get_by_role("button", name="Send").click()
    job = page.locator("#imports > li").first
    expect(job).to_contain_text("Tried out", timeout=20_000)
    expect(job).to_contain_text("1 would be new")
    expect(job).to_contain_text("1 known")
    job.get_by_text("What would come in").click()
    expect(job.locator(".import-rows").first).to_have_text("Joseph Marie Jacquard")
    job.get_by_text("What was wrong").click()
    expect(job.locator(".import-rows").last).to_contain_text("Entry 3: ends before it is over")
    assert not person(page, "Joseph Marie Jacquard").is_visible()
    job.get_by_role("button", name="Bring it in").click()
    expect(job).to_contain_text("Brought in", timeout=20_000)
    expect(person(page, "Joseph Marie Jacquard")).to_be_visible(timeout=20_000)
    job.get_by_role("button", name="Take it back").click()
    page.get_by_role("dialog").get_by_role("button", name="Take it back").click()
    expect(job).to_contain_text("Taken back", timeout=20_000)
    expect(person(page, "Joseph Marie Jacquard")).to_have_count(0, timeout=20_000)


@pytest.mark.req("REL-07")
def test_whom_the_hub_reminds_of_comes_live_and_goes_when_it_is_done(
    people_page: Open, stack: Stack
) -> None:
    page = people_page()
    alert = page.locator("#hints > li").filter(has_text="in touch with Michael Faraday")
    expect(alert).to_have_count(0)
    execute(
        stack.settings.database.owner_url,
        """INSERT INTO nudges (user_id, contact_id, kind, occasion)
        SELECT user_id, id, 'follow_up', 'today' FROM contacts
        WHERE full_name = 'Michael Faraday'""",
    )
    expect(alert).to_have_count(1, timeout=20_000)
    alert.get_by_role("button", name="Done").click()
    expect(alert).to_have_count(0)


@pytest.mark.req("RTM-03", "RTM-05")
def test_what_the_hub_noticed_is_there_and_who_stands_there_twice_is_merged_and_again_two(
    people_page: Open,
) -> None:
    page = people_page()
    hints = page.locator("#hints > li")
    expect(hints.filter(has_text="Charles Babbage and Luigi Menabrea care about")).to_be_visible(
        timeout=20_000
    )
    expect(page.locator("#achieved > [data-tier]").filter(has_text="Hello")).to_be_visible(
        timeout=20_000
    )
    hints.get_by_role("button", name=re.compile(r"^Merge:.*Ch\. Babbage")).click()
    expect(person(page, "Ch. Babbage")).to_have_count(0, timeout=20_000)
    hints.get_by_role("button", name="Undo").click()
    expect(person(page, "Ch. Babbage")).to_be_visible(timeout=20_000)
    # Words about one person lead to them.
    hints.get_by_role("button", name=re.compile("losing touch|usually in touch")).first.click()
    expect(page.locator("#contact-name")).to_have_text("Mary Somerville")


def test_everybody_can_use_it_by_day_by_night_and_on_a_telephone(people_page: Open) -> None:
    page = people_page(viewport=PHONE)
    choose(page, "Charles Babbage")
    expect(page.locator("#chart").get_by_role("img")).to_be_visible()
    assert not has_horizontal_scroll(page)
    assert violations_by_day_and_night(page) == []


def sign_in(client: httpx.Client, name: str) -> tuple[str, str]:
    users = client.get("/v1/auth/development/users").json()["items"]
    user = next(user["id"] for user in users if user["full_name"] == name)
    answer = client.post("/v1/auth/development/sign-in", json={"user_id": user}).json()
    client.headers["authorization"] = f"Bearer {answer['access_token']}"
    return user, answer["access_token"]


def made(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, answer.text
    return answer.json()


def live(client: httpx.Client) -> str:
    """Do one thing of each kind; return the contact that it is about."""
    contact = made(
        client.post("/v1/contacts", json={"full_name": "Betty Holberton", "job_title": "Sorter"})
    )["id"]
    # Two: what is achieved before anybody has looked at it needs no help.
    goals = [
        made(client.post("/v1/goals", json={"kind": "mentor", "intention": wanted}))["id"]
        for wanted in ("Meet a sorter", "Sit down")
    ]
    made(client.patch(f"/v1/goals/{goals[1]}", json={"status": "achieved"}))
    made(client.post("/v1/interactions", json={"contact_id": contact, "kind": "call"}))
    ring = made(client.get("/v1/rings"))["items"][0]["id"]
    made(client.post(f"/v1/development/rings/{ring}/tap"))
    users = made(client.get("/v1/auth/development/users"))["items"]
    other = next(user["id"] for user in users if user["full_name"] == "Ada Lovelace")
    talk = made(client.post("/v1/conversations", json={"partner_id": other}))["id"]
    words = client.post(
        f"/v1/conversations/{talk}/messages", json={"body": "Done!"}, headers=idempotency_key()
    )
    made(words)
    return contact


@pytest.mark.req("RTM-01", "RTM-02", "RTM-03", "RTM-04", "RTM-05")
def test_every_channel_of_a_phone_carries_what_really_happened(stack: Stack) -> None:
    url = stack.url.replace("http", "ws", 1) + "/connection/websocket"
    heard: dict[str, dict[str, Any]] = defaultdict(dict)
    with (
        httpx.Client(base_url=stack.url, timeout=20) as client,
        websockets.sync.client.connect(url) as socket,
    ):
        user, token = sign_in(client, "Grace Hopper")
        socket.send(json.dumps({"id": 1, "connect": {"token": token}}))
        connected = json.loads(str(socket.recv(DEADLINE_SECONDS)).splitlines()[0])["connect"]
        assert connected["subs"].keys() >= {f"{channel}:{user}" for channel in EXPECTED}
        contact = live(client)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while missing := {
            (channel, kind)
            for channel, kinds in EXPECTED.items()
            for kind in kinds - heard[channel].keys()
        }:
            try:
                text = str(socket.recv(deadline - time.monotonic()))
            except TimeoutError:
                pytest.fail(f"not heard: {missing}")
            for line in text.splitlines():
                if line == "{}":  # a ping
                    socket.send("{}")
                    continue
                push = json.loads(line)["push"]
                channel, _, owner = push["channel"].partition(":")
                assert owner == user
                heard[channel][push["pub"]["data"]["type"]] = push["pub"]["data"]["data"]
    unlocked = heard["achievements"]["achievement.unlocked"]
    assert unlocked["code"] in {"first_goal", "first_tap", "first_message"}
    assert heard["insights"]["insight.created"]["title"] == "Betty Holberton could help with a goal"
    assert heard["health"]["health.changed"]["contact_id"] == contact
