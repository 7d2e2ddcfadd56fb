"""Contacts are listed in four orders, and found by words and addresses."""

import asyncpg
import pytest

from tests.fixtures.app import User
from tests.hub.domains.contacts.book import ADA, add, listed, searched


@pytest.mark.req("CON-09")
async def test_lists_have_four_orders_and_filters_and_end(
    ada: User, admin: asyncpg.Connection
) -> None:
    await add(ada, full_name="Zoé", company="Águila", tags=["x"], source="phone")
    await add(ada, full_name="bob", company="aguila", tags=["x", "y"])
    await add(ada, full_name="Änne", company="Other")
    await add(ada, full_name="Carl")
    await admin.execute("UPDATE contacts SET strength = 0.9 WHERE full_name = 'Carl'")
    await admin.execute("UPDATE contacts SET strength = 0.5 WHERE full_name = 'bob'")
    await admin.execute("UPDATE contacts SET last_interaction_at = now() WHERE full_name = 'Zoé'")
    assert await listed(ada) == ["Carl", "Änne", "bob", "Zoé"]
    assert await listed(ada, order="name") == ["Änne", "bob", "Carl", "Zoé"]
    assert await listed(ada, order="strength") == ["Carl", "bob", "Änne", "Zoé"]
    assert await listed(ada, order="interaction") == ["Zoé", "Carl", "Änne", "bob"]
    assert await listed(ada, company="AGUILA", order="name") == ["bob", "Zoé"]
    assert await listed(ada, tag="x") == ["bob", "Zoé"]
    assert await listed(ada, tag="x", source="phone") == ["Zoé"]
    assert await listed(ada, linked=True) == []
    tags = (await ada.client.get("/v1/contacts/tags")).json()["items"]
    assert tags == [{"tag": "x", "contacts": 2}, {"tag": "y", "contacts": 1}]
    first = await ada.client.get("/v1/contacts", params={"limit": 1})
    elsewhere = {"cursor": first.json()["next_cursor"], "order": "name"}
    mixed = await ada.client.get("/v1/contacts", params=elsewhere)
    assert mixed.json()["code"] == "request.cursor_invalid"


async def test_words_and_addresses_are_searched_however_they_are_written(
    ada: User, grace: User
) -> None:
    await add(ada, **ADA)
    await add(ada, full_name="Adam Smith", company="Analytical Engines")
    await add(grace, full_name="Ada Byron", methods=[{"kind": "email", "value": "ada@example.com"}])
    assert await searched(ada, text="ADA") == ["Adam Smith", "Ádá Lovelace"]
    assert await searched(ada, text="love anal") == ["Ádá Lovelace"]
    assert await searched(ada, text="program pion") == ["Ádá Lovelace"]
    assert await searched(ada, text="':* | !&(") == []
    assert await searched(ada, text="byron") == []
    asked = {"kind": "email", "value": "ADA@example.COM"}
    assert await searched(ada, address=asked) == ["Ádá Lovelace"]
    assert await searched(ada, address={"kind": "email", "value": "no address"}) == []
    for wrong in ({}, {"text": "a", "address": asked}):
        answer = await ada.client.post("/v1/contacts/search", json=wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    hopper = "\u2067Gr\u200bace\u2069 Hopper"  # with marks that nobody sees
    for name in (
        "Łukasz Żółć",
        "Miles O\u2019Brien",
        "Strauß-Møller",
        "Σοφία Παππάς",
        "I\u015f\u0131k",
        "山田 太郎",
        "محمد علي",
        "Zo\u200be \U0001f389",
        hopper,
    ):
        await add(ada, full_name=name)
    for text, name in (
        ("lukasz zolc", "Łukasz Żółć"),
        ("ŁUK", "Łukasz Żółć"),
        ("obrien", "Miles O\u2019Brien"),
        ("o'brien", "Miles O\u2019Brien"),
        ("moller strauss", "Strauß-Møller"),
        ("STRAUß", "Strauß-Møller"),
        ("ΠΑΠΠΆΣ", "Σοφία Παππάς"),
        ("παππας", "Σοφία Παππάς"),
        ("\u0131\u015f\u0131", "I\u015f\u0131k"),
        ("山", "山田 太郎"),
        ("محمد", "محمد علي"),
        ("zoe", "Zo\u200be \U0001f389"),
        ("gra", hopper),
        ("l\u200bovelace\u200f", "Ádá Lovelace"),
    ):
        assert await searched(ada, text=text) == [name], text
    page = await ada.client.post("/v1/contacts/search", json={"text": "ada", "limit": 1})
    cursor = page.json()["next_cursor"]
    assert await searched(ada, text="ada", cursor=cursor) == ["Ádá Lovelace"]
