"""Contacts are said to be users where both sides let it, and no longer than that."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from core.actor import SYSTEM
from core.crypto import FieldCipher
from core.db import begin
from core.ids import new_id
from hub.domains.contact_matching import queries, service
from hub.domains.identities import service as identities
from hub.http.limits import POLICIES
from tests.fixtures.app import Running, User, user_actor
from tests.fixtures.consents import allow, withdraw
from tests.hub.domains.contacts.book import add

NewUser = Callable[[str], Awaitable[User]]


async def verify(hub: Running, admin: asyncpg.Connection, user: User, email: str) -> None:
    """Let a provider have vouched for an address of a user."""
    login = await admin.fetchval(
        """INSERT INTO user_logins (user_id, provider, issuer, subject)
        VALUES ($1, 'google', 'https://accounts.google.com', $2) RETURNING id""",
        user.id,
        str(new_id()),
    )
    house = hub.resources
    cipher: FieldCipher = house.cipher
    async with begin(house.system, SYSTEM) as tx:
        await identities.note_verified(
            tx, user.id, login, "email", email, cipher=cipher, index_key=house.index_key
        )


async def link(user: User, *contacts: str) -> Any:
    return await user.client.post("/v1/contacts/link-users", json={"contact_ids": list(contacts)})


async def linked_to(user: User, contact: str) -> str | None:
    return (await user.client.get(f"/v1/contacts/{contact}")).json()["linked_user_id"]


@pytest.mark.req("ACC-15")
async def test_a_contact_is_linked_with_both_consents_and_unlinked_with_either_gone(
    hub: Running, ada: User, grace: User, admin: asyncpg.Connection
) -> None:
    await verify(hub, admin, grace, "grace@navy.mil")
    bodies = [
        {"full_name": "Grace", "methods": [{"kind": "email", "value": "Grace@Navy.mil"}]},
        {"full_name": "Nobody", "methods": [{"kind": "email", "value": "nobody@navy.mil"}]},
    ]
    made = [await ada.client.post("/v1/contacts", json=body) for body in bodies]
    contact, nobody = (answer.json()["id"] for answer in made)
    refused = await link(ada, contact)
    assert (refused.status_code, refused.json()["code"]) == (403, "consent.missing")
    await allow(admin, ada.id, "contact_matching")
    assert (await link(ada, contact, nobody)).json() == {"linked": [], "addresses": 2, "left": []}
    await allow(admin, grace.id, "contact_matching")
    found = (await link(ada, contact, nobody)).json()
    expected = {
        "contact_id": contact,
        "user_id": str(grace.id),
        "display_name": "Grace Hopper",
    }
    assert found["linked"] == [expected]
    assert await linked_to(ada, contact) == str(grace.id)
    # Of whom is linked nothing is looked up again, and of others' contacts nothing at all.
    assert (await link(ada, contact)).json()["addresses"] == 0
    assert (await link(grace, contact)).json()["addresses"] == 0
    for who in (grace, ada):
        await withdraw(admin, who.id, "contact_matching")
        async with begin(hub.resources.system, SYSTEM) as tx:
            await service.forget_matches(tx, UUID(str(who.id)))
        assert await linked_to(ada, contact) is None
        await admin.execute(
            "UPDATE consents SET granted = true, granted_at = now(), withdrawn_at = NULL"
        )
        assert len((await link(ada, contact)).json()["linked"]) == 1
    assert (await ada.client.delete(f"/v1/contacts/{contact}/linked-user")).status_code == 204
    assert await linked_to(ada, contact) is None
    await link(ada, contact)
    await grace.client.put(f"/v1/blocks/{ada.id}")
    assert await linked_to(ada, contact) is None
    assert (await link(ada, contact)).json()["linked"] == []


@pytest.mark.req("ACC-15")
async def test_who_gives_an_address_up_or_loses_it_is_found_by_it_no_more(
    hub: Running, ada: User, grace: User, new_user: NewUser, admin: asyncpg.Connection
) -> None:
    eve = await new_user("Eve")
    for user in (ada, grace, eve):
        await allow(admin, user.id, "contact_matching")
    methods = [{"kind": "email", "value": "grace@navy.mil"}]
    contact = (await add(ada, full_name="Grace", methods=methods))["id"]
    met = (await add(ada, full_name="Grace of the ring"))["id"]
    await admin.execute(
        "UPDATE contacts SET linked_user_id = $2, linked_by = 'ring' WHERE id = $1", met, grace.id
    )
    await verify(hub, admin, grace, "grace@navy.mil")
    await link(ada, contact)
    assert await linked_to(ada, contact) == str(grace.id)
    [address] = (await grace.client.get("/v1/me/identities")).json()["items"]
    assert (await grace.client.delete(f"/v1/me/identities/{address['id']}")).status_code == 204
    assert await linked_to(ada, contact) is None
    assert (await link(ada, contact)).json()["linked"] == []
    await verify(hub, admin, grace, "grace@navy.mil")
    await link(ada, contact)
    assert await linked_to(ada, contact) == str(grace.id)
    # Passed on: the same address is somebody else's a year later.
    await admin.execute("UPDATE identity_hashes SET verified_at = now() - interval '1 year'")
    await verify(hub, admin, eve, "grace@navy.mil")
    assert await linked_to(ada, contact) is None
    await withdraw(admin, eve.id, "contact_matching")
    assert (await link(ada, contact)).json()["linked"] == []
    assert await linked_to(ada, met) == str(grace.id)
    await admin.execute("DELETE FROM users WHERE id = $1", grace.id)
    erased = (await ada.client.get(f"/v1/contacts/{met}")).json()
    assert (erased["linked_user_id"], erased["linked_by"]) == (None, None)


@pytest.mark.parametrize("lacks", ["nothing", "own consent", "their consent", "peace", "contact"])
async def test_whoever_asks_the_database_itself_links_nobody_without_consent(
    hub: Running, ada: User, grace: User, admin: asyncpg.Connection, lacks: str
) -> None:
    for user, lacking in ((ada, "own consent"), (grace, "their consent")):
        if lacks != lacking:
            await allow(admin, user.id, "contact_matching")
    if lacks == "peace":
        await grace.client.put(f"/v1/blocks/{ada.id}")
    owner = grace if lacks == "contact" else ada
    contact = UUID((await add(owner, full_name="Somebody"))["id"])
    async with begin(hub.resources.api, user_actor(ada.id)) as tx:
        linked = await queries.link_matched.all(tx, [contact], [grace.id])
    assert linked == ([contact] if lacks == "nothing" else [])
    there = await linked_to(owner, str(contact))
    assert there == (str(grace.id) if lacks == "nothing" else None)


async def test_linking_counts_against_the_limits_of_asking(
    hub: Running, ada: User, grace: User, admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(POLICIES["identity_match_ip"], quota=10, burst=10)
    monkeypatch.setattr(hub.resources.limiter, "policies", {**POLICIES, few.name: few})
    methods = [{"kind": "email", "value": f"{n}@example.com"} for n in range(6)]
    for user, expected in ((ada, 200), (grace, 429)):
        await allow(admin, user.id, "contact_matching")
        contact = (await add(user, full_name="Six", methods=methods))["id"]
        assert (await link(user, contact)).status_code == expected
    monkeypatch.setattr(hub.resources.limiter, "_closed_until", {"open": 0, "closed": float("inf")})
    contact = (await add(ada, full_name="Seven", methods=methods))["id"]
    assert (await link(ada, contact)).json()["code"] == "service.unavailable"


async def test_what_is_too_much_for_once_is_left_for_later(ada: User, admin: Any) -> None:
    await allow(admin, ada.id, "contact_matching")
    ids: list[str] = []
    for name in ("a", "b", "c"):
        methods = [{"kind": "email", "value": f"{name}{n}@example.com"} for n in range(50)]
        body = {"full_name": name, "methods": methods}
        ids.append((await ada.client.post("/v1/contacts", json=body)).json()["id"])
    asked = (await link(ada, *ids)).json()
    assert (asked["addresses"], len(asked["left"])) == (100, 1)
    refused = await link(ada, *asked["left"])
    assert (refused.status_code, refused.json()["code"]) == (429, "limit.exceeded")
