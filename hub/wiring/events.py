"""The nervous system: event type -> the channels that carry it and the consumers that react to it.

`{owner}` is the event's user, `{subject}` what it is about, `{member}` each user in the subject
conversation. An order is what every hub process then does with its connections. An event type
without a row here cannot be published: it becomes a dead letter.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, get_args
from uuid import UUID

import msgspec

from core import clock
from hub.domains.accounts.events import SessionReused, SessionRevoked, SubscriptionChanged
from hub.domains.achievements.events import AchievementUnlocked
from hub.domains.certificates.events import GatewayClaimed, GatewayRevoked
from hub.domains.claims.events import ClaimAsked
from hub.domains.consents.events import ConsentWithdrawn
from hub.domains.contacts.events import (
    ContactArchived,
    ContactCreated,
    ContactJobChanged,
    ContactMerged,
    ContactRestored,
    ContactUnmerged,
    ContactUpdated,
)
from hub.domains.events.schemas import OutboxEvent
from hub.domains.flags.events import CohortJoined, CohortLeft, FlagsChanged
from hub.domains.friends.events import FriendshipCreated
from hub.domains.gateways.events import (
    GatewayAlerted,
    GatewayConfigured,
    GatewayOffline,
    GatewayOnline,
    GatewayRecovered,
    GatewayReported,
)
from hub.domains.goals.events import GoalAchieved, GoalSet
from hub.domains.identities.events import IdentityLost
from hub.domains.imports.events import MOVED_ON, ImportProgressed
from hub.domains.insights.events import InsightCreated
from hub.domains.insights.schemas import NEWS_MAX
from hub.domains.interactions.events import InteractionRecorded
from hub.domains.messaging.events import ConversationOpened, MessageSent
from hub.domains.nudges.events import NudgeCreated
from hub.domains.relationships.events import ClosenessChanged, HealthChanged
from hub.domains.reminders.events import ReminderDue
from hub.domains.rings.events import (
    RingChanged,
    RingClaimed,
    RingFound,
    RingLost,
    RingReleased,
    RingRenamed,
    RingRevoked,
    RingTapped,
)
from hub.domains.streaks.events import StreakAtRisk, StreakMilestone
from hub.domains.touches.events import TouchAsked, TouchExchanged, TouchMutual
from hub.realtime.cluster.messages import AnyOrder, Revoke

Audience = Literal[
    "taps:{owner}",
    "messages:{member}",
    "conversation:{subject}",
    "sync:{owner}",
    "health:{owner}",
    "notifications:{owner}",
    "insights:{owner}",
    "achievements:{owner}",
    "flags:all",
]
OrderKind = Literal["revoke {subject}"]


class Route(msgspec.Struct, frozen=True):
    """Where an event goes."""

    channels: tuple[Audience, ...] = ()
    consumers: tuple[str, ...] = ()
    order: OrderKind | None = None


ROUTES: Final[Mapping[str, Route]] = {
    "ring.claimed": Route(("taps:{owner}",)),
    "ring.renamed": Route(("taps:{owner}",)),
    "ring.claim_asked": Route((), ("claims.ask_gateway",)),
    "ring.lost": Route(("taps:{owner}",)),
    "ring.found": Route(("taps:{owner}",)),
    "ring.released": Route(("taps:{owner}",)),
    "ring.revoked": Route(("taps:{owner}",)),
    "ring.tapped": Route(
        ("taps:{owner}",), ("profiles.mark_active", "touches.pair", "achievements.count")
    ),
    "touch.asked": Route(("taps:{owner}",)),
    "touch.mutual": Route(("taps:{owner}",)),
    "touch.exchanged": Route(("taps:{owner}",), ("encounters.record_touch", "achievements.count")),
    "friendship.created": Route(("taps:{owner}",)),
    "gateway.online": Route(("taps:{owner}",)),
    "gateway.offline": Route(("taps:{owner}",)),
    "gateway.configured": Route(("taps:{owner}",), ("gateways.publish_config",)),
    "gateway.reported": Route(("taps:{owner}",)),
    "gateway.alerted": Route(("taps:{owner}",)),
    "gateway.recovered": Route(("taps:{owner}",)),
    "ring.changed": Route(("taps:{owner}",)),
    "gateway.claimed": Route(
        ("taps:{owner}",), ("gateways.admit", "certificates.write_revocations")
    ),
    "gateway.revoked": Route(
        ("taps:{owner}",),
        ("gateways.expel", "certificates.write_revocations", "gateways.publish_config"),
    ),
    "conversation.opened": Route(("messages:{member}",)),
    "message.sent": Route(
        ("messages:{member}", "conversation:{subject}"),
        ("profiles.mark_active", "encounters.record_message", "achievements.count"),
    ),
    "interaction.recorded": Route((), ("relationships.refresh", "insights.look_at_meeting")),
    "import.progressed": Route(("sync:{owner}",), ("imports.advance",)),
    "contact.created": Route(("sync:{owner}",)),
    "contact.updated": Route(("sync:{owner}",)),
    "contact.job_changed": Route(("sync:{owner}",)),
    "contact.archived": Route(("sync:{owner}",), ("relationships.refresh",)),
    "contact.restored": Route(("sync:{owner}",), ("relationships.refresh",)),
    "contact.merged": Route(("sync:{owner}",), ("relationships.refresh_merged",)),
    "contact.unmerged": Route(("sync:{owner}",), ("relationships.refresh_merged",)),
    "closeness.changed": Route(("health:{owner}",), ("relationships.refresh",)),
    "health.changed": Route(("health:{owner}",)),
    "nudge.created": Route(("health:{owner}",)),
    "goal.set": Route(("notifications:{owner}",), ("insights.look_at_goal",)),
    "goal.achieved": Route(("notifications:{owner}",), ("achievements.count",)),
    "reminder.due": Route(("notifications:{owner}",)),
    "insight.created": Route(("insights:{owner}",)),
    "streak.milestone": Route(("achievements:{owner}",)),
    "streak.at_risk": Route(("achievements:{owner}",)),
    "achievement.unlocked": Route(("achievements:{owner}",)),
    "flags.changed": Route(("flags:all",)),
    "cohort.joined": Route(("taps:{owner}",)),
    "cohort.left": Route(("taps:{owner}",)),
    "session.revoked": Route(order="revoke {subject}"),
    "session.reused": Route(("taps:{owner}",)),
    "identity.lost": Route(("taps:{owner}",)),
    "subscription.changed": Route(),
    "consent.withdrawn": Route(
        (), ("taps.forget_places", "contacts.forget_matches", "paths.forget_person")
    ),
}

Payload = (
    RingClaimed
    | RingRenamed
    | ClaimAsked
    | RingLost
    | RingFound
    | RingReleased
    | RingRevoked
    | RingTapped
    | GatewayOnline
    | GatewayOffline
    | GatewayConfigured
    | GatewayReported
    | GatewayAlerted
    | GatewayRecovered
    | RingChanged
    | GatewayClaimed
    | GatewayRevoked
    | TouchAsked
    | TouchMutual
    | TouchExchanged
    | FriendshipCreated
    | ConversationOpened
    | MessageSent
    | InteractionRecorded
    | ContactCreated
    | ContactUpdated
    | ContactJobChanged
    | ContactArchived
    | ContactRestored
    | ContactMerged
    | ContactUnmerged
    | ClosenessChanged
    | HealthChanged
    | NudgeCreated
    | GoalSet
    | GoalAchieved
    | ReminderDue
    | InsightCreated
    | StreakMilestone
    | StreakAtRisk
    | AchievementUnlocked
    | FlagsChanged
    | CohortJoined
    | CohortLeft
    | SessionRevoked
    | SessionReused
    | IdentityLost
    | SubscriptionChanged
    | ConsentWithdrawn
    | ImportProgressed
)
PAYLOADS: Final[Mapping[str, type[msgspec.Struct]]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(Payload)
}
# A consumer that is not named here reacts to every event of its route. Without this, a task would
# be written and run for each button that anybody presses.
_REACTS_TO: Final[Mapping[str, Callable[[Payload], bool]]] = {
    "touches.pair": lambda payload: (
        isinstance(payload, RingTapped) and payload.kind == "ring_to_ring"
    ),
    "encounters.record_message": lambda payload: (
        isinstance(payload, MessageSent) and payload.kind != "system"
    ),
    "relationships.refresh": lambda payload: (
        not isinstance(payload, InteractionRecorded) or payload.contact_id is not None
    ),
    # Messages are many and say little more than the one before, imports bring years: what they
    # change is told weekly. An insight at once would tell of a private one by its time.
    "insights.look_at_meeting": lambda payload: (
        isinstance(payload, InteractionRecorded)
        and payload.contact_id is not None
        and not payload.is_private
        and payload.kind != "message"
        and clock.now() - payload.occurred_at <= NEWS_MAX
    ),
    "imports.advance": lambda payload: (
        isinstance(payload, ImportProgressed) and payload.status in MOVED_ON
    ),
    "paths.forget_person": lambda payload: (
        isinstance(payload, ConsentWithdrawn) and payload.purpose == "introductions"
    ),
    "taps.forget_places": lambda payload: (
        isinstance(payload, ConsentWithdrawn) and payload.purpose == "location"
    ),
    "contacts.forget_matches": lambda payload: (
        isinstance(payload, ConsentWithdrawn) and payload.purpose == "contact_matching"
    ),
}
_DECODERS: Final = {event_type: msgspec.json.Decoder(kind) for event_type, kind in PAYLOADS.items()}


class UndeliverableError(Exception):
    """The event cannot be published, today or later; the message says why."""


class Publication(msgspec.Struct, frozen=True):
    """The data of a publication as subscribers see it."""

    id: UUID
    type: str
    occurred_at: datetime
    data: msgspec.Raw


class Delivery(msgspec.Struct, frozen=True):
    """One event, ready to leave: the channels, their common data, the consumers, the order."""

    event_id: UUID
    channels: tuple[str, ...]
    data: bytes
    consumers: tuple[str, ...]
    order: AnyOrder | None = None


def conversations_in(events: Sequence[OutboxEvent]) -> set[UUID]:
    """Return the conversations whose members must be known to deliver these events."""
    return {
        event.subject_id
        for event in events
        if event.subject_id is not None
        and event.type in ROUTES
        and "messages:{member}" in ROUTES[event.type].channels
    }


def deliver(event: OutboxEvent, members: Mapping[UUID, Sequence[UUID]]) -> Delivery:
    """Resolve an event's way, or raise UndeliverableError."""
    route = ROUTES.get(event.type or "")
    if event.type is None or event.payload is None or event.subject_id is None or route is None:
        raise UndeliverableError(f"no route for the event type {event.type!r}")
    try:
        payload = _DECODERS[event.type].decode(event.payload)
        publication = Publication(
            id=event.event_id,
            type=event.type,
            occurred_at=event.occurred_at,
            # Written anew from the Struct: times look as they do over REST, which jsonb's do not.
            data=msgspec.Raw(msgspec.json.encode(msgspec.structs.asdict(payload))),
        )
        data = msgspec.json.encode(publication)
    except msgspec.MsgspecError as error:
        raise UndeliverableError(f"the payload of {event.type} is wrong: {error}") from None
    return Delivery(
        event_id=event.event_id,
        channels=tuple(_channels(route, event, members.get(event.subject_id, ()))),
        data=data,
        consumers=tuple(name for name in route.consumers if _REACTS_TO.get(name, _always)(payload)),
        order=None if route.order is None else Revoke(sign_in_session=str(event.subject_id)),
    )


def _always(_payload: Payload) -> bool:
    return True


def _channels(route: Route, event: OutboxEvent, members: Sequence[UUID]) -> list[str]:
    channels: list[str] = []
    for audience in route.channels:
        if "{owner}" in audience:
            if event.user_id is not None:
                channels.append(audience.replace("{owner}", str(event.user_id)))
        elif audience == "messages:{member}":
            channels.extend(f"messages:{member}" for member in members)
        else:
            channels.append(audience.replace("{subject}", str(event.subject_id)))
    return channels
