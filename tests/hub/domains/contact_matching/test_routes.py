"""Contacts are said to be users where both sides let it, and no longer than that."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from core.actor import SYSTEM
from core.crypto import FieldCipher
from core.db import begin
from hub.domains.contact_matching import service
from hub.domains.identities import service as identities
from tests.fixtures.app import Running, User
from tests.fixtures.consents import allow, withdraw


async def verify(hub: Running, admin: asyncpg.Connection, user: User, email: str) -> None:
    """Let a provider have vouched for an address of a user."""
    login = await admin.fetchval(
        """INSERT INTO user_logins (user_id, provider, issuer, subject)
        VALUES ($1, 'google', 'https://accounts.google.com', $2) RETURNING id""",
        user.id,
        email,
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
