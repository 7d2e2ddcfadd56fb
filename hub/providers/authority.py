"""The certificate authority that the settings name, opened once per process."""

from typing import Final

from prometheus_client import Gauge

from core import authority as ca
from core import clock
from core.authority import Authority, AuthorityError
from core.config import Pki
from core.errors import ConfigError

_DAY_SECONDS: Final = 86_400

_ends = Gauge(
    "pinghub_certificate_authority_days", "Days until the authority's certificate ends", ["name"]
)


def open_authority(pki: Pki) -> Authority | None:
    """Return the authority of the settings, None without one; ConfigError when it is unusable."""
    if not pki.ca_key:
        return None
    try:
        opened = ca.load(pki.ca_key, pki.ca_certificate)
    except AuthorityError as error:
        raise ConfigError(
            f"pki.ca_key, pki.ca_certificate: {error}; `pinghub pki init` makes both"
        ) from None
    _ends.labels("gateways").set_function(lambda: days_left(opened))
    return opened


def days_left(authority: Authority) -> float:
    """Return the days until the authority ends; negative afterwards."""
    left = authority.certificate.not_valid_after_utc - clock.now()
    return left.total_seconds() / _DAY_SECONDS
