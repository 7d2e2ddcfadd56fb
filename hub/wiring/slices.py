"""What the slices bring: reactions to events and periodic tasks, by the name they run under."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec

from core.crypto import FieldCipher
from core.db import Tx
from hub.domains.achievements import tasks as achievements
from hub.domains.admissions import tasks as admissions
from hub.domains.certificates import tasks as certificates
from hub.domains.claims import service as claims_service
from hub.domains.claims import tasks as claims
from hub.domains.contact_matching import tasks as contact_matching
from hub.domains.contacts.service import Keys
from hub.domains.encounters import tasks as encounters
from hub.domains.events.schemas import Consumer, Errand
from hub.domains.gateways import tasks as gateways
from hub.domains.housekeeping import service as housekeeping
from hub.domains.imports import tasks as imports
from hub.domains.insights import tasks as insights
from hub.domains.interests import tasks as interests
from hub.domains.nudges import tasks as nudges
from hub.domains.paths import tasks as paths
from hub.domains.profiles import tasks as profiles
from hub.domains.relationships import tasks as relationships
from hub.domains.reminders import tasks as reminders
from hub.domains.streaks import tasks as streaks
from hub.domains.taps import tasks as taps
from hub.domains.touches import tasks as touches


class PeriodicTask(msgspec.Struct, frozen=True):
    """Work that repeats; run at start and then every `every_seconds`, so it must be idempotent.

    `run` returns whether it left work for another transaction, which then follows at once, or an
    errand: what is to be done outside of the database after the commit.
    """

    name: str
    every_seconds: int
    run: Callable[[Tx], Awaitable[bool | Errand]]


_HOUR: Final = 3600

CONSUMERS: Final = (
    Consumer("claims.ask_gateway", claims.ask_gateway),
    Consumer("profiles.mark_active", profiles.mark_active),
    Consumer("gateways.publish_config", gateways.publish_config),
    Consumer("gateways.admit", admissions.follow),
    Consumer("gateways.expel", admissions.follow),
    Consumer("certificates.write_revocations", certificates.write_revocations),
    Consumer("achievements.count", achievements.count),
    Consumer("insights.look_at_goal", insights.look_at_goal),
    Consumer("insights.look_at_meeting", insights.look_at_meeting),
    Consumer("paths.forget_person", paths.forget_person),
    Consumer("taps.forget_places", taps.forget_places),
    Consumer("contacts.forget_matches", contact_matching.forget),
    Consumer("relationships.refresh", relationships.refresh),
    Consumer("relationships.refresh_merged", relationships.refresh_merged),
    Consumer("encounters.record_message", encounters.record_message),
)

PERIODIC_TASKS: Final = (
    PeriodicTask("claims.purge", _HOUR, claims_service.purge),
    PeriodicTask("gateways.refresh_alerts", 30, gateways.refresh_alerts),
    PeriodicTask("housekeeping.create_partitions", 6 * _HOUR, housekeeping.create_partitions),
    PeriodicTask("housekeeping.purge_idempotency", _HOUR, housekeeping.purge_idempotency_keys),
    PeriodicTask("housekeeping.purge_consumer_tasks", _HOUR, housekeeping.purge_consumer_tasks),
    PeriodicTask("housekeeping.purge_rejected_taps", _HOUR, housekeeping.purge_rejected_taps),
    PeriodicTask("reminders.fire_due", 60, reminders.fire_due),
    PeriodicTask("insights.tell_weekly", 600, insights.tell_weekly),
    PeriodicTask("streaks.count_visits", 600, achievements.count_visits),
    PeriodicTask("streaks.warn", 600, streaks.warn),
    PeriodicTask("achievements.purge_increments", _HOUR, achievements.purge_increments),
    PeriodicTask("paths.purge", _HOUR, paths.purge),
    PeriodicTask("admissions.reconcile", 60, admissions.reconcile),
    PeriodicTask("certificates.refresh", _HOUR, certificates.refresh),
    PeriodicTask("touches.expire", 60, touches.expire),
    PeriodicTask("imports.purge", _HOUR, imports.purge),
    PeriodicTask("relationships.recalculate", 600, relationships.recalculate),
    PeriodicTask("relationships.forget_snapshots", 6 * _HOUR, relationships.forget_snapshots),
    PeriodicTask("nudges.look", 600, nudges.look),
    PeriodicTask("nudges.forget", 6 * _HOUR, nudges.forget),
    PeriodicTask("contacts.decay_interests", _HOUR, interests.fade),
)


def sealing_consumers(
    cipher: Callable[[], FieldCipher], index_key: Callable[[], bytes]
) -> tuple[Consumer, ...]:
    """Return the reactions that open or seal fields, or find people by their addresses."""

    def keys() -> Keys:
        return Keys(cipher(), index_key())

    return (
        Consumer("touches.pair", partial(touches.pair, cipher)),
        Consumer("imports.advance", partial(imports.advance, keys)),
        Consumer("encounters.record_touch", partial(encounters.record_touch, keys)),
    )


def sealing_tasks(cipher: Callable[[], FieldCipher]) -> tuple[PeriodicTask, ...]:
    """Return the periodic tasks that open or seal fields."""
    return (PeriodicTask("touches.ask", 10, partial(touches.ask, cipher)),)
