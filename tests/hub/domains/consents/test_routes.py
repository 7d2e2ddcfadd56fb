"""Consents over REST: asked, granted, withdrawn, and on record for good."""

import asyncio
from typing import Any, get_args
from uuid import UUID

import asyncpg
import pytest

from core.actor import SYSTEM
from core.db import Pool, begin
from core.errors import DomainError
from hub.domains.consents import rules, service
from hub.domains.consents.schemas import Purpose
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import Running, User, user_actor

MATCHING = "/v1/me/consents/contact_matching"
YES = {"granted": True, "text_version": 1}
NO = {"granted": False}


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def allowed(pool: Pool, user: UUID, purpose: Purpose = "contact_matching") -> bool:
    async with begin(pool, SYSTEM) as tx:
        return await service.allows(tx, user, purpose)


@pytest.mark.req("ACC-13")
async def test_nothing_is_allowed_before_somebody_was_asked(ada: User, system_pool: Pool) -> None:
    listed = (await ada.client.get("/v1/me/consents")).json()
    assert {item["purpose"] for item in listed} == set(get_args(Purpose))
    for item in listed:
        assert (item["granted"], item["text_version"], item["granted_at"]) == (False, None, None)
        assert item["text"] == rules.TEXTS[item["purpose"]][-1]
        assert not await allowed(system_pool, ada.id, item["purpose"])


@pytest.mark.req("ACC-13", "SEC-03")
async def test_a_consent_holds_from_the_answer_on_and_its_withdrawal_too(
    ada: User, grace: User, system_pool: Pool
) -> None:
    granted = await ada.client.put(MATCHING, json={**YES, "source": "onboarding"})
    assert granted.status_code == 200, granted.text
    shown = granted.json()
    assert (shown["granted"], shown["source"], shown["withdrawn_at"]) == (True, "onboarding", None)
    assert shown["granted_at"] is not None
    assert await allowed(system_pool, ada.id)
    assert not await allowed(system_pool, grace.id)
    assert not await allowed(system_pool, ada.id, "location")
    withdrawn = (await ada.client.put(MATCHING, json=NO)).json()
    assert not await allowed(system_pool, ada.id)
    assert (withdrawn["granted"], withdrawn["granted_at"]) == (False, shown["granted_at"])
    assert withdrawn["withdrawn_at"] is not None
    assert (await ada.client.get(MATCHING)).json() == withdrawn
    entries = (await ada.client.get("/v1/me/audit")).json()["items"]
    name = f"{ada.id}:contact_matching"
    assert [
        (entry["action"], entry["resource_id"], entry["new_values"]["granted"])
        for entry in entries
        if entry["resource_type"] == "consents"
    ] == [("update", name, False), ("create", name, True)]


@pytest.mark.req("ACC-13")
async def test_every_decision_is_on_record_and_repetitions_are_none(ada: User, grace: User) -> None:
    for body in (NO, NO, YES, YES, NO, YES):
        assert (await ada.client.put(MATCHING, json=body)).status_code == 200
    first = (await ada.client.get("/v1/me/consent-history?limit=2")).json()
    rest = (await ada.client.get(f"/v1/me/consent-history?cursor={first['next_cursor']}")).json()
    decisions = first["items"] + rest["items"]
    assert [item["granted"] for item in decisions] == [True, False, True, False]
    assert {item["purpose"] for item in decisions} == {"contact_matching"}
    assert (await grace.client.get("/v1/me/consent-history")).json()["items"] == []


async def test_what_was_agreed_to_are_the_words_that_are_shown(
    ada: User, system_pool: Pool
) -> None:
    for version in ({}, {"text_version": 2}, {"text_version": None}):
        answer = await ada.client.put(MATCHING, json={"granted": True, **version})
        assert refusal(answer) == (409, "consent.text_outdated")
    for body in ({"granted": "yes"}, {}, {**YES, "source": "mail"}, {**YES, "user_id": 1}):
        assert refusal(await ada.client.put(MATCHING, json=body)) == (422, "request.invalid")
    assert refusal(await ada.client.put("/v1/me/consents/world", json=YES)) == (
        422,
        "request.invalid",
    )
    assert not await allowed(system_pool, ada.id)
    assert (await ada.client.get("/v1/me/consent-history")).json()["items"] == []


async def test_two_decisions_at_once_are_one_after_the_other(ada: User) -> None:
    answers = await asyncio.gather(*(ada.client.put(MATCHING, json=body) for body in (YES, NO) * 6))
    assert {answer.status_code for answer in answers} == {200}
    decisions = (await ada.client.get("/v1/me/consent-history")).json()["items"]
    flags = [item["granted"] for item in decisions]
    assert flags == [flags[0] if i % 2 == 0 else not flags[0] for i in range(len(flags))]
    assert (await ada.client.get(MATCHING)).json()["granted"] == flags[0]


async def test_a_key_reads_consents_and_gives_none(
    ada: User, new_key: NewKey, hub: Running
) -> None:
    key = await new_key(ada, "account:read", "account:write")
    assert (await key.client.get(MATCHING)).json()["granted"] is False
    assert refusal(await key.client.put(MATCHING, json=YES)) == (403, "auth.key_refused")
    # Nor where a route forgets it.
    by_key = user_actor(ada.id)
    async with hub.resources.api.connection() as connection, connection.transaction():
        await connection.execute(
            "SELECT set_config('app.user_id', $1, true), set_config('app.actor_kind', $2, true)",
            str(by_key.user_id),
            "api_key",
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                """INSERT INTO consents (purpose, granted, text_version, source, granted_at)
                VALUES ('location', true, 1, 'settings', now())"""
            )


async def test_a_user_s_transaction_knows_of_no_other_s_consent(
    hub: Running, ada: User, grace: User
) -> None:
    await ada.client.put(MATCHING, json=YES)
    async with begin(hub.resources.api, user_actor(grace.id)) as tx:
        assert not await service.allows(tx, ada.id, "contact_matching")
        with pytest.raises(DomainError) as refused:
            await service.require(tx, grace.id, "contact_matching")
    assert refused.value.code == "consent.missing"
    async with begin(hub.resources.api, user_actor(ada.id)) as tx:
        await service.require(tx, ada.id, "contact_matching")
