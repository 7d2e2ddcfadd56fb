"""Two hundred planted secrets are in no dump, no write-ahead log and no log of the database."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from core.actor import SYSTEM
from core.db import begin
from hub.domains.accounts import service as accounts
from hub.domains.cards import service as cards
from hub.domains.cards.schemas import Card
from hub.processes import db
from tests.fixtures.app import NewRing, Running, User, user_actor
from tests.fixtures.postgres import Database

PEOPLE = 40


def forms(secret: str | bytes) -> set[bytes]:
    """Return how a secret would show: plain, as hex in a dump, as base64."""
    raw = secret.encode() if isinstance(secret, str) else secret
    return {raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")}


async def plant(hub: Running, give_ring: Callable[[User], Awaitable[NewRing]], ada: User) -> set:
    """Put e-mail addresses, cards, tokens and keys of rings into every place there is."""
    house = hub.resources
    planted: set[str | bytes] = set()
    for n in range(PEOPLE):
        email, card_email = f"planted-{n}@secret.example", f"card-{n}@secret.example"
        phone, claim = f"+4915150{n:06}", await give_ring(ada)
        async with begin(house.system, SYSTEM) as tx:
            user = await accounts.add_user(
                tx,
                full_name="Nobody",
                email=email,
                timezone="UTC",
                cipher=house.cipher,
                index_key=house.index_key,
            )
        async with begin(house.api, user_actor(user)) as tx:
            card = Card(full_name="Nobody", emails=[card_email], phones=[phone])
            await cards.put_own(tx, card, house.cipher)
            opened = await accounts.open_session(tx, lifetime_seconds=60)
        planted |= {email, card_email, phone, opened.refresh_token}
        planted |= {claim.tap_key, claim.id_key, claim.claim_code, claim.nfc_uid}
    return planted


def written_by_server(folder: Path) -> dict[str, bytes]:
    """Return write-ahead log and logs."""
    paths = (*folder.glob("pg_wal/*"), *folder.glob("*.log"), *folder.parent.glob("*.log"))
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


@pytest.mark.req("SEC-01")
async def test_planted_secrets_are_in_no_dump_nor_write_ahead_log(
    hub: Running,
    give_ring: Callable[[User], Awaitable[NewRing]],
    ada: User,
    database: Database,
) -> None:
    planted = await plant(hub, give_ring, ada)
    assert len(planted) >= 200
    connection = await asyncpg.connect(database.superuser_url)
    folder = Path(await connection.fetchval("SHOW data_directory"))
    await connection.execute("CHECKPOINT")
    await connection.close()
    dump = db.run_program(
        database.owner_url, "pg_dump", "--enable-row-security", "--exclude-extension=*"
    ).encode()
    places = {"dump": dump}
    places |= await asyncio.to_thread(written_by_server, folder)
    assert len(places) > 2
    # The search would find what is not sealed.
    assert b"Ada Lovelace" in dump
    assert any(b"Ada Lovelace" in content for name, content in places.items() if name != "dump")
    wanted = [form for secret in planted for form in forms(secret)]
    assert [
        (name, form) for name, content in places.items() for form in wanted if form in content
    ] == []
