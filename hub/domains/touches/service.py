"""Touches: pairing of halves, asking, answers, and the exchange that both owners agreed to.

Whatever brings a touch further runs in one transaction under the locks of both records, both sides
and both owners' settings: it happens once, however often and by however many workers it is tried.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from prometheus_client import Counter

from core import clock, log
from core.crypto import DecryptionError, FieldCipher
from core.db import Tx
from core.errors import DomainError
from firmware_bridge import eid
from hub.domains.audit import service as audit
from hub.domains.cards import service as cards
from hub.domains.cards.schemas import Card
from hub.domains.friends import service as friends
from hub.domains.profiles import service as profiles
from hub.domains.profiles.schemas import PrivacySettings
from hub.domains.touches import queries, rules
from hub.domains.touches.schemas import (
    Half,
    IdKey,
    Lone,
    Record,
    Side,
    Touch,
    TouchAnswer,
    TouchEvent,
    TouchState,
)
from hub.http import page

TOUCHES_LISTING = "touches"
ID_KEY_COLUMN: Final = "rings.id_key"
PARTNER_CARD_COLUMN: Final = "touches.partner_card"
# The other half is usually on its way: its owner is asked only when it does not come.
ASK_AFTER_SECONDS: Final = 20
# What strangers may ask of one user at a time.
OPEN_QUESTIONS_MAX: Final = 5
_LIFETIME_SECONDS: Final = rules.HALF_LIFETIME_MS / 1000
_CANDIDATES_MAX: Final = 1000
_LONE_MAX: Final = 500
# Of identifiers per transaction: each costs some 10 µs per ring, and whoever dates records at will
# must not hold up the others.
_WINDOWS_MAX: Final = 6
_EXPIRE_MAX: Final = 1000
# A person whose privacy settings cannot be found has no account any more.
_GONE: Final = PrivacySettings(share_on_tap="never")

_log = log.get("touches")
# Counted before the commit: a transaction that is tried again counts again.
_touches = Counter("pinghub_touches", "What became of touches", ["outcome"])


async def list_touches(tx: Tx, *, limit: int, cursor: str | None) -> page.Page[Touch]:
    """Return the actor's sides of touches, the newest first."""
    before = page.decode_cursor(cursor, TOUCHES_LISTING, tuple[UUID])
    rows = await queries.list_touches.all(tx, before[0] if before else None, limit + 1)
    return page.paginate(rows, limit, TOUCHES_LISTING, lambda touch: (touch.id,))


async def get_touch(tx: Tx, touch_id: UUID) -> Touch:
    """Return the actor's side of a touch; anybody else's is as if it did not exist."""
    touch = await queries.find_touch.first(tx, touch_id)
    if touch is None:
        raise DomainError("touch.not_found")
    return touch


async def get_card(tx: Tx, touch_id: UUID, cipher: FieldCipher) -> Card:
    """Return the card that the partner of the actor's touch handed over."""
    found = await queries.find_card.first(tx, touch_id)
    if found is None:
        raise DomainError("touch.not_found")
    if found.partner_card is None:
        raise DomainError("touch.not_exchanged")
    await audit.note_reading(tx, "view", "touches", str(found.id), owner=found.partner_user_id)
    text = cipher.open(found.partner_card, column=PARTNER_CARD_COLUMN, row=found.id.bytes)
    return msgspec.json.decode(text, type=Card)


async def pair(tx: Tx, tap_id: UUID, cipher: FieldCipher) -> None:
    """Find the other half of a record, or note that it waits; again is harmless.

    Needs a system transaction.
    """
    record = await queries.find_record.first(tx, tap_id)
    if record is None:
        return
    partner = await _find_partner(tx, record, cipher)
    if partner is None:
        await _note_lone(tx, record)
        return
    locked = await queries.lock_taps.all(tx, [record.tap_id, partner.tap_id])
    own, other = sorted(locked, key=lambda tap: tap.tap_id != record.tap_id)
    if own.state == "half" and (other.state == "half" or other.partner_ring_id == record.ring_id):
        await _join(tx, record, partner, cipher)


async def answer(
    tx: Tx, *, user_id: UUID, touch_id: UUID, said: TouchAnswer, cipher: FieldCipher
) -> None:
    """Take a user's word on their side of a touch, and exchange if now both agree.

    The same word again changes nothing. Raises touch.not_found, or touch.closed for a touch that
    does not wait for this user. Needs a system transaction without an actor.
    """
    await queries.lock_taps.all(tx, await queries.taps_of_meeting.all(tx, touch_id, user_id))
    meeting_id = await queries.meeting_of.first(tx, touch_id, user_id)
    if meeting_id is None:
        raise DomainError("touch.not_found")
    sides = await queries.sides_of_meeting.all(tx, meeting_id)
    [own] = [side for side in sides if side.id == touch_id]
    if own.answer == said:
        return
    settings = await profiles.lock_privacy(tx, {side.user_id for side in sides})
    is_open = own.state == "mutual" or (own.state == "half" and own.is_asked)
    if not is_open or own.answer is not None:
        raise DomainError("touch.closed")
    if said == "declined":
        await queries.answer.run(tx, own.id, user_id, said)
        await queries.set_state.run(tx, own.id, rules.next_state(own.state, "declined"), False)
        _touches.labels("declined").inc()
        return
    if settings.get(user_id, _GONE).share_on_tap == "never":
        raise DomainError("touch.closed", "Your settings share your card with nobody.")
    await queries.answer.run(tx, own.id, user_id, said)
    await _advance(tx, meeting_id, "confirmed", cipher)


async def read_ring(tx: Tx, *, user_id: UUID, tap_id: UUID, cipher: FieldCipher) -> UUID:
    """Note that a user's phone has read a ring, by the record of that; return the user's touch.

    The same record is the same touch. Needs a system transaction without an actor.
    """
    tap = await queries.find_read_tap.one(tx, tap_id)
    known = await queries.phone_side.first(tx, tap_id, user_id)
    if known is not None:
        return known
    now = clock.now()
    meeting_id = await _insert(tx, tap.user_id, None, 1, tap.ring_id, tap_id, tap.tapped_at, now)
    await _insert(tx, user_id, meeting_id, 2, None, None, tap.tapped_at, now)
    await _advance(tx, meeting_id, "partnered", cipher)
    return await queries.phone_side.one(tx, tap_id, user_id)


async def ask_owners(tx: Tx, cipher: FieldCipher) -> bool:
    """Ask the owners of rings that lone halves name; return whether more wait. For ping_system."""
    waiting = await queries.lock_lone.all(tx, ASK_AFTER_SECONDS, _LONE_MAX)
    if not waiting:
        return False
    spans = [rules.windows_of(_unix_ms(half.tapped_at), half.uncertainty_ms) for half in waiting]
    count, windows = rules.first_within(spans, _WINDOWS_MAX)
    lone = waiting[:count]
    keys = await queries.id_keys.all(tx)
    # The identifiers of all rings take a while: others go on meanwhile.
    named = await asyncio.to_thread(_named_rings, lone, windows, keys, cipher)
    for touch_id, ring_id in named.items():
        _touches.labels("asked").inc(
            await queries.ask.run(tx, touch_id, ring_id, OPEN_QUESTIONS_MAX)
        )
    await queries.note_searched.run(tx, [half.touch_id for half in lone])
    return count < len(waiting) or count == _LONE_MAX


async def expire(tx: Tx) -> bool:
    """Give up halves that waited too long; return whether more are left. For ping_system."""
    given_up = await queries.expire.run(tx, _EXPIRE_MAX)
    _touches.labels("expired").inc(given_up)
    return given_up == _EXPIRE_MAX


async def _find_partner(tx: Tx, record: Record, cipher: FieldCipher) -> Record | None:
    own_key = _open_key(record.ring_id, record.id_key, cipher)
    if own_key is None or record.tapped_at is None:
        return None
    candidates = await queries.find_candidates.all(
        tx,
        record.peer_seq,
        record.seq,
        record.ring_id,
        record.tapped_at,
        record.uncertainty_ms,
        _LIFETIME_SECONDS,
        rules.PAIR_WITHIN_MS / 1000,
        _CANDIDATES_MAX,
    )
    named: dict[UUID, Record] = {}
    peer_id: UUID | None = None
    for item in candidates:
        if peer_id is None:
            key = _open_key(item.ring_id, item.id_key, cipher)
            if key is not None and _names(record, key):
                peer_id = item.ring_id
        if item.ring_id == peer_id and _names(item, own_key):
            named[item.tap_id] = item
    half = _half(record, peer_id)
    waiting = [_half(item, record.ring_id) for item in named.values()]
    found = rules.find_partner(half, waiting, clock.unix_ms())
    return None if found is None else named[found.tap_id]


async def _note_lone(tx: Tx, record: Record) -> None:
    await queries.lock_taps.all(tx, [record.tap_id])
    if not await queries.sides_of_taps.all(tx, [record.tap_id]):
        await _insert_record(tx, record, None, 1)
        _touches.labels("half").inc()


async def _join(tx: Tx, record: Record, partner: Record, cipher: FieldCipher) -> None:
    """Bring two records into one meeting; both are locked."""
    sides = await queries.sides_of_taps.all(tx, [record.tap_id, partner.tap_id])
    by_tap = {side.tap_id: side for side in sides}
    first, second = sorted((record, partner), key=lambda item: (item.received_at, item.tap_id))
    if first.tap_id not in by_tap and second.tap_id in by_tap:
        first, second = second, first
    if (known := by_tap.get(first.tap_id)) is None:
        meeting_id = await _insert_record(tx, first, None, 1)
    else:
        meeting_id = known.meeting_id
    if (alone := by_tap.get(second.tap_id)) is not None and alone.meeting_id != meeting_id:
        # Each was noted alone, as when a ring was found again in between.
        await queries.drop_meeting.run(tx, alone.meeting_id)
    others = [
        side
        for side in await queries.sides_of_meeting.all(tx, meeting_id)
        if side.tap_id != first.tap_id
    ]
    if not others:
        await _insert_record(tx, second, meeting_id, 2)
    elif others[0].ring_id == second.ring_id:
        # Its owner was asked, and may have answered, before the ring's own record came.
        await queries.give_tap.run(tx, others[0].id, second.tap_id)
    else:
        _log.warning("touch_of_another_ring", tap_id=str(second.tap_id))
        return
    await _advance(tx, meeting_id, "partnered", cipher)


async def _advance(tx: Tx, meeting_id: UUID, event: TouchEvent, cipher: FieldCipher) -> None:
    """Make a meeting mutual if it was not, and exchange cards if both owners share."""
    sides = await queries.sides_of_meeting.all(tx, meeting_id)
    settings = await profiles.lock_privacy(tx, {side.user_id for side in sides})
    one, other = sorted(sides, key=lambda side: side.side)
    is_same_owner = one.user_id == other.user_id
    states: list[TouchState] = [
        await _make_mutual(tx, side, event, settings, is_same_owner) for side in sides
    ]
    if "exchanged" in states:
        await queries.mark_taps.run(tx, meeting_id, "exchanged")
        return
    if "mutual" not in states:
        return
    await queries.mark_taps.run(tx, meeting_id, "mutual")
    if is_same_owner or await friends.is_blocked(tx, one.user_id, other.user_id):
        return
    shares_one, shares_other = (
        rules.shares(settings.get(side.user_id, _GONE).share_on_tap, side.answer)
        for side in (one, other)
    )
    if all(rules.may_disclose(state, sharing=(shares_one, shares_other)) for state in states):
        await _exchange(tx, one, other, cipher)


async def _make_mutual(
    tx: Tx,
    side: Side,
    event: TouchEvent,
    settings: dict[UUID, PrivacySettings],
    is_same_owner: bool,
) -> TouchState:
    state = rules.next_state(side.state, event)
    if state != side.state:
        setting = settings.get(side.user_id, _GONE).share_on_tap
        is_asked = not is_same_owner and rules.is_asked(setting, side.answer)
        await queries.set_state.run(tx, side.id, state, is_asked)
        _touches.labels(state).inc()
    return state


async def _exchange(tx: Tx, one: Side, other: Side, cipher: FieldCipher) -> None:
    given = await cards.of_users(tx, {one.user_id, other.user_id}, cipher)
    sealed = [
        cipher.seal(
            msgspec.json.encode(given[partner.user_id]),
            column=PARTNER_CARD_COLUMN,
            row=side.id.bytes,
        )
        for side, partner in ((one, other), (other, one))
    ]
    await queries.exchange.run(tx, one.meeting_id, [one.id, other.id], sealed)
    _touches.labels("exchanged").inc(2)


async def _insert_record(tx: Tx, record: Record, meeting_id: UUID | None, side: int) -> UUID:
    return await _insert(
        tx,
        record.user_id,
        meeting_id,
        side,
        record.ring_id,
        record.tap_id,
        record.tapped_at,
        record.received_at,
    )


async def _insert(  # noqa: PLR0917  # the columns of a row
    tx: Tx,
    user_id: UUID,
    meeting_id: UUID | None,
    side: int,
    ring_id: UUID | None,
    tap_id: UUID | None,
    touched_at: datetime | None,
    received_at: datetime,
) -> UUID:
    return await queries.insert_side.one(
        tx, user_id, meeting_id, side, ring_id, tap_id, touched_at, received_at, _LIFETIME_SECONDS
    )


def _named_rings(
    lone: Sequence[Lone], windows: set[int], keys: Sequence[IdKey], cipher: FieldCipher
) -> dict[UUID, UUID]:
    """Return the ring that each half names, where there is one."""
    shown: dict[tuple[int, bytes], UUID] = {}
    for row in keys:
        opened = _open_key(row.ring_id, row.id_key, cipher)
        if opened is None:
            continue
        key = eid.derive(opened)
        shown.update(((window, eid.eid(key, window)), row.ring_id) for window in windows)
    named: dict[UUID, UUID] = {}
    for half in lone:
        for window in rules.windows_of(_unix_ms(half.tapped_at), half.uncertainty_ms):
            ring_id = shown.get((window, half.peer_eid))
            if ring_id is not None and ring_id != half.ring_id:
                named[half.touch_id] = ring_id
    return named


def _names(record: Record, id_key: bytes) -> bool:
    heard_at = record.tapped_at
    return heard_at is not None and rules.was_shown(
        id_key, record.peer_eid, _unix_ms(heard_at), record.uncertainty_ms
    )


def _open_key(ring_id: UUID, sealed: bytes | None, cipher: FieldCipher) -> bytes | None:
    if sealed is None:
        return None
    try:
        return cipher.open(sealed, column=ID_KEY_COLUMN, row=ring_id.bytes)
    except DecryptionError:
        _log.error("id_key_unreadable", ring_id=str(ring_id))
        return None


def _half(record: Record, peer_id: UUID | None) -> Half:
    return Half(
        tap_id=record.tap_id,
        ring_id=record.ring_id,
        seq=record.seq,
        peer_ring_id=peer_id,
        peer_seq=record.peer_seq,
        tapped_ms=None if record.tapped_at is None else _unix_ms(record.tapped_at),
        uncertainty_ms=record.uncertainty_ms,
        received_ms=_unix_ms(record.received_at),
    )


def _unix_ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
