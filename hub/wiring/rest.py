"""The REST interface: what each slice serves under /v1; what is not named here is not served."""

from typing import Final

from hub.domains.accounts.routes import ACCOUNT_ROUTES
from hub.domains.api_keys.routes import API_KEY_ROUTES
from hub.domains.cards.routes import CARD_ROUTES
from hub.domains.certificates.routes import CERTIFICATE_ROUTES
from hub.domains.claims.routes import CLAIM_ROUTES
from hub.domains.consents.routes import CONSENT_ROUTES
from hub.domains.friends.routes import FRIEND_ROUTES
from hub.domains.gateways.routes import GATEWAY_ROUTES
from hub.domains.logins.routes import LOGIN_ROUTES
from hub.domains.messaging.routes import MESSAGING_ROUTES
from hub.domains.profiles.routes import PROFILE_ROUTES
from hub.domains.rings.routes import RING_ROUTES, SUN_ROUTES
from hub.domains.touches.routes import TOUCH_ROUTES
from hub.wiring.diagnose import diagnose_realtime

__all__ = ["REST_ROUTES", "SUN_ROUTES"]

REST_ROUTES: Final = [
    *ACCOUNT_ROUTES,
    *LOGIN_ROUTES,
    *API_KEY_ROUTES,
    *RING_ROUTES,
    *CLAIM_ROUTES,
    *GATEWAY_ROUTES,
    *CERTIFICATE_ROUTES,
    *MESSAGING_ROUTES,
    *PROFILE_ROUTES,
    *CARD_ROUTES,
    *CONSENT_ROUTES,
    *TOUCH_ROUTES,
    *FRIEND_ROUTES,
    diagnose_realtime,
]
