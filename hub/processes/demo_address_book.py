"""Whom Ada of the demo knows: contacts, circles, a year of interactions, a goal, a reminder.

Some see her often, one grows cold and one came back, one has a birthday and one stands there twice:
whatever the hub says of people has something to be said of. Told once, through the slices'
services; a second run finds it there.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from core import clock
from core.actor import SYSTEM, Actor
from core.db import Pool, Tx, begin
from core.ids import UserId
from hub.domains.circles import service as circles
from hub.domains.circles.schemas import NewCircle, PutMember
from hub.domains.contact_links import service as links
from hub.domains.contact_links.schemas import LinkKind, PutLink
from hub.domains.contacts import service as contacts
from hub.domains.contacts.schemas import NewContact, NewMethod
from hub.domains.goals import service as goals
from hub.domains.goals.schemas import NewGoal
from hub.domains.interactions import service as interactions
from hub.domains.interactions.schemas import Direction, InteractionKind, NewInteraction
from hub.domains.interests import service as interests
from hub.domains.interests.schemas import PutInterest
from hub.domains.relationships import service as relationships
from hub.domains.reminders import service as reminders
from hub.domains.reminders.schemas import NewReminder


class Rhythm(Struct, frozen=True):
    """What happened again and again: every so many days, from and to so many days ago."""

    kind: InteractionKind
    every_days: int
    from_days_ago: int
    to_days_ago: int
    subjects: tuple[str, ...]
    """What it was about, in turn."""
    minutes: int | None = None


class Known(Struct, frozen=True):
    """Somebody in the address book."""

    full_name: str
    email: str
    company: str
    job_title: str
    circle: str
    rhythms: tuple[Rhythm, ...] = ()
    tags: tuple[str, ...] = ()
    interests: tuple[tuple[str, str], ...] = ()
    birthday_in_days: int | None = None
    location: str | None = None
    notes: str | None = None


CIRCLES: Final = (
    NewCircle(name="Inner circle", tier=1, cadence_days=14, color="#0f766e", position=0),
    NewCircle(name="Friends", tier=3, cadence_days=45, color="#2563eb", position=1),
    NewCircle(name="Colleagues", tier=5, cadence_days=90, color="#8a4b00", position=2),
)
PEOPLE: Final = (
    Known(
        "Charles Babbage",
        "charles@example.org",
        "Analytical Engines",
        "Inventor",
        "Inner circle",
        (
            Rhythm("meeting", 12, 183, 3, ("The engine, over tea", "The mill and its store"), 90),
            Rhythm("email", 21, 176, 8, ("Corrections to the plan of the mill",)),
        ),
        ("engines", "london"),
        (("technology", "computing"), ("music", "street organs, to end them")),
        location="Dorset Street, London",
        notes="Never mention organ grinders.",
    ),
    Known(
        "Mary Somerville",
        "mary@example.org",
        "Royal Institution",
        "Author",
        "Inner circle",
        (Rhythm("call", 14, 210, 62, ("Proof sheets", "The chapter on the moon"), 40),),
        ("mentor",),
        (("science", "astronomy"),),
        notes="Taught me the calculus. It is my turn to write.",
    ),
    Known(
        "Michael Faraday",
        "michael@example.org",
        "Royal Institution",
        "Director",
        "Inner circle",
        (
            Rhythm("email", 12, 210, 138, ("Of fields and lines",)),
            Rhythm(
                "meeting", 10, 34, 4, ("Friday evening lecture", "The candle, a walk after"), 60
            ),
        ),
        ("london",),
        (("science", "electricity"),),
    ),
    Known(
        "Charles Wheatstone",
        "wheatstone@example.org",
        "King's College",
        "Professor",
        "Friends",
        (Rhythm("sms", 33, 179, 47, ("A word by wire", "Concertinas, and other keys")),),
        (),
        (("technology", "telegraphs"), ("science", "electricity")),
        birthday_in_days=6,
    ),
    Known(
        "Augustus De Morgan",
        "augustus@example.org",
        "University College London",
        "Professor",
        "Colleagues",
        (Rhythm("meeting", 60, 900, 840, ("Lesson",), 60),),
        ("mentor",),
        (("science", "logic"),),
    ),
    Known(
        "Luigi Menabrea",
        "luigi@example.org",
        "Academy of Turin",
        "Engineer",
        "Colleagues",
        (Rhythm("linkedin_message", 60, 190, 10, ("The notes to the sketch", "Note G")),),
        (),
        (("technology", "computing"),),
        location="Turin",
    ),
    Known(
        "Florence Nightingale",
        "florence@example.org",
        "St Thomas'",
        "Statistician",
        "Friends",
        tags=("london",),
        interests=(("science", "statistics"),),
        birthday_in_days=0,
    ),
    Known("Ch. Babbage", "charles@example.org", "Analytical Engines", "", "Colleagues"),
)
LINKS: Final[tuple[tuple[str, str, LinkKind, float], ...]] = (
    ("Charles Babbage", "Luigi Menabrea", "colleague", 0.7),
    ("Charles Babbage", "Charles Wheatstone", "friend", 0.6),
    ("Mary Somerville", "Michael Faraday", "colleague", 0.8),
    ("Michael Faraday", "Charles Wheatstone", "friend", 0.9),
    ("Mary Somerville", "Augustus De Morgan", "friend", 0.4),
)
_HISTORY_WEEKS: Final = 26
_HOURS: Final = 10  # between this and the hour after it is nobody's night


async def tell(system: Pool, pool: Pool, user_id: UUID, keys: contacts.Keys) -> None:
    """Write the address book of a user, if nothing of it is there."""
    now = clock.now()
    actor = Actor(kind="user", user_id=UserId(user_id), endpoint="pinghub db seed")
    async with begin(pool, actor) as tx:
        [known] = await contacts.find_by_addresses(tx, keys, [("email", PEOPLE[0].email)])
        if known is not None:
            return
        ids = await contacts.add_contacts(tx, keys, [_contact(who, now) for who in PEOPLE])
        by_name = {who.full_name: one for who, one in zip(PEOPLE, ids, strict=True)}
        await _place(tx, by_name)
        await interactions.record_many(
            tx, [each for who in PEOPLE for each in _past(who, by_name[who.full_name], now)]
        )
        await _wish(tx, by_name, now)
    weeks = [now - timedelta(weeks=number) for number in range(_HISTORY_WEEKS, 0, -1)]
    async with begin(system, SYSTEM) as tx:
        await relationships.trace(tx, user_id, ids, weeks)


def _contact(who: Known, now: datetime) -> NewContact:
    birthday = None
    if who.birthday_in_days is not None:
        birthday = f"{now + timedelta(days=who.birthday_in_days):--%m-%d}"
    return NewContact(
        full_name=who.full_name,
        company=who.company,
        job_title=who.job_title or None,
        location=who.location,
        notes=who.notes,
        birthday=birthday,
        tags=list(who.tags),
        methods=[NewMethod(kind="email", value=who.email)],
    )


async def _place(tx: Tx, by_name: dict[str, UUID]) -> None:
    made = {circle.name: (await circles.add_circle(tx, circle)).id for circle in CIRCLES}
    for who in PEOPLE:
        contact_id = by_name[who.full_name]
        await circles.put_member(tx, made[who.circle], contact_id, PutMember(is_primary=True))
        for category, topic in who.interests:
            await interests.put(tx, contact_id, PutInterest(category=category, topic=topic))
    for one, other, kind, strength in LINKS:
        await links.put(tx, by_name[one], by_name[other], PutLink(kind=kind, strength=strength))


def _past(who: Known, contact_id: UUID, now: datetime) -> Sequence[NewInteraction]:
    morning = now.replace(hour=_HOURS, minute=0, second=0, microsecond=0)
    return [
        NewInteraction(
            kind=rhythm.kind,
            occurred_at=min(morning - timedelta(days=ago), now),
            source="manual",
            contact_id=contact_id,
            direction=_direction(rhythm.kind, number),
            subject=rhythm.subjects[number % len(rhythm.subjects)],
            duration_seconds=rhythm.minutes and rhythm.minutes * 60,
        )
        for rhythm in who.rhythms
        for number, ago in enumerate(
            range(rhythm.from_days_ago, rhythm.to_days_ago - 1, -rhythm.every_days)
        )
    ]


def _direction(kind: InteractionKind, number: int) -> Direction:
    if kind == "meeting":
        return "mutual"
    return "outbound" if number % 2 else "inbound"


async def _wish(tx: Tx, by_name: dict[str, UUID], now: datetime) -> None:
    await goals.add_goal(
        tx,
        NewGoal(
            kind="strategic",
            intention="Find somebody who weaves: the engine wants cards as the looms have them.",
            timeline="near_term",
            success_criteria="A set of cards is on the engine.",
        ),
    )
    friday = now + timedelta(days=(4 - now.weekday()) % 7 or 7)
    await reminders.add_reminder(
        tx,
        NewReminder(
            title="Write to Mary about the proof sheets",
            due_local=f"{friday:%Y-%m-%d}T09:00",
            recurrence="FREQ=WEEKLY;BYDAY=FR",
            contact_id=by_name["Mary Somerville"],
        ),
    )
