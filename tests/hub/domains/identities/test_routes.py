"""Contacts find each other by addresses where both sides consent, and nobody else is given away."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import pytest_asyncio
from msgspec.structs import replace

from core import ids
from core.actor import SYSTEM
from core.data_keys import INDEX_SCOPE
from core.db import begin
from hub.domains.accounts import service as accounts
from hub.domains.encryption import service as encryption
from hub.domains.identities.schemas import LOOKUPS_MAX
from hub.domains.logins import service as logins
from hub.domains.logins.schemas import Proof
from hub.http.limits import POLICIES
from hub.providers.key_wrapping import open_wrapping
from tests.core.test_normal_forms import ADAS_EMAIL, ADAS_PHONE
from tests.fixtures.app import Running, User, user_actor
from tests.fixtures.consents import allow, withdraw

SignIn = Callable[..., Awaitable[User]]
ADA: dict[str, Any] = {
    "email": "Ada@Example.com",
    "email_verified": True,
    "phone": "+49 151 50123456",
    "phone_verified": True,
}


@pytest_asyncio.fixture
async def sign_in(hub: Running, admin: asyncpg.Connection) -> AsyncIterator[SignIn]:
    """Sign somebody in for whom a provider vouches; they consent unless said otherwise."""
    clients: list[httpx.AsyncClient] = []
    house, consenting = hub.resources, asyncio.Lock()

    async def sign(name: str, *, consents: bool = True, **vouched: Any) -> User:
        proof = Proof(
            provider="idp", issuer="https://idp.example", subject=name, full_name=name, **vouched
        )
        async with begin(house.system, SYSTEM) as tx:
            keys = logins.Keys(house.cipher, house.index_key)
            user_id = await logins.sign_in(tx, proof, keys)
        async with begin(house.api, user_actor(user_id)) as tx:
            opened = await accounts.open_session(tx, lifetime_seconds=3600)
        if consents:
            async with consenting:
                await allow(admin, user_id, "contact_matching")
        token = house.token_keys.issue(
            user_id, opened.family_id, "user", authenticated_at=opened.authenticated_at
        )
        clients.append(hub.client(authorization=f"Bearer {token}"))
        return User(user_id, name, clients[-1])

    yield sign
    for client in clients:
        await client.aclose()


def plain(kind: str, *values: str) -> list[dict[str, str]]:
    return [{"form": "plain", "kind": kind, "value": value} for value in values]


def hashed(kind: str, *forms: str) -> list[dict[str, str]]:
    return [
        {"form": "sha256", "kind": kind, "value": hashlib.sha256(form.encode()).hexdigest()}
        for form in forms
    ]


async def ask(user: User, addresses: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    answer = await user.client.post("/v1/contacts/match", json={"addresses": addresses, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.req("ACC-15")
async def test_one_person_is_found_by_each_of_thirty_spellings(sign_in: SignIn) -> None:
    ada = await sign_in("Ada Lovelace", **ADA)
    grace = await sign_in("Grace Hopper")
    asked = [*plain("email", *ADAS_EMAIL), *plain("phone", *ADAS_PHONE)]
    found = await ask(grace, asked, region="de")
    assert found["unreadable"] == []
    assert found["matches"] == [
        {"position": position, "user_id": str(ada.id), "display_name": "Ada Lovelace"}
        for position in range(len(asked))
    ]


async def test_an_app_may_send_hashes_and_gets_the_same_answer(sign_in: SignIn) -> None:
    ada = await sign_in("Ada Lovelace", **ADA)
    grace = await sign_in("Grace Hopper")
    asked = [*hashed("email", "ada@example.com", "x"), *hashed("phone", "+4915150123456")]
    found = (await ask(grace, asked))["matches"]
    assert [(item["position"], item["user_id"]) for item in found] == [
        (0, str(ada.id)),
        (2, str(ada.id)),
    ]
    # A telephone number is no e-mail address.
    assert (await ask(grace, hashed("email", "+4915150123456")))["matches"] == []


async def test_a_number_is_read_by_the_askers_region(sign_in: SignIn) -> None:
    await sign_in("Ada Lovelace", **ADA)
    german = await sign_in("Grace Hopper", locale="de-DE")
    swiss = await sign_in("Alan Turing", locale="de-CH")
    nowhere = await sign_in("Eve")
    local = plain("phone", "0151 50123456")
    assert len((await ask(german, local))["matches"]) == 1
    assert (await ask(swiss, local))["matches"] == []
    assert await ask(nowhere, local) == {"matches": [], "unreadable": [0]}


@pytest.mark.req("ACC-15", "ACC-13")
async def test_it_takes_both_sides_consent_and_ends_with_either(
    sign_in: SignIn, admin: asyncpg.Connection
) -> None:
    ada = await sign_in("Ada Lovelace", consents=False, **ADA)
    grace = await sign_in("Grace Hopper", consents=False)
    asked = plain("email", "ada@example.com")
    refused = await grace.client.post("/v1/contacts/match", json={"addresses": asked})
    assert (refused.status_code, refused.json()["code"]) == (403, "consent.missing")
    await allow(admin, grace.id, "contact_matching")
    nobody = await grace.client.post("/v1/contacts/match", json={"addresses": asked})
    strangers = plain("email", "nobody@example.com")
    other = await grace.client.post("/v1/contacts/match", json={"addresses": strangers})
    # Somebody who did not consent is nobody, to the last byte.
    assert nobody.content == other.content
    await allow(admin, ada.id, "contact_matching")
    assert len((await ask(grace, asked))["matches"]) == 1
    await withdraw(admin, ada.id, "contact_matching")
    assert (await ask(grace, asked))["matches"] == []


async def test_the_blocked_the_closed_and_oneself_are_not_found(
    sign_in: SignIn, admin: asyncpg.Connection
) -> None:
    ada = await sign_in("Ada Lovelace", **ADA)
    grace = await sign_in("Grace Hopper")
    asked = plain("email", "ada@example.com")
    assert (await ask(ada, asked))["matches"] == []
    blocks = "INSERT INTO blocks (user_id, blocked_id) VALUES ($1, $2)"
    for one, other in ((ada, grace), (grace, ada)):
        await admin.execute(blocks, one.id, other.id)
        assert (await ask(grace, asked))["matches"] == []
        await admin.execute("DELETE FROM blocks")
    assert len((await ask(grace, asked))["matches"]) == 1
    await admin.execute("UPDATE users SET deleted_at = now() WHERE id = $1", ada.id)
    assert (await ask(grace, asked))["matches"] == []


async def test_only_what_a_provider_has_verified_counts(sign_in: SignIn) -> None:
    await sign_in("Mallory", email="ada@example.com", phone="+4915150123456")
    await sign_in("Relay", email="x@example.com", email_verified=True, is_private_relay=True)
    await sign_in("Wrapped", email="Mallory <ada@example.com>", email_verified=True)
    grace = await sign_in("Grace Hopper")
    asked = [*plain("email", "ada@example.com", "x@example.com")]
    assert (await ask(grace, [*asked, *plain("phone", "+4915150123456")]))["matches"] == []


async def test_an_address_stays_with_whoever_was_first(
    sign_in: SignIn, admin: asyncpg.Connection
) -> None:
    ada = await sign_in("Ada Lovelace", **ADA)
    thief = {"phone": ADA["phone"], "phone_verified": True}
    await sign_in("Thief", **thief)
    grace = await sign_in("Grace Hopper")
    found = (await ask(grace, plain("phone", ADA["phone"])))["matches"]
    assert [item["user_id"] for item in found] == [str(ada.id)]
    # Each sign-in confirms it again, and adds nothing.
    await sign_in("Ada Lovelace", consents=False, **ADA)
    assert await admin.fetchval("SELECT count(*) FROM identity_hashes") == 2


async def test_an_address_passes_to_who_proves_it_long_after_and_the_other_is_told(
    sign_in: SignIn, admin: asyncpg.Connection
) -> None:
    ada = await sign_in("Ada Lovelace", **ADA)
    number = {"phone": ADA["phone"], "phone_verified": True}
    await admin.execute("UPDATE identity_hashes SET verified_at = now() - interval '44 days'")
    await sign_in("Too soon", **number)
    grace = await sign_in("Grace Hopper")
    asked = plain("phone", ADA["phone"])
    assert [item["user_id"] for item in (await ask(grace, asked))["matches"]] == [str(ada.id)]
    # A carrier may have given the number to somebody else meanwhile.
    await admin.execute("UPDATE identity_hashes SET verified_at = now() - interval '46 days'")
    held = (await ada.client.get("/v1/me/identities")).json()["items"]
    lost = next(item["id"] for item in held if item["kind"] == "phone")
    hedy = await sign_in("Hedy Lamarr", **number)
    assert [item["user_id"] for item in (await ask(grace, asked))["matches"]] == [str(hedy.id)]
    left = (await ada.client.get("/v1/me/identities")).json()["items"]
    assert [item["kind"] for item in left] == ["email"]
    log = (await ada.client.get("/v1/me/audit")).json()["items"]
    (entry,) = [item for item in log if item["action"] == "delete"]
    assert (entry["by"], entry["resource_id"]) == ("hub", lost)
    assert str(hedy.id) not in json.dumps(entry)
    events = await admin.fetch("SELECT user_id, payload FROM events WHERE type = 'identity.lost'")
    assert [(row["user_id"], json.loads(row["payload"])) for row in events] == [
        (ada.id, {"identity_id": lost, "kind": "phone"})
    ]
    # It does not come back by the earlier owner's next sign-in.
    await sign_in("Ada Lovelace", consents=False, **ADA)
    assert [item["user_id"] for item in (await ask(grace, asked))["matches"]] == [str(hedy.id)]
    # Who gives one up knows it.
    (own,) = (await hedy.client.get("/v1/me/identities")).json()["items"]
    await hedy.client.delete(f"/v1/me/identities/{own['id']}")
    assert await admin.fetchval("SELECT count(*) FROM events WHERE type = 'identity.lost'") == 1


async def test_ones_own_addresses_are_listed_without_what_they_are_and_forgotten(
    sign_in: SignIn, admin: asyncpg.Connection
) -> None:
    ada = await sign_in("Ada Lovelace", **ADA)
    grace = await sign_in("Grace Hopper")
    listed = (await ada.client.get("/v1/me/identities")).json()["items"]
    assert {item["kind"] for item in listed} == {"email", "phone"}
    assert "example.com" not in json.dumps(listed)
    email = next(item for item in listed if item["kind"] == "email")
    path = f"/v1/me/identities/{email['id']}"
    for method in ("GET", "DELETE"):
        foreign = await grace.client.request(method, path)
        assert (foreign.status_code, foreign.json()["code"]) == (404, "identity.not_found")
    assert (await ada.client.get(path)).json() == email
    assert (await ada.client.delete(path)).status_code == 204
    assert (await ask(grace, plain("email", "ada@example.com")))["matches"] == []
    assert (await ada.client.delete(path)).status_code == 404
    # With the login goes what its provider has verified.
    await admin.execute("DELETE FROM user_logins WHERE user_id = $1", ada.id)
    assert (await ada.client.get("/v1/me/identities")).json()["items"] == []


@pytest.mark.req("SEC-03")
async def test_each_look_up_is_on_record_with_whom_it_found_and_not_whom_it_asked_for(
    sign_in: SignIn, admin: asyncpg.Connection
) -> None:
    ada = await sign_in("Ada Lovelace", **ADA)
    grace = await sign_in("Grace Hopper")
    await ask(grace, plain("email", "ada@example.com", "nobody@example.com"))
    rows = await admin.fetch(
        """SELECT user_id, owner_id, new_values::text AS details, endpoint FROM audit_log
        WHERE resource_type = 'identity_hashes' AND action = 'view' ORDER BY at, id"""
    )
    assert [(row["user_id"], row["owner_id"], json.loads(row["details"])) for row in rows] == [
        (grace.id, ada.id, {"by": "match"}),
        (grace.id, grace.id, {"asked": 2, "matched": 1}),
    ]
    assert {row["endpoint"] for row in rows} == {"POST /v1/contacts/match"}


@pytest.mark.req("ACC-15")
async def test_at_most_a_hundred_addresses_at_once_and_the_rest_of_the_day_slowly(
    sign_in: SignIn,
) -> None:
    policy = POLICIES["identity_match"]
    assert policy.burst == LOOKUPS_MAX
    assert (policy.quota + policy.burst, policy.window_seconds) == (500, 86_400)
    grace = await sign_in("Grace Hopper")
    alan = await sign_in("Alan Turing")
    batch = plain("email", *(f"{n}@example.com" for n in range(LOOKUPS_MAX // 2)))
    await ask(grace, batch)
    await ask(grace, batch)
    refused = await grace.client.post("/v1/contacts/match", json={"addresses": batch})
    assert (refused.status_code, refused.json()["code"]) == (429, "limit.exceeded")
    # 50 of 400 a day.
    assert 10_000 < int(refused.headers["retry-after"]) <= 10_800
    await ask(alan, batch)


async def test_an_address_that_is_asked_for_often_is_looked_up_once(
    sign_in: SignIn, admin: asyncpg.Connection
) -> None:
    """However often it is asked for, it takes as long to say nothing of somebody as of nobody."""
    ada = await sign_in("Ada Lovelace", **ADA)
    grace = await sign_in("Grace Hopper")
    asked = plain("email", *(["ada@example.com", "nobody@example.com"] * (LOOKUPS_MAX // 2)))
    found = (await ask(grace, asked))["matches"]
    assert [item["position"] for item in found] == list(range(0, LOOKUPS_MAX, 2))
    looked = "SELECT count(*) FROM audit_log WHERE owner_id = $1 AND action = 'view'"
    assert await admin.fetchval(looked, ada.id) == 1


@pytest.mark.req("ACC-15")
async def test_new_accounts_get_no_more_out_of_one_address(
    sign_in: SignIn, hub: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(POLICIES["identity_match_ip"], quota=10, burst=10)
    monkeypatch.setattr(hub.resources.limiter, "policies", {**POLICIES, few.name: few})
    six = plain("email", *(f"{n}@example.com" for n in range(6)))
    await ask(await sign_in("Mallory"), six)
    another = await sign_in("Mallory's second account")
    refused = await another.client.post("/v1/contacts/match", json={"addresses": six})
    assert (refused.status_code, refused.json()["code"]) == (429, "limit.exceeded")
    async with hub.client(
        peer="198.51.100.7", authorization=another.client.headers["authorization"]
    ) as elsewhere:
        answer = await elsewhere.post("/v1/contacts/match", json={"addresses": six})
    assert answer.status_code == 200


async def test_who_cannot_be_counted_is_not_answered(
    sign_in: SignIn, hub: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    grace = await sign_in("Grace Hopper")
    monkeypatch.setattr(hub.resources.limiter, "_closed_until", {"open": 0, "closed": float("inf")})
    asked = plain("email", "ada@example.com")
    refused = await grace.client.post("/v1/contacts/match", json={"addresses": asked})
    assert (refused.status_code, refused.json()["code"]) == (503, "service.unavailable")


MALFORMED: list[dict[str, Any]] = [
    {},
    {"addresses": []},
    {"addresses": plain("email", *("a@example.com",) * (LOOKUPS_MAX + 1))},
    {"addresses": plain("fax", "1")},
    {"addresses": plain("email", "")},
    {"addresses": plain("email", "x" * 400)},
    {"addresses": [{"form": "sha256", "kind": "email", "value": "ada@example.com"}]},
    {"addresses": [{"kind": "email", "value": "ada@example.com"}]},
    {"addresses": plain("phone", "0151 50123456"), "region": "Germany"},
]


async def test_a_malformed_question_is_refused_and_counts_nothing(
    sign_in: SignIn, admin: asyncpg.Connection
) -> None:
    grace = await sign_in("Grace Hopper")
    for body in MALFORMED:
        refused = await grace.client.post("/v1/contacts/match", json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "request.invalid"), body
        assert "ada@example.com" not in refused.text
    assert not await admin.fetchval("SELECT count(*) FROM audit_log WHERE action = 'view'")
    await ask(grace, plain("email", *("a@example.com",) * LOOKUPS_MAX))


@pytest.mark.req("ACC-15")
async def test_people_are_found_while_the_key_of_the_indexes_changes(
    sign_in: SignIn, hub: Running
) -> None:
    house = hub.resources
    ada = await sign_in("Ada Lovelace", **ADA)
    grace = await sign_in("Grace Hopper")
    wrapping = open_wrapping(hub.settings.keys, house.cipher.ring)
    assert house.cipher.data_keys is not None
    asked = plain("email", "ada@example.com")
    for step in range(4):
        if step % 2 == 0:
            await encryption.make_keys(house.system, wrapping, 0.0, {INDEX_SCOPE})
            await encryption.refresh(house.system, house.cipher.data_keys, wrapping)
        else:
            moved, _ = await encryption.reindex(
                house.system, house.cipher, progress=lambda _place, _values: None
            )
            assert moved > 0
        found = (await ask(grace, asked))["matches"]
        assert [UUID(item["user_id"]) for item in found] == [ada.id]
        await sign_in("Ada Lovelace", consents=False, **ADA)
    assert len((await ada.client.get("/v1/me/identities")).json()["items"]) == 2


async def test_two_who_bring_one_number_at_once_are_not_both_its_owner(
    sign_in: SignIn, admin: asyncpg.Connection
) -> None:
    phone = {"phone": ADA["phone"], "phone_verified": True}
    await asyncio.gather(*(sign_in(str(ids.new_id()), consents=False, **phone) for _ in range(5)))
    assert await admin.fetchval("SELECT count(*) FROM identity_hashes") == 1
