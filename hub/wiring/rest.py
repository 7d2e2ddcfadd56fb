"""The REST interface: what each slice serves under /v1; what is not named here is not served."""

from typing import Final

from hub.domains.accounts.routes import ACCOUNT_ROUTES
from hub.domains.api_keys.routes import API_KEY_ROUTES
from hub.domains.audit.routes import AUDIT_ROUTES
from hub.domains.cards.routes import CARD_ROUTES
from hub.domains.certificates.routes import CERTIFICATE_ROUTES
from hub.domains.claims.routes import CLAIM_ROUTES
from hub.domains.consents.routes import CONSENT_ROUTES
from hub.domains.flags.routes import FLAG_ROUTES
from hub.domains.friends.routes import FRIEND_ROUTES
from hub.domains.gateways.routes import GATEWAY_ROUTES
from hub.domains.identities.routes import IDENTITY_ROUTES
from hub.domains.logins.routes import LOGIN_ROUTES
from hub.domains.messaging.routes import MESSAGING_ROUTES
from hub.domains.passkeys.routes import PASSKEY_ROUTES
from hub.domains.profiles.routes import PROFILE_ROUTES
from hub.domains.rings.routes import RING_ROUTES, SUN_ROUTES
from hub.domains.touches.routes import TOUCH_ROUTES
from hub.http.app_links import APP_LINK_ROUTES
from hub.http.jwks import KEY_ROUTES
from hub.wiring.diagnose import diagnose_realtime

__all__ = ["REST_ROUTES", "SUN_ROUTES", "WELL_KNOWN_ROUTES"]

WELL_KNOWN_ROUTES: Final = [*KEY_ROUTES, *APP_LINK_ROUTES]

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
    *FLAG_ROUTES,
    diagnose_realtime,
]
