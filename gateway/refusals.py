"""Why a connection to the hub's broker fails, in words that an operator can act on."""

import ssl
from typing import Final

from gateway.identity import Validity

# Verification results of OpenSSL (X509_V_ERR_…, x509_vfy.h).
_HUB_NOT_YET_VALID: Final = 9
_HUB_EXPIRED: Final = 10
_HUB_NAME: Final = (62, 63, 64)
_CERTIFICATE_ALERTS: Final = (
    "CERTIFICATE",  # TLS alerts: bad, unsupported, revoked, expired, unknown, required
    "UNKNOWN_CA",
    "ACCESS_DENIED",
    "DECRYPT_ERROR",
    "HANDSHAKE_FAILURE",
)

REMEDIES: Final[dict[str, str]] = {
    "certificate_expired": "claim the gateway anew: `pinghub gateway claim CODE --hub URL --force`",
    "clock_wrong": "set this machine's clock (NTP); the certificate is not valid yet by it",
    "hub_certificate_expired": "the broker's certificate has ended, or this clock is ahead",
    "hub_not_trusted": "another CA signed the broker's certificate: claim the gateway anew",
    "hub_name_mismatch": "the broker's certificate names another host: see pki.gateway_mqtt_url",
    "certificate_refused": "the hub has revoked this gateway, or it is another hub's: claim anew",
    "revoked": "the hub does not know this gateway any more: claim it anew",
    "unavailable": "the hub has no certificate authority at the moment; it is asked again",
    "identity_damaged": "claim the gateway anew: `pinghub gateway claim CODE --hub URL --force`",
    "closed_unanswered": "the broker says nothing: is it ending, or the certificate revoked?",
    "unreachable": "is the broker up, and the network?",
}

CERTIFICATE_PROBLEMS: Final = (
    "certificate_expired",
    "clock_wrong",
    "certificate_refused",
    "hub_not_trusted",
    "identity_damaged",
)
"""Those that the gateway's own certificate has to do with."""


def problem_of(error: BaseException | None, validity: Validity | None, now_ms: int) -> str:
    """Return one of REMEDIES, or a text of TLS; `validity` is that of the gateway's certificate.

    EOFError stands for a connection that the broker ended before its first answer.
    """
    match error:
        case ssl.SSLCertVerificationError():
            return _of_hub(error)
        case ssl.SSLError():
            if any(alert in (error.reason or "") for alert in _CERTIFICATE_ALERTS):
                return refused(validity, now_ms)
            return f"tls_failed: {error.reason or error}"
        case EOFError() | ConnectionResetError() if validity is not None:
            return "closed_unanswered"
        case _:
            return "unreachable"


def refused(validity: Validity | None, now_ms: int) -> str:
    """Return why the broker may have refused the gateway's certificate."""
    if validity is not None and now_ms >= validity.not_after_ms:
        return "certificate_expired"
    if validity is not None and now_ms < validity.not_before_ms:
        return "clock_wrong"
    return "certificate_refused"


def _of_hub(error: ssl.SSLCertVerificationError) -> str:
    match error.verify_code:
        case code if code == _HUB_NOT_YET_VALID:
            return "clock_wrong"
        case code if code == _HUB_EXPIRED:
            return "hub_certificate_expired"
        case code if code in _HUB_NAME:
            return "hub_name_mismatch"
        case _:
            return "hub_not_trusted"
