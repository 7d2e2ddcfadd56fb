"""Idempotency keys: one effect whatever is repeated, the same bytes again."""

import asyncio

import httpx
import pytest

from core.db import Pool, begin
from core.ids import new_id
from hub.http import idempotency, queries
from tests.fixtures.app import BASE_URL, Running, User, count_rows, user_actor

# What is said about the request that is answered, not about what it asked for.
_OF_THE_REQUEST = {"x-request-id", "ratelimit", "ratelimit-policy", "idempotent-replayed"}


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
    assert again.headers["idempotent-replayed"] == "true"
    assert lasting(again) == lasting(first)
    assert await count_rows(system_pool, "messages") == 1


async def test_a_repetition_says_again_where_the_new_thing_is(ada: User) -> None:
    answers = [
        await ada.client.post(
            "/v1/gateways", json={"name": "Hall"}, headers={"Idempotency-Key": "k"}
        )
        for _ in range(2)
    ]
    first, again = answers
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["location"] == f"/v1/gateways/{first.json()['id']}"
    # What is shown once is kept nowhere: this alone is not the same.
    assert again.json() == {**first.json(), "claim_code": None}
    assert first.json()["claim_code"]


@pytest.mark.req("API-08")
async def test_50_at_once_on_two_hubs_have_one_effect(
    ada, conversation, system_pool: Pool, start_app, hub: Running
):
    other = await start_app(hub.settings)
    headers = {"Idempotency-Key": str(new_id())}
    async with other.client(authorization=ada.client.headers["authorization"]) as there:
        answers = await asyncio.gather(
            *(
                client.post(conversation, json={"body": "Once"}, headers=headers)
                for client in (ada.client, there)
                for _ in range(25)
            )
        )
    assert await count_rows(system_pool, "messages") == 1
    good = [answer for answer in answers if answer.status_code == 201]
    in_flight = [answer for answer in answers if answer.status_code == 409]
    assert len(good) + len(in_flight) == 50
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


@pytest.mark.req("API-06")
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


async def test_an_answer_that_is_lost_on_its_way_is_there_for_the_next_try(
    hub: Running, ada, conversation, system_pool
):
    async def cut(scope, receive, send):
        async def lose(message):
            raise ConnectionResetError

        await hub.app(scope, receive, lose)

    lossy = httpx.ASGITransport(cut, raise_app_exceptions=False)
    headers = {"Idempotency-Key": "k"}
    async with httpx.AsyncClient(
        transport=lossy, base_url=BASE_URL, headers=ada.client.headers
    ) as client:
        lost = await client.post(conversation, json={"body": "Hi"}, headers=headers)
    assert lost.status_code == 500
    again = await ada.client.post(conversation, json={"body": "Hi"}, headers=headers)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert await count_rows(system_pool, "messages") == 1


async def test_what_is_sealed_where_it_lives_is_sealed_in_kept_answers_too(ada, system_pool: Pool):
    headers = {"Idempotency-Key": "k"}
    new = {
        "full_name": "Grace",
        "notes": "Told me a secret.",
        "methods": [{"kind": "email", "value": "grace@secret.example"}],
    }
    made, again = [await ada.client.post("/v1/contacts", json=new, headers=headers) for _ in "ab"]
    assert again.headers["idempotent-replayed"] == "true"
    assert again.content == made.content
    async with system_pool.connection() as connection:
        [kept] = await connection.fetch(
            "SELECT response_body AS body, request_hash FROM idempotency_keys"
        )
    assert b"secret" in made.content
    assert b"secret" not in kept["body"]
    # Nor can anybody try what was asked.
    asked = idempotency.hash_of("POST /v1/contacts?", made.request.content)
    assert kept["request_hash"] != asked


async def test_a_key_is_kept_for_a_day(ada, conversation, system_pool: Pool):
    headers = {"Idempotency-Key": "k"}
    await ada.client.post(conversation, json={"body": "One"}, headers=headers)
    for hours, replayed in ((23, True), (25, False)):
        async with system_pool.connection() as connection:
            await connection.execute(
                "UPDATE idempotency_keys"
                " SET expires_at = created_at + interval '24 h' - make_interval(hours => $1)",
                hours,
            )
        again = await ada.client.post(conversation, json={"body": "One"}, headers=headers)
        assert again.status_code == 201
        assert ("idempotent-replayed" in again.headers) is replayed
    assert await count_rows(system_pool, "messages") == 2


async def test_a_key_is_free_for_another_body_after_a_day(ada, conversation, system_pool: Pool):
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


def lasting(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    """Return what a repetition must be the same in."""
    headers = {name: to for name, to in answer.headers.items() if name not in _OF_THE_REQUEST}
    return answer.status_code, headers, answer.content
