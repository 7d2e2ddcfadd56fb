"""From when until when a certificate holds, read from its DER (X.509, RFC 5280 4.1.2.5).

By hand, because a daemon that stays small for a year needs nothing else of a certificate.
"""

import ssl
from datetime import UTC, datetime
from typing import Final

_END: Final = "-----END CERTIFICATE-----"
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_LONG: Final = 0x80
_TURN_OF_CENTURY: Final = 50
"""Two digits of a year below it are of this century."""


def read(pem: str) -> tuple[datetime, datetime]:
    """Return begin and end of the first certificate of a PEM text, or raise ValueError."""
    first, separator, _ = pem.partition(_END)
    try:
        body = _content(ssl.PEM_cert_to_DER_cert(first + separator), 0, _SEQUENCE)[0]
        certificate = _content(body, 0, _SEQUENCE)[0]
        at = 0
        if certificate[0] == _VERSION:
            at = _content(certificate, at, _VERSION)[1]
        for _ in ("serial number", "signature", "issuer"):
            at = _content(certificate, at, certificate[at])[1]
        validity = _content(certificate, at, _SEQUENCE)[0]
        begin, at = _content(validity, 0, validity[0])
        end, _ = _content(validity, at, validity[at])
        return _time(validity[0], begin), _time(validity[at], end)
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"not a certificate: {error}") from None


def _content(data: bytes, at: int, tag: int) -> tuple[bytes, int]:
    """Return the content of the element at an offset, and where the next one begins."""
    if data[at] != tag:
        raise ValueError("not a certificate")
    size, at = data[at + 1], at + 2
    if size & _LONG:
        count = size & ~_LONG
        size, at = int.from_bytes(data[at : at + count], "big"), at + count
    if len(data) < at + size:
        raise ValueError("not a whole certificate")
    return data[at : at + size], at + size


def _time(tag: int, text: bytes) -> datetime:
    digits = text.decode("ascii")
    if tag == _UTC_TIME:
        digits = ("20" if int(digits[:2]) < _TURN_OF_CENTURY else "19") + digits
    elif tag != _GENERALIZED_TIME:
        raise ValueError("a certificate without dates")
    return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
