"""Idempotency keys: one effect whatever is repeated, the same bytes again."""

import asyncio

import pytest

from core.db import Pool, begin
from core.ids import new_id
from hub.http import idempotency, queries
from tests.fixtures.app import Running, count_rows, user_actor


@pytest.fixture
async def conversation(ada, grace) -> str:
    response = await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    return f"/v1/conversations/{response.json()['id']}/messages"


@pytest.mark.req("API-08")
async def test_a_repeated_request_gets_the_same_bytes_and_no_second_effect(
    ada, conversation, system_pool: Pool
):
    headers = {"Idempotency-Key": "k-1"}
    first = await ada.client.post(conversation, json={"body": "Hello"}, headers=headers)
    again = await ada.client.post(conversation, json={"body": "Hello"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert await count_rows(system_pool, "messages") == 1


async def test_20_at_once_have_one_effect(ada, conversation, system_pool: Pool):
    headers = {"Idempotency-Key": str(new_id())}
    answers = await asyncio.gather(
        *(ada.client.post(conversation, json={"body": "Once"}, headers=headers) for _ in range(20))
    )
    assert await count_rows(system_pool, "messages") == 1
    good = [answer for answer in answers if answer.status_code == 201]
    in_flight = [answer for answer in answers if answer.status_code == 409]
    assert len(good) + len(in_flight) == 20
    assert len({answer.content for answer in good}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in good) == 1
    for answer in in_flight:
        assert answer.json()["code"] == "idempotency.in_flight"
        assert answer.headers["retry-after"] == "1"


async def test_a_key_in_flight_is_refused_at_once(hub: Running, ada, conversation):
    async with begin(hub.resources.api, user_actor(ada.id)) as tx:
        await queries.claim_key.one(tx, "busy", b"another request")
        answer = await ada.client.post(
            conversation, json={"body": "Hi"}, headers={"Idempotency-Key": "busy"}
        )
    assert answer.status_code == 409
    assert answer.json()["code"] == "idempotency.in_flight"


async def test_another_body_or_path_under_the_same_key_is_refused(ada, conversation, system_pool):
    headers = {"Idempotency-Key": "k"}
    await ada.client.post(conversation, json={"body": "One"}, headers=headers)
    other_body = await ada.client.post(conversation, json={"body": "Two"}, headers=headers)
    other_path = await ada.client.post(
        "/v1/conversations", json={"partner_id": str(new_id())}, headers=headers
    )
    for answer in (other_body, other_path):
        assert answer.status_code == 422
        assert answer.json()["code"] == "idempotency.mismatch"
    assert await count_rows(system_pool, "messages") == 1


async def test_users_do_not_share_keys(ada, grace, conversation, system_pool):
    headers = {"Idempotency-Key": "same"}
    one = await ada.client.post(conversation, json={"body": "Hi"}, headers=headers)
    two = await grace.client.post(conversation, json={"body": "Hi"}, headers=headers)
    assert one.json()["sender_id"] != two.json()["sender_id"]
    assert await count_rows(system_pool, "messages") == 2


async def test_a_refused_request_may_be_corrected_under_its_key(ada, conversation):
    headers = {"Idempotency-Key": "k"}
    refused = await ada.client.post(
        conversation, json={"body": "x", "reply_to_id": str(new_id())}, headers=headers
    )
    assert refused.status_code == 422
    accepted = await ada.client.post(conversation, json={"body": "x"}, headers=headers)
    assert accepted.status_code == 201


@pytest.mark.parametrize("crash_at", ["before the answer is stored", "after it, before commit"])
async def test_a_crash_leaves_neither_effect_nor_key(
    ada, conversation, system_pool, monkeypatch, crash_at
):
    real = queries.store_answer

    class Crashing:
        async def run(self, *args):
            if crash_at.startswith("after"):
                await real.run(*args)
            raise RuntimeError("crashed")

    headers = {"Idempotency-Key": "k"}
    with monkeypatch.context() as patch:
        patch.setattr(idempotency.queries, "store_answer", Crashing())
        crashed = await ada.client.post(conversation, json={"body": "Hi"}, headers=headers)
    assert crashed.status_code == 500
    assert await count_rows(system_pool, "messages") == 0
    assert await count_rows(system_pool, "idempotency_keys") == 0
    again = await ada.client.post(conversation, json={"body": "Hi"}, headers=headers)
    assert again.status_code == 201
    assert await count_rows(system_pool, "messages") == 1


async def test_a_key_is_free_again_after_a_day(ada, conversation, system_pool: Pool):
    headers = {"Idempotency-Key": "k"}
    await ada.client.post(conversation, json={"body": "One"}, headers=headers)
    async with system_pool.connection() as connection:
        await connection.execute("UPDATE idempotency_keys SET expires_at = now() - interval '1 s'")
    answer = await ada.client.post(conversation, json={"body": "Two"}, headers=headers)
    assert answer.status_code == 201
    assert "idempotent-replayed" not in answer.headers


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
async def test_a_bad_key_is_refused(ada, conversation, key):
    answer = await ada.client.post(
        conversation, json={"body": "Hi"}, headers={"Idempotency-Key": key.encode()}
    )
    assert answer.status_code == 400
    assert answer.json()["code"] == "idempotency.key_invalid"


async def test_sending_needs_a_key(ada, conversation):
    answer = await ada.client.post(conversation, json={"body": "Hi"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "idempotency.key_invalid"
