"""When a certificate is due."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from hub.domains.certificates.schemas import Issued

# Gateways ask when a third of the life is left; a thirtieth more forgives clocks that differ.
_RENEWABLE_LEFT: Final = 1 / 3 + 1 / 30
# A gateway that has lost the key of its newest certificate may ask for another after so long.
_UNUSED_AFTER: Final = timedelta(hours=1)


def is_due(certificate: Issued, now: datetime) -> bool:
    """Tell whether a certificate may be followed by another one."""
    life = certificate.not_after - certificate.not_before
    return certificate.not_after - now <= life * _RENEWABLE_LEFT


def may_renew(valid: Sequence[Issued], in_use_until_ms: int | None, now: datetime) -> bool:
    """Tell whether a gateway with these valid certificates, newest first, may have another one.

    It may when the newest is due. It also may when the one before is due and the newest was never
    seen in use, an hour after it was made: then its key is lost, and with the older certificate the
    gateway would be locked out for good. Without any it has to be claimed anew.
    """
    if not valid:
        return False
    newest, *older = valid
    if is_due(newest, now):
        return True
    is_in_use = in_use_until_ms is not None and in_use_until_ms >= ends_ms(newest)
    is_old = now - newest.created_at >= _UNUSED_AFTER
    return bool(older) and is_due(older[0], now) and is_old and not is_in_use


def ends_ms(certificate: Issued) -> int:
    """Return the end of a certificate in Unix milliseconds, as gateways report it."""
    return round(certificate.not_after.timestamp() * 1000)
