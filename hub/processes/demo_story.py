"""What the demo people are to each other: cards, a meeting, words, and whom Ada knows besides.

Told as they would tell it, through the slices' services with each of them as the actor. A second
run changes nothing: a card that is there stays, a meeting has its name, a message its client key.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from core import clock, config
from core.actor import SYSTEM, Actor
from core.config import Settings
from core.crypto import FieldCipher
from core.db import Pool, begin
from core.ids import UserId
from hub.domains.cards import service as cards
from hub.domains.cards.schemas import Card
from hub.domains.contacts.service import Keys
from hub.domains.encounters import service as encounters
from hub.domains.encryption import service as encryption
from hub.domains.interactions import service as interactions
from hub.domains.interactions.schemas import NewInteraction
from hub.domains.messaging import service as messaging
from hub.domains.messaging.schemas import NewMessage
from hub.processes import demo_address_book
from hub.processes.system_pool import system_pool
from hub.providers.keys import read_cipher, read_index_key

ADA, GRACE = "Ada Lovelace", "Grace Hopper"
MET_DAYS_AGO: Final = 12
CARDS: Final = (
    Card(
        full_name=ADA,
        emails=["ada@example.com"],
        phones=["+44 20 7946 0018"],
        company="Analytical Engines",
        job_title="Programmer",
        urls=["https://example.com/notes"],
        note="Ask me about Bernoulli numbers.",
    ),
    Card(
        full_name=GRACE,
        emails=["grace@example.com"],
        company="Compilers & Sons",
        job_title="Rear admiral",
        note="I carry nanoseconds; you may keep one.",
    ),
)
TALK: Final = (
    (GRACE, "Good to have met you at the symposium! Did the ring find my card?"),
    (ADA, "It did, before we had let go. Your nanosecond lies on my desk."),
    (GRACE, "Then you know why satellites are slow. Coffee on Thursday?"),
    (ADA, "Thursday is fine. Tap the ring when you are downstairs."),
)


async def tell(settings: Settings, people: Mapping[str, UUID]) -> None:
    """Write what is missing of the story; `people` are ids by full name."""
    url = config.require(settings.database.url, "database.url")
    cipher = read_cipher(settings)
    async with system_pool(settings) as system, encryption.kept(system, cipher, settings.keys):
        pool = await Pool.configured(settings.database, url, max_size=1)
        try:
            for card in CARDS:
                await _keep_card(pool, people[card.full_name], card, cipher)
            keys = Keys(cipher, read_index_key(settings))
            for one, other in zip(CARDS, reversed(CARDS), strict=True):
                await _meet(system, people[one.full_name], people[other.full_name], other, keys)
            for number, (name, body) in enumerate(TALK):
                partner = GRACE if name == ADA else ADA
                await _say(pool, people[name], people[partner], f"demo-{number}", body)
            await demo_address_book.tell(system, pool, people[ADA], keys)
        finally:
            await pool.close()


async def _keep_card(pool: Pool, user_id: UUID, card: Card, cipher: FieldCipher) -> None:
    async with begin(pool, _as(user_id)) as tx:
        # While there is none, the name stands for it.
        if await cards.get_own(tx, cipher) == Card(full_name=card.full_name):
            await cards.put_own(tx, card, cipher)


async def _meet(system: Pool, user_id: UUID, partner_id: UUID, card: Card, keys: Keys) -> None:
    """Let a side of a meeting be as after an exchange: a contact of the card, a touch."""
    async with begin(system, SYSTEM) as tx:
        met = NewInteraction(
            kind="ring_tap",
            occurred_at=clock.now() - timedelta(days=MET_DAYS_AGO),
            source="ring",
            external_id="demo-symposium",
            contact_id=await encounters.know(tx, user_id, partner_id, card, keys),
            subject="The symposium",
        )
        await interactions.record(tx, met, owner_id=user_id)


async def _say(pool: Pool, user_id: UUID, partner_id: UUID, key: str, body: str) -> None:
    async with begin(pool, _as(user_id)) as tx:
        conversation, _ = await messaging.open_direct(tx, partner_id)
        await messaging.send_message(tx, conversation.id, NewMessage(body=body, client_key=key))


def _as(user_id: UUID) -> Actor:
    return Actor(kind="user", user_id=UserId(user_id), endpoint="pinghub db seed")
