"""Addresses at rest tell nobody who knows whom."""

import asyncpg

from tests.fixtures.app import User
from tests.hub.domains.contacts.book import add


async def test_two_users_addresses_are_never_equal_at_rest(
    ada: User, grace: User, admin: asyncpg.Connection
) -> None:
    for user in (ada, grace):
        await add(user, methods=[{"kind": "email", "value": "charles@example.com"}])
    rows = await admin.fetch("SELECT value_hash FROM contact_methods")
    assert len({row["value_hash"] for row in rows}) == 2
