"""Touches and messages become interactions of those who were part of them, once each."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from core.actor import SYSTEM
from core.db import Tx, begin
from hub.domains.encounters import service
from hub.domains.events.schemas import Consumer, Event
from hub.domains.events.service import consume
from hub.wiring.events import ROUTES
from hub.wiring.slices import CONSUMERS, sealing_consumers
from tests.fixtures.app import Running, User, idempotency_key
from tests.fixtures.touching import Meetings, Wearer

Worn = tuple[Wearer, Wearer]
React = Callable[[str, str], Awaitable[None]]


def consumer_of(hub: Running, event_type: str, name: str) -> Consumer:
    """Return a consumer that the events of a type are routed to."""
    assert name in ROUTES[event_type].consumers
    house = hub.resources
    known = (*CONSUMERS, *sealing_consumers(lambda: house.cipher, lambda: house.index_key))
    return next(item for item in known if item.name == name)


async def hand_out(meetings: Meetings, event_type: str, name: str) -> list[UUID]:
    """Make the tasks of a consumer as the pump does; return the events it has not reacted to."""
    rows = await meetings.admin.fetch(
        """INSERT INTO consumer_tasks (event_id, occurred_at, consumer)
        SELECT id, occurred_at, $2 FROM events WHERE type = $1
        ON CONFLICT DO NOTHING RETURNING event_id""",
        event_type,
        name,
    )
    return [row["event_id"] for row in rows]


@pytest_asyncio.fixture
async def react(hub: Running, meetings: Meetings) -> React:
    """Let a consumer react to all events of a type that it has not reacted to."""

    async def run(event_type: str, name: str) -> None:
        consumer = consumer_of(hub, event_type, name)
        outside: Any = None  # nothing is needed beyond the database
        for event_id in await hand_out(meetings, event_type, name):
            await consume(hub.resources.system, consumer, event_id, outside)
        await meetings.fail_if_a_reaction_failed()

    return run


async def exchange(meetings: Meetings, worn: Worn) -> None:
    for wearer in worn:
        await meetings.share(wearer.user, "always")
    await meetings.meet(*meetings.touch(*worn))


async def timeline(user: User) -> list[dict[str, Any]]:
    answer = await user.client.get("/v1/interactions")
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def contacts_of(meetings: Meetings, user: User) -> list[Any]:
    return await meetings.admin.fetch(
        "SELECT * FROM contacts WHERE user_id = $1 AND NOT is_self ORDER BY id", user.id
    )


async def add_contact(user: User, name: str, email: str) -> str:
    methods = [{"kind": "email", "value": email}]
    answer = await user.client.post("/v1/contacts", json={"full_name": name, "methods": methods})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def test_who_exchanges_cards_is_in_both_address_books_and_timelines(
    meetings: Meetings, worn: Worn, react: React
) -> None:
    ada, grace = (wearer.user for wearer in worn)
    card = {
        "full_name": "Grace Hopper",
        "emails": ["grace@example.com", "grace@no_domain"],
        "phones": ["+49 30 901820"],
        "company": "Navy",
        "job_title": "Admiral",
    }
    assert (await grace.client.put("/v1/me/card", json=card)).is_success
    await exchange(meetings, worn)
    await react("touch.exchanged", "encounters.record_touch")
    for user, partner in ((ada, grace), (grace, ada)):
        [met] = await timeline(user)
        [known] = await contacts_of(meetings, user)
        assert (met["kind"], met["source"], met["direction"]) == ("ring_tap", "ring", "mutual")
        assert met["contact_id"] == str(known["id"])
        assert (known["full_name"], known["source"]) == (partner.full_name, "ring")
        assert (known["linked_user_id"], known["linked_by"]) == (partner.id, "ring")
        assert known["last_interaction_at"] is not None
    [known] = await contacts_of(meetings, ada)
    assert (known["company"], known["job_title"]) == ("Navy", "Admiral")
    methods = await ada.client.get(f"/v1/contacts/{known['id']}/methods")
    values = {item["value"] for item in methods.json()["items"]}
    assert {"grace@example.com", "+49 30 901820"} <= values


async def test_whoever_is_blocked_before_the_worker_comes_becomes_no_contact(
    meetings: Meetings, worn: Worn, react: React
) -> None:
    ada, grace = (wearer.user for wearer in worn)
    await exchange(meetings, worn)
    assert (await ada.client.put(f"/v1/blocks/{grace.id}")).is_success
    await react("touch.exchanged", "encounters.record_touch")
    assert await contacts_of(meetings, ada) == []
    [met] = await timeline(ada)
    assert (met["kind"], met["contact_id"]) == ("ring_tap", None)
    # That they are blocked, the other is not told.
    [known] = await contacts_of(meetings, grace)
    assert known["linked_user_id"] == ada.id


async def test_whoever_meets_again_has_one_contact_and_two_interactions(
    meetings: Meetings, worn: Worn, react: React
) -> None:
    for _ in range(2):
        await exchange(meetings, worn)
        await react("touch.exchanged", "encounters.record_touch")
    for wearer in worn:
        assert len(await contacts_of(meetings, wearer.user)) == 1
        assert len(await timeline(wearer.user)) == 2


async def test_who_stands_in_the_address_book_already_is_found_by_their_card(
    meetings: Meetings, worn: Worn, react: React
) -> None:
    ada, grace = (wearer.user for wearer in worn)
    known = await add_contact(ada, "Amazing Grace", "GRACE@example.com")
    card = {"full_name": "Grace Hopper", "emails": ["grace@example.com"]}
    assert (await grace.client.put("/v1/me/card", json=card)).is_success
    await exchange(meetings, worn)
    await react("touch.exchanged", "encounters.record_touch")
    [row] = await contacts_of(meetings, ada)
    assert (str(row["id"]), row["full_name"]) == (known, "Amazing Grace")
    assert row["linked_user_id"] == grace.id
    assert (await timeline(ada))[0]["contact_id"] == known


async def test_a_page_that_two_share_does_not_make_them_one(
    meetings: Meetings, worn: Worn, react: React
) -> None:
    ada, grace = (wearer.user for wearer in worn)
    methods = [{"kind": "url", "value": "https://navy.example"}]
    await ada.client.post("/v1/contacts", json={"full_name": "Alan", "methods": methods})
    card = {"full_name": "Grace Hopper", "urls": ["https://navy.example"]}
    assert (await grace.client.put("/v1/me/card", json=card)).is_success
    await exchange(meetings, worn)
    await react("touch.exchanged", "encounters.record_touch")
    names = [(row["full_name"], row["linked_user_id"]) for row in await contacts_of(meetings, ada)]
    assert names == [("Alan", None), ("Grace Hopper", grace.id)]


async def test_a_touch_without_cards_is_no_interaction(
    meetings: Meetings, worn: Worn, react: React
) -> None:
    await meetings.meet(*meetings.touch(*worn))
    await react("touch.exchanged", "encounters.record_touch")
    for wearer in worn:
        assert await timeline(wearer.user) == []
        assert await contacts_of(meetings, wearer.user) == []


async def test_a_message_is_an_interaction_of_both_without_its_words(
    meetings: Meetings, worn: Worn, react: React
) -> None:
    ada, grace = (wearer.user for wearer in worn)
    await exchange(meetings, worn)
    await react("touch.exchanged", "encounters.record_touch")
    [touch] = await meetings.touches(ada)
    for body in ("secret", "words"):
        sent = await ada.client.post(
            f"/v1/conversations/{touch['conversation_id']}/messages",
            json={"body": body},
            headers=idempotency_key(),
        )
        assert sent.status_code == 201, sent.text
    await react("message.sent", "encounters.record_message")
    for user, direction in ((ada, "outbound"), (grace, "inbound")):
        [known] = await contacts_of(meetings, user)
        answer = await user.client.get(
            "/v1/interactions", params={"kind": "message", "contact_id": str(known["id"])}
        )
        items = answer.json()["items"]
        assert [item["direction"] for item in items] == [direction] * 2
    assert "secret" not in str(await meetings.admin.fetch("SELECT * FROM interactions"))


async def test_who_writes_does_not_come_into_an_address_book_by_it(
    ada: User, grace: User, meetings: Meetings, react: React
) -> None:
    opened = await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    await ada.client.post(
        f"/v1/conversations/{opened.json()['id']}/messages",
        json={"body": "hello"},
        headers=idempotency_key(),
    )
    await react("message.sent", "encounters.record_message")
    [told] = await timeline(grace)
    assert (told["contact_id"], told["direction"]) == (None, "inbound")
    assert await contacts_of(meetings, grace) == []


async def touch_and_write(meetings: Meetings, worn: Worn) -> None:
    """Let two exchange cards, and one of them write to the other."""
    await exchange(meetings, worn)
    sender = worn[0].user
    [touch] = await meetings.touches(sender)
    sent = await sender.client.post(
        f"/v1/conversations/{touch['conversation_id']}/messages",
        json={"body": "hello"},
        headers=idempotency_key(),
    )
    assert sent.status_code == 201, sent.text


TOLD = (
    ("touch.exchanged", "encounters.record_touch"),
    ("message.sent", "encounters.record_message"),
)


async def expect_one_of_each(meetings: Meetings, worn: Worn) -> None:
    for wearer in worn:
        kinds = [item["kind"] for item in await timeline(wearer.user)]
        assert sorted(kinds) == ["message", "ring_tap"]
        assert len(await contacts_of(meetings, wearer.user)) == 1
    announced = await meetings.admin.fetchval(
        "SELECT count(*) FROM events WHERE type = 'interaction.recorded'"
    )
    assert announced == 4


@pytest.mark.req("INT-01", "INT-07")
async def test_what_is_told_again_after_it_was_done_is_no_second_interaction(
    hub: Running, meetings: Meetings, worn: Worn
) -> None:
    await touch_and_write(meetings, worn)
    outside: Any = None
    for _ in range(2):
        for event_type, name in TOLD:
            # A task that is gone and made anew: the mark "done" alone would let it happen twice.
            await meetings.admin.execute("DELETE FROM consumer_tasks WHERE consumer = $1", name)
            for event_id in await hand_out(meetings, event_type, name):
                consumer = consumer_of(hub, event_type, name)
                assert await consume(hub.resources.system, consumer, event_id, outside)
    await meetings.fail_if_a_reaction_failed()
    await expect_one_of_each(meetings, worn)


async def test_of_a_worker_that_ends_in_the_middle_nothing_stays_and_the_next_does_it_all(
    hub: Running, meetings: Meetings, worn: Worn
) -> None:
    await touch_and_write(meetings, worn)
    outside: Any = None
    for event_type, name in TOLD:
        consumer = consumer_of(hub, event_type, name)

        async def ends(tx: Tx, event: Event, consumer: Consumer = consumer) -> None:
            await consumer.react(tx, event)
            raise asyncio.CancelledError

        for event_id in await hand_out(meetings, event_type, name):
            before = await meetings.admin.fetchval("SELECT count(*) FROM interactions")
            with pytest.raises(asyncio.CancelledError):
                await consume(hub.resources.system, Consumer(name, ends), event_id, outside)
            assert await meetings.admin.fetchval("SELECT count(*) FROM interactions") == before
            assert await consume(hub.resources.system, consumer, event_id, outside)
            # Whoever is called a second time has nothing to do.
            assert not await consume(hub.resources.system, consumer, event_id, outside)
    await expect_one_of_each(meetings, worn)


async def test_workers_that_react_at_the_same_time_record_once(
    hub: Running, meetings: Meetings, worn: Worn
) -> None:
    await touch_and_write(meetings, worn)
    outside: Any = None
    for event_type, name in TOLD:
        consumer = consumer_of(hub, event_type, name)
        events = await hand_out(meetings, event_type, name)
        done = await asyncio.gather(
            *(
                consume(hub.resources.system, consumer, event_id, outside)
                for event_id in events
                for _ in range(3)
            )
        )
        assert sum(done) == len(events)
    await meetings.fail_if_a_reaction_failed()
    await expect_one_of_each(meetings, worn)


async def test_a_touch_of_an_erased_partner_is_left_alone(
    hub: Running, meetings: Meetings, worn: Worn
) -> None:
    ada, grace = (wearer.user for wearer in worn)
    await exchange(meetings, worn)
    [touch] = await meetings.touches(ada)
    await meetings.admin.execute("DELETE FROM users WHERE id = $1", grace.id)
    house = hub.resources
    keys = service.Keys(house.cipher, house.index_key)
    async with begin(house.system, SYSTEM) as tx:
        await service.record_touch(tx, ada.id, UUID(touch["id"]), keys)
    assert await timeline(ada) == []
