"""What the actor's interactions show of a contact."""

from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from core import clock
from core.db import Tx
from hub.domains.contacts import service as contacts
from hub.domains.intelligence import queries, rules
from hub.domains.intelligence.schemas import ContactIntelligence, ContactProfile

MUTUAL_MAX: Final = 20


async def get_intelligence(tx: Tx, contact_id: UUID) -> ContactIntelligence:
    """Return what the latest interactions show; raises contact.not_found, contact.merged."""
    contact = await contacts.find(tx, contact_id)
    zone = ZoneInfo(await queries.find_timezone.one(tx))
    owner = contacts.owner_of(tx, None)
    told = await queries.list_contacted.all(tx, owner, contact_id)
    now = clock.now()
    return ContactIntelligence(
        profile=ContactProfile(
            contact_id=contact.id,
            full_name=contact.full_name,
            company=contact.company,
            job_title=contact.job_title,
            tags=contact.tags,
            strength=contact.strength,
        ),
        frequency=rules.frequency(told, now, zone),
        channels=rules.channels(told),
        directions=rules.directions(told),
        usual_time=rules.usual_time(told, zone),
        expected_next=rules.expected_next(told, now, zone),
        mutual_contacts=await queries.list_mutual.all(tx, owner, contact_id, MUTUAL_MAX),
    )
