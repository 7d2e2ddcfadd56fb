"""`pinghub db seed`: fixed demo people with rings and a gateway, through the slices' own services.

Ids of the demo's devices come from their names, keys are random and sealed, so a second run finds
what the first one made and changes nothing. `rings.json` gives the virtual rings their keys.
"""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from core import config, log
from core.actor import SYSTEM
from core.crypto import FieldCipher, blind_index
from core.db import Pool, begin
from core.ids import new_id
from firmware_bridge.sun_keys import tag_keys
from hub.domains.accounts import service as accounts
from hub.domains.encryption import service as encryption
from hub.domains.rings import service as rings
from hub.embedded.private import owned_folder, write_private
from hub.processes import demo_story
from hub.providers.keys import read_cipher, read_index_key, read_sun_master_key

_log = log.get("seed")


class Person(msgspec.Struct, frozen=True):
    """Somebody to demonstrate with, and the names of their rings."""

    full_name: str
    email: str
    timezone: str
    rings: tuple[str, ...]


PEOPLE: Final = (
    Person("Ada Lovelace", "ada@example.com", "Europe/London", ("ada-1", "ada-2")),
    Person("Grace Hopper", "grace@example.com", "America/New_York", ("grace-1",)),
    Person("Alan Turing", "alan@example.com", "Europe/London", ()),
)
GATEWAY_NAME: Final = "demo-gateway"


class Keys(msgspec.Struct, frozen=True):
    """What the demo data is sealed with."""

    cipher: FieldCipher
    index: bytes
    sun_master: bytes


def seed_database() -> None:
    """Put demo people, rings and a gateway into the database; again is harmless."""
    settings = config.load()
    log.configure(settings.log.level, settings.log.style)
    asyncio.run(_seed_with_story(settings, config.home()))


async def _seed_with_story(settings: config.Settings, home: Path) -> None:
    people = await seed(settings, home)
    await demo_story.tell(settings, people)


async def seed(settings: config.Settings, home: Path) -> dict[str, UUID]:
    """Make what is missing of the demo people and devices; `home` receives rings.json.

    Returns the people's ids by name.
    """
    cipher = read_cipher(settings)
    keys = Keys(
        cipher,
        read_index_key(settings),
        read_sun_master_key(settings),
    )
    database = settings.database
    system = await Pool.open(config.require(database.system_url, "database.system_url"), max_size=1)
    try:
        async with encryption.kept(system, cipher, settings.keys):
            people, entries = await _add_all(system, keys, settings.gateway)
    finally:
        await system.close()
    write_private(owned_folder(home) / "rings.json", json.dumps(entries, indent=2) + "\n")
    _log.info("seeded", users=len(PEOPLE), rings=len(entries))
    return people


async def _add_all(
    system: Pool, keys: Keys, gateway: config.Gateway
) -> tuple[dict[str, UUID], list[dict[str, str]]]:
    people: dict[str, UUID] = {}
    entries: list[dict[str, str]] = []
    for number, person in enumerate(PEOPLE):
        user_id = people[person.full_name] = await _add_person(system, person, keys)
        if number == 0:
            gateway_id = UUID(gateway.id) if gateway.id else new_id()
            async with begin(system, SYSTEM) as tx:
                await rings.add_gateway(
                    tx, gateway_id=gateway_id, owner_id=user_id, name=GATEWAY_NAME
                )
        entries += [await _add_ring(system, name, user_id, keys) for name in person.rings]
    return people, entries


async def _add_person(system: Pool, person: Person, keys: Keys) -> UUID:
    async with begin(system, SYSTEM) as tx:
        return await accounts.add_user(
            tx,
            full_name=person.full_name,
            email=person.email,
            timezone=person.timezone,
            cipher=keys.cipher,
            index_key=keys.index,
        )


async def _add_ring(system: Pool, name: str, user_id: UUID, keys: Keys) -> dict[str, str]:
    digest = hashlib.sha256(f"pinghub demo ring {name}".encode()).digest()
    # NXP's UIDs begin with 04.
    device_id, nfc_uid = digest[:8], b"\x04" + digest[8:14]
    # Nobody guesses the code without the key.
    code = blind_index(keys.index, "demo.claim_code", name).hex()[:12]
    async with begin(system, SYSTEM) as tx:
        ring = await rings.add_ring(
            tx,
            device_id=device_id,
            nfc_uid=nfc_uid,
            claim_code=code,
            cipher=keys.cipher,
            index_key=keys.index,
        )
        if ring.is_new:  # else it may be another one's by now
            await rings.give_ring(tx, ring.id, user_id, name)
    tag = tag_keys(keys.sun_master, nfc_uid)
    return {
        "device_id": device_id.hex(),
        "tap_key": ring.tap_key.hex(),
        "id_key": ring.id_key.hex(),
        "name": name,
        "ring_id": str(ring.id),
        "owner_id": str(user_id),
        "nfc_uid": nfc_uid.hex(),
        "sun_meta_key": tag.meta.hex(),
        "sun_file_key": tag.file.hex(),
    }
