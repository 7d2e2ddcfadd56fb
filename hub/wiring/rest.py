"""The REST interface: what each slice serves under /v1; what is not named here is not served."""

from typing import Final

from litestar import Router

from core.config import Settings
from hub.domains.accounts.routes import ACCOUNT_ROUTES
from hub.domains.achievements.routes import ACHIEVEMENT_ROUTES
from hub.domains.api_keys.routes import API_KEY_ROUTES
from hub.domains.audit.routes import AUDIT_ROUTES
from hub.domains.cards.routes import CARD_ROUTES
from hub.domains.certificates.routes import CERTIFICATE_ROUTES
from hub.domains.circles.routes import CIRCLE_ROUTES
from hub.domains.claims.routes import CLAIM_ROUTES
from hub.domains.consents.routes import CONSENT_ROUTES
from hub.domains.contact_links.routes import LINK_ROUTES
from hub.domains.contact_matching.routes import MATCHING_ROUTES
from hub.domains.contact_merges.routes import merge_routes
from hub.domains.contact_methods.routes import METHOD_ROUTES
from hub.domains.contact_search.routes import SEARCH_ROUTES
from hub.domains.contacts.routes import CONTACT_ROUTES
from hub.domains.exports.routes import EXPORT_ROUTES
from hub.domains.flags.routes import FLAG_ROUTES
from hub.domains.friends.routes import FRIEND_ROUTES
from hub.domains.gateways.routes import GATEWAY_ROUTES
from hub.domains.goals.routes import GOAL_ROUTES
from hub.domains.identities.routes import IDENTITY_ROUTES
from hub.domains.imports.routes import IMPORT_ROUTES
from hub.domains.insights.routes import INSIGHT_ROUTES
from hub.domains.intelligence.routes import INTELLIGENCE_ROUTES
from hub.domains.interactions.routes import INTERACTION_ROUTES
from hub.domains.interests.routes import INTEREST_ROUTES
from hub.domains.logins.routes import LOGIN_ROUTES
from hub.domains.messaging.routes import MESSAGING_ROUTES
from hub.domains.nudges.routes import ALERT_ROUTES
from hub.domains.passkeys.routes import PASSKEY_ROUTES
from hub.domains.paths.routes import PATH_ROUTES
from hub.domains.profiles.routes import PROFILE_ROUTES
from hub.domains.relationship_types.routes import RELATIONSHIP_TYPE_ROUTES
from hub.domains.relationships.routes import RELATIONSHIP_ROUTES
from hub.domains.reminders.routes import REMINDER_ROUTES
from hub.domains.rings.routes import RING_ROUTES, SUN_ROUTES
from hub.domains.streaks.routes import STREAK_ROUTES
from hub.domains.touches.routes import TOUCH_ROUTES
from hub.http.app_links import APP_LINK_ROUTES
from hub.http.health import HEALTH_ROUTES
from hub.http.jwks import KEY_ROUTES
from hub.http.openapi import DOCUMENT_ROUTES
from hub.http.strict_json import BODY_MAX_BYTES
from hub.wiring.diagnose import diagnose_realtime
from hub.wiring.merging import MOVERS

ROOT_ROUTES: Final = [
    *SUN_ROUTES,
    *HEALTH_ROUTES,
    *KEY_ROUTES,
    *APP_LINK_ROUTES,
    *DOCUMENT_ROUTES,
]
"""Where others expect them: beside /v1."""

REST_ROUTES: Final = [
    *ACCOUNT_ROUTES,
    *LOGIN_ROUTES,
    *PASSKEY_ROUTES,
    *API_KEY_ROUTES,
    *RING_ROUTES,
    *CLAIM_ROUTES,
    *GATEWAY_ROUTES,
    *CERTIFICATE_ROUTES,
    *MESSAGING_ROUTES,
    *PROFILE_ROUTES,
    *CARD_ROUTES,
    *CONSENT_ROUTES,
    *IDENTITY_ROUTES,
    *AUDIT_ROUTES,
    *TOUCH_ROUTES,
    *FRIEND_ROUTES,
    *GOAL_ROUTES,
    *PATH_ROUTES,
    *REMINDER_ROUTES,
    *INSIGHT_ROUTES,
    *ACHIEVEMENT_ROUTES,
    *STREAK_ROUTES,
    *FLAG_ROUTES,
    *IMPORT_ROUTES,
    *EXPORT_ROUTES,
    *SEARCH_ROUTES,
    *CONTACT_ROUTES,
    *METHOD_ROUTES,
    *INTEREST_ROUTES,
    *LINK_ROUTES,
    *MATCHING_ROUTES,
    *merge_routes(MOVERS),
    *INTERACTION_ROUTES,
    *INTELLIGENCE_ROUTES,
    *CIRCLE_ROUTES,
    *RELATIONSHIP_ROUTES,
    *RELATIONSHIP_TYPE_ROUTES,
    *ALERT_ROUTES,
    diagnose_realtime,
]


def versioned(settings: Settings) -> Router:
    """Return what is served under /v1, with the bound of its bodies."""
    max_bytes = min(BODY_MAX_BYTES, settings.server.max_body_bytes)
    return Router("/v1", route_handlers=REST_ROUTES, request_max_body_size=max_bytes)
