"""What the hub itself sees of people who meet and write, recorded as their interactions."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from core.db import Tx
from hub.domains.cards.schemas import Card
from hub.domains.contacts import service as contacts
from hub.domains.contacts.schemas import MethodKind
from hub.domains.contacts.service import Keys
from hub.domains.encounters import queries, rules
from hub.domains.encounters.schemas import Touched
from hub.domains.interactions import service as interactions
from hub.domains.interactions.schemas import NewInteraction

PARTNER_CARD_COLUMN: Final = "touches.partner_card"


async def record_touch(tx: Tx, user_id: UUID, touch_id: UUID, keys: Keys) -> None:
    """Record a touch at which cards went over as an interaction of one side's user.

    The other becomes one of their contacts, unless they stand in the address book already. Again is
    harmless. Needs a system transaction.
    """
    touch = await queries.find_touch.first(tx, touch_id, user_id)
    if touch is None:  # the partner's account is gone
        return
    met = NewInteraction(
        kind="ring_tap",
        occurred_at=touch.touched_at,
        source="ring",
        external_id=f"touch:{touch.id}",
        contact_id=await know(tx, user_id, touch.partner_user_id, _open_card(touch, keys), keys),
        metadata={"touch_id": str(touch.id)},
    )
    await interactions.record(tx, met, owner_id=user_id)


async def record_message(
    tx: Tx, *, message_id: UUID, conversation_id: UUID, sender_id: UUID, sent_at: datetime
) -> None:
    """Record a message of a direct conversation as an interaction of both its users.

    That it was written, not what: its words stay where their author can take them back. Who writes
    does not come into an address book by it. Needs a system transaction.
    """
    for member in await queries.talk_partners.all(tx, conversation_id):
        told = NewInteraction(
            kind="message",
            occurred_at=sent_at,
            source="messaging",
            external_id=f"message:{message_id}",
            contact_id=member.contact_id,
            direction="outbound" if member.user_id == sender_id else "inbound",
            metadata={"conversation_id": str(conversation_id)},
        )
        await interactions.record(tx, told, owner_id=member.user_id)


async def know(tx: Tx, owner: UUID, partner: UUID, card: Card | None, keys: Keys) -> UUID | None:
    """Return the contact as which a user stands in another's address book, new if need be.

    Whoever is not there is made of the card; None without one, or for who is blocked. Needs a
    system transaction.
    """
    await queries.lock_pair.run(tx, owner, partner)
    known = await queries.find_linked_contact.first(tx, owner, partner)
    if known is not None or card is None:
        return known
    if await queries.has_blocked.one(tx, owner, partner):  # since they met
        return None
    region = await contacts.region_of(tx, owner)
    told = rules.contact_of(card)
    # A card may hold what looks like an address and is none.
    methods = [
        method
        for method in told.methods
        if contacts.sealing.method_hashes(keys, owner, method.kind, method.value, region)
    ]
    new = replace(told, methods=methods)
    # By what is a person's: a web page is often that of everybody at a company.
    addresses: list[tuple[MethodKind, str]] = [
        (method.kind, method.value) for method in new.methods if method.kind != "url"
    ]
    for found in await contacts.find_by_addresses(
        tx, keys, addresses, owner_id=owner, region=region
    ):
        if found is not None and await queries.link_contact.first(tx, owner, found, partner):
            return found
    [added] = await contacts.add_contacts(tx, keys, [new], owner_id=owner, region=region)
    await queries.link_contact.one(tx, owner, added, partner)
    return added


def _open_card(touch: Touched, keys: Keys) -> Card | None:
    if touch.partner_card is None:
        return None
    text = keys.cipher.open(touch.partner_card, column=PARTNER_CARD_COLUMN, row=touch.id.bytes)
    return msgspec.json.decode(text, type=Card)
