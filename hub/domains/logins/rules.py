"""Decisions of sign-in: where it may end, who may take its result, what an address proves."""

import hmac
import re
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from core import normal_forms
from core.config import Settings
from core.normal_forms import AddressKind
from hub.domains.logins.schemas import Flow, Proof

FLOW_SECONDS: Final = 600
CODE_SECONDS: Final = 60
LOGINS_MAX: Final = 20
_OWN_PAGES: Final = ("/console", "/console/account")
_NAMELESS: Final = "New user"
_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


def may_end_at(redirect_uri: str, settings: Settings) -> bool:
    """Say whether a sign-in may end there: exactly as configured, or at the hub's own console."""
    public_url = settings.server.public_url.rstrip("/")
    own = {f"{public_url}{path}" for path in _OWN_PAGES}
    return redirect_uri in settings.auth.redirect_uris or redirect_uri in own


def is_current(flow: Flow, provider: str, now: int) -> bool:
    """Say whether a flow is this provider's and still under way."""
    return flow.provider == provider and 0 <= now - flow.started_at <= FLOW_SECONDS


def may_take(proof: Proof, challenge: str) -> bool:
    """Say whether a verifier with this challenge began the sign-in."""
    return hmac.compare_digest(proof.challenge.encode(), challenge.encode())


def proves_address(proof: Proof) -> bool:
    """Say whether an address tells that two logins are one person.

    A private relay's address is made for one app: that it differs or agrees means nothing.
    """
    return bool(proof.email) and proof.email_verified and not proof.is_private_relay


def identities_of(proof: Proof) -> list[tuple[AddressKind, str]]:
    """Return the addresses that the provider has verified, in their normal forms."""
    vouched = normal_forms.vouched_email(proof.email) if proves_address(proof) else ""
    email = vouched if normal_forms.email(vouched) == vouched else None
    phone = normal_forms.phone(proof.phone) if proof.phone_verified else None
    found: list[tuple[AddressKind, str | None]] = [("email", email), ("phone", phone)]
    return [(kind, form) for kind, form in found if form is not None]


def name_of(proof: Proof) -> str:
    """Return a name for a new account; never a part of the e-mail address, which others may see."""
    return proof.full_name or _NAMELESS


def locale_of(proof: Proof) -> str | None:
    """Return a locale if it has the form of one."""
    text = proof.locale.replace("_", "-")
    return text if _LOCALE.fullmatch(text) else None


def landing(redirect_uri: str, **parameters: str) -> str:
    """Return the app's address with what it is told; empty parameters are left out."""
    parts = urlsplit(redirect_uri)
    added = urlencode({name: value for name, value in parameters.items() if value})
    query = "&".join(filter(None, (parts.query, added)))
    return urlunsplit(parts._replace(query=query))
