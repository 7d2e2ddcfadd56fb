"""Contact cards: sealed at rest, opened for their owner and for whom they are handed to."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

import msgspec

from core.crypto import FieldCipher
from core.db import Tx
from core.errors import DomainError
from hub.domains.cards import queries
from hub.domains.cards.schemas import Card, StoredCard

CARD_COLUMN: Final = "contact_cards.card"
_NAME_CHARS: Final = 120


async def get_own(tx: Tx, cipher: FieldCipher) -> Card:
    """Return what would go over: the actor's card, or their name while there is none."""
    stored = await queries.find_own.first(tx)
    if stored is None:
        raise DomainError("auth.token_invalid", "The account of this token is gone.")
    return _open(stored, cipher)


async def put_own(tx: Tx, card: Card, cipher: FieldCipher) -> None:
    """Replace the actor's card; what was handed over before stays as it was."""
    user_id = tx.actor.user_id
    if user_id is None:
        raise DomainError("auth.required")
    sealed = cipher.seal(msgspec.json.encode(card), column=CARD_COLUMN, row=user_id.bytes)
    await queries.put_own.run(tx, sealed)


async def of_users(tx: Tx, user_ids: Iterable[UUID], cipher: FieldCipher) -> dict[UUID, Card]:
    """Return the cards of living accounts; needs a system transaction."""
    rows = await queries.find_many.all(tx, list(user_ids))
    return {row.user_id: _open(row, cipher) for row in rows}


def _open(stored: StoredCard, cipher: FieldCipher) -> Card:
    if stored.card is None:
        return Card(full_name=stored.full_name[:_NAME_CHARS])
    text = cipher.open(stored.card, column=CARD_COLUMN, row=stored.user_id.bytes)
    return msgspec.json.decode(text, type=Card)
