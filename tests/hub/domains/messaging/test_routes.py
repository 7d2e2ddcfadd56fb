"""Direct conversations and messages over REST."""

import asyncio
from uuid import UUID

import pytest

from core.actor import SYSTEM
from core.db import begin, query
from core.ids import new_id
from tests.fixtures.app import User, count_rows, idempotency_key

PUBLISHED = query(
    UUID,
    """
    SELECT (e.payload ->> 'message_id')::uuid
    FROM outbox AS o
    JOIN events AS e ON e.id = o.event_id
    WHERE e.type = 'message.sent'
    ORDER BY o.seq
    """,
    login="system",
)


async def open_conversation(user: User, partner: User) -> str:
    answer = await user.client.post("/v1/conversations", json={"partner_id": str(partner.id)})
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()["id"]


async def send(user: User, conversation: str, body: str, **more):
    return await user.client.post(
        f"/v1/conversations/{conversation}/messages",
        json={"body": body, **more},
        headers=idempotency_key(),
    )


@pytest.fixture
async def alan(new_user) -> User:
    return await new_user("Alan Turing")


async def test_a_pair_has_one_conversation_whoever_opens_it(ada: User, grace: User, system_pool):
    first = await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    second = await grace.client.post("/v1/conversations", json={"partner_id": str(ada.id)})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.headers["location"] == f"/v1/conversations/{first.json()['id']}"
    assert first.json()["id"] == second.json()["id"]
    assert first.json()["partner_id"] == str(grace.id)
    assert second.json()["partner_id"] == str(ada.id)
    assert await count_rows(system_pool, "conversation_members") == 2


async def test_opening_at_once_from_both_sides_makes_one(ada: User, grace: User, system_pool):
    ids = await asyncio.gather(
        *(open_conversation(*pair) for pair in [(ada, grace), (grace, ada)] * 5)
    )
    assert len(set(ids)) == 1
    assert await count_rows(system_pool, "conversations") == 1


async def test_one_cannot_talk_to_oneself_or_to_nobody(ada: User, system_pool):
    for partner in (ada.id, new_id()):
        answer = await ada.client.post("/v1/conversations", json={"partner_id": str(partner)})
        assert (answer.status_code, answer.json()["code"]) == (422, "conversation.partner_invalid")
    assert await count_rows(system_pool, "conversations") == 0


async def test_messages_are_published_in_the_order_in_which_they_are_listed(
    ada: User, grace: User, system_pool
):
    conversation = await open_conversation(ada, grace)
    await asyncio.gather(
        *(send(user, conversation, f"{n}") for n in range(20) for user in (ada, grace))
    )
    listed = await ada.client.get(f"/v1/conversations/{conversation}/messages")
    async with begin(system_pool, SYSTEM) as tx:
        published = await PUBLISHED.all(tx)
    assert len(published) == 40
    assert published == [UUID(item["id"]) for item in reversed(listed.json()["items"])]


@pytest.mark.req("MSG-01")
async def test_a_sent_message_is_answered_whole_and_listed_for_both(ada: User, grace: User):
    conversation = await open_conversation(ada, grace)
    sent = await send(ada, conversation, "Hello, Grace\n— 👋")
    assert sent.status_code == 201
    message = sent.json()
    assert (
        message.items()
        >= {
            "conversation_id": conversation,
            "sender_id": str(ada.id),
            "kind": "text",
            "body": "Hello, Grace\n— 👋",
            "reply_to_id": None,
            "client_key": None,
        }.items()
    )
    for user in (ada, grace):
        listed = await user.client.get(f"/v1/conversations/{conversation}/messages")
        assert listed.json() == {"items": [message], "next_cursor": None, "has_more": False}


async def test_messages_page_newest_first_while_new_ones_arrive(ada: User, grace: User):
    conversation = await open_conversation(ada, grace)
    sent = [(await send(ada, conversation, f"{n}")).json()["id"] for n in range(5)]
    path = f"/v1/conversations/{conversation}/messages"
    first = (await grace.client.get(path, params={"limit": 2})).json()
    await send(ada, conversation, "later")
    seen, page = first["items"], first
    while page["has_more"]:
        params = {"limit": 2, "cursor": page["next_cursor"]}
        page = (await grace.client.get(path, params=params)).json()
        seen += page["items"]
    assert [item["id"] for item in seen] == sent[::-1]


async def test_conversations_are_listed_by_their_last_message(ada: User, grace: User, alan: User):
    with_grace, with_alan = await open_conversation(ada, grace), await open_conversation(ada, alan)
    await send(grace, with_grace, "latest")
    pages = []
    cursor = None
    for _ in range(2):
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = (await ada.client.get("/v1/conversations", params=params)).json()
        cursor = page["next_cursor"]
        pages.append(page["items"][0]["id"])
    assert pages == [with_grace, with_alan]
    assert cursor is None
    assert len((await alan.client.get("/v1/conversations")).json()["items"]) == 1


async def test_a_reply_stays_in_its_conversation(ada: User, grace: User, alan: User):
    conversation, other = await open_conversation(ada, grace), await open_conversation(ada, alan)
    question = (await send(ada, conversation, "?")).json()["id"]
    reply = await send(grace, conversation, "!", reply_to_id=question)
    assert (reply.status_code, reply.json()["reply_to_id"]) == (201, question)
    for wrong in (question, str(new_id())):
        refused = await send(ada, other, "!", reply_to_id=wrong)
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == ["reply_to_id"]


async def test_a_client_key_never_makes_two_messages(ada: User, grace: User, system_pool):
    conversation = await open_conversation(ada, grace)
    first = await send(ada, conversation, "Once", client_key="app-1")
    again = await send(ada, conversation, "Once", client_key="app-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = await send(ada, conversation, "Twice", client_key="app-1")
    assert (other.status_code, other.json()["code"]) == (409, "request.conflict")
    assert (await send(grace, conversation, "Once", client_key="app-1")).status_code == 201
    assert await count_rows(system_pool, "messages") == 2


@pytest.mark.req("API-08")
async def test_a_client_key_sent_20_times_at_once_makes_one_message(ada, grace, system_pool):
    conversation = await open_conversation(ada, grace)
    answers = await asyncio.gather(
        *(send(ada, conversation, "Once", client_key="app-1") for _ in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await count_rows(system_pool, "messages") == 1


async def test_others_conversations_do_not_exist(ada: User, grace: User, alan: User, system_pool):
    conversation = await open_conversation(ada, grace)
    await send(ada, conversation, "Secret")
    for answer in (
        await alan.client.get(f"/v1/conversations/{conversation}"),
        await alan.client.get(f"/v1/conversations/{conversation}/messages"),
        await send(alan, conversation, "Let me in"),
        await alan.client.get(f"/v1/conversations/{new_id()}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "conversation.not_found")
    assert (await alan.client.get("/v1/conversations")).json()["items"] == []
    assert await count_rows(system_pool, "messages") == 1


async def test_a_bad_message_names_the_field_and_is_not_sent(ada, grace, system_pool):
    conversation = await open_conversation(ada, grace)
    path = f"/v1/conversations/{conversation}/messages"
    for body, field in [
        ({}, "body"),
        ({"body": ""}, "body"),
        ({"body": " \n\t "}, "body"),
        ({"body": "x" * 4001}, "body"),
        ({"body": "nul \x00"}, "body"),
        ({"body": ["x"]}, "body"),
        ({"body": "x", "client_key": "a b"}, "client_key"),
        ({"body": "x", "client_key": "a\n"}, "client_key"),
        ({"body": "x", "client_key": "x" * 65}, "client_key"),
        ({"body": "x", "reply_to_id": "first"}, "reply_to_id"),
        ({"body": "x", "sender_id": str(new_id())}, "sender_id"),
        ({"body": "x", "kind": "system"}, "kind"),
    ]:
        answer = await ada.client.post(path, json=body, headers=idempotency_key())
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await count_rows(system_pool, "messages") == 0


async def test_the_longest_message_is_accepted(ada: User, grace: User):
    conversation = await open_conversation(ada, grace)
    assert (await send(ada, conversation, "é" * 4000)).status_code == 201
