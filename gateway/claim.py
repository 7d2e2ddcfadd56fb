"""Claiming: from a code to an identity. May be killed anywhere and repeated with the same code.

Key and request stay in the identity's folder `claiming` until the hub's answer is there too; the
same code with the same request has the same answer, so a lost one is asked for again.
"""

import http.client
import json
import secrets
import ssl
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from core import clock, mqtt_address
from core.errors import ConfigError
from gateway import identity, signing_request
from gateway.identity import Identity

ANSWER_SECONDS: Final = 20.0
ANSWER_BYTES_MAX: Final = 65_536
EXIT_REFUSED: Final = 1
EXIT_INPUT: Final = 2
EXIT_CLAIMED: Final = 3
EXIT_UNREACHABLE: Final = 4
EXIT_TLS: Final = 5
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_CLOCK_REMEDY: Final = "set this machine's clock (NTP), then repeat the command with the same code"
# X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED of OpenSSL's x509_vfy.h.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10


class ClaimError(Exception):
    """The claim failed and may be repeated; `remedy` says what to do first."""

    def __init__(self, exit_code: int, problem: str, detail: str, remedy: str) -> None:
        super().__init__(f"{problem}: {detail}")
        self.exit_code = exit_code
        self.problem = problem
        self.detail = detail
        self.remedy = remedy


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim has brought."""

    gateway_id: str
    mqtt_url: str
    hub_url: str
    identity_path: str
    expires_ms: int


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    gateway_id: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
    certificate: str
    ca: str
    mqtt_url: str


def claim(folder: Path, code: str, hub: str, *, force: bool) -> Claimed:
    """Make this machine the gateway that the code stands for, or raise ClaimError."""
    hub = hub.rstrip("/")
    address = _address(hub)
    if not force:
        _refuse_second(folder)
    try:
        request = identity.request(folder, "claiming", "gateway")
        answer = _answer(_post(address, code, request))
        names = Identity(
            gateway_id=answer.gateway_id,
            mqtt_url=answer.mqtt_url,
            hub_url=hub,
            client_token=secrets.token_hex(8),
        )
        certificate, ca = answer.certificate.encode(), answer.ca.encode()
        identity.keep_certificate(folder, "claiming", certificate, ca, names)
        validity = identity.validity(folder / "claiming" / identity.CERTIFICATE)
        if not validity.not_before_ms <= clock.unix_ms() < validity.not_after_ms:
            detail = "the hub's certificate does not hold now by this machine's clock"
            raise ClaimError(EXIT_TLS, "clock_wrong", detail, _CLOCK_REMEDY)
        identity.accept(folder, "claiming")
        identity.discard(folder, "renewing")  # of the gateway that this machine was before
    except OSError as error:
        remedy = "let this user write there, or set gateway.identity_path; repeat with this code"
        raise ClaimError(EXIT_INPUT, "folder_unwritable", str(error), remedy) from None
    except identity.IdentityError as error:
        remedy = "repeat the command; if it stays, update the gateway or the hub"
        raise ClaimError(EXIT_REFUSED, "answer_malformed", str(error), remedy) from None
    return Claimed(
        gateway_id=names.gateway_id,
        mqtt_url=names.mqtt_url,
        hub_url=hub,
        identity_path=str(folder),
        expires_ms=validity.not_after_ms,
    )


def _refuse_second(folder: Path) -> None:
    try:
        known = identity.load(folder)
    except identity.IdentityError as error:
        remedy = "repeat with --force: a new key is made, the damaged identity is given up"
        raise ClaimError(EXIT_CLAIMED, "identity_damaged", str(error), remedy) from None
    if known is not None:
        detail = f"this machine is gateway {known.gateway_id} of {known.hub_url}"
        remedy = "`pinghub gateway status` shows it; --force gives it up for a new one"
        raise ClaimError(EXIT_CLAIMED, "already_claimed", detail, remedy)


def _address(hub: str) -> SplitResult:
    try:
        address = urlsplit(hub)
        is_safe = address.scheme == "https" or (
            address.scheme == "http" and address.hostname in _LOOPBACK
        )
        port_is_number = address.port is None or address.port > 0
    except ValueError:
        is_safe = port_is_number = False
        address = SplitResult("", "", "", "", "")
    if not (is_safe and port_is_number and address.hostname) or address.username:
        detail = f"{hub!r} is no address of a hub"
        remedy = "write https://hub.example.com (http:// on this machine's own addresses only)"
        raise ClaimError(EXIT_INPUT, "hub_address", detail, remedy)
    return address


def _post(address: SplitResult, code: str, request: bytes) -> tuple[int, bytes]:
    """Return status and body; raises ClaimError when there is no hub to talk to."""
    body = {"claim_code": code, "csr": signing_request.as_pem(request)}
    host, timeout = address.hostname or "", ANSWER_SECONDS
    connection = (
        http.client.HTTPSConnection(host, address.port, timeout=timeout)
        if address.scheme == "https"
        else http.client.HTTPConnection(host, address.port, timeout=timeout)
    )
    place = f"{host}:{connection.port}"
    try:
        connection.request(
            "POST",
            f"{address.path}/v1/gateways/claim",
            json.dumps(body),
            {"Content-Type": "application/json", "Accept": "application/json"},
        )
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_BYTES_MAX + 1)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in (_NOT_YET_VALID, _EXPIRED):
            detail = f"{place}: {error.verify_message}, by this machine's clock"
            raise ClaimError(EXIT_TLS, "clock_wrong", detail, _CLOCK_REMEDY) from None
        remedy = "check the address; for a hub with a CA of its own set SSL_CERT_FILE"
        raise ClaimError(
            EXIT_TLS, "hub_not_trusted", f"{place}: {error.verify_message}", remedy
        ) from None
    except ssl.SSLError as error:
        remedy = "is that port HTTPS? Check the address"
        raise ClaimError(EXIT_TLS, "tls_failed", f"{place}: {error.reason}", remedy) from None
    except (OSError, http.client.HTTPException) as error:
        remedy = "check the address and the network, then repeat with the same code"
        detail = f"{place}: {error or type(error).__name__}"
        raise ClaimError(EXIT_UNREACHABLE, "hub_unreachable", detail, remedy) from None
    finally:
        connection.close()


def _answer(answered: tuple[int, bytes]) -> _Answer:
    status, body = answered
    if status >= http.client.BAD_REQUEST:
        raise _refusal(status, body)
    try:
        answer = msgspec.json.decode(body, type=_Answer)
        address = mqtt_address.parse(answer.mqtt_url, "mqtt_url")
    except (msgspec.DecodeError, ConfigError) as error:
        raise identity.IdentityError(str(error)) from None
    if not address.tls:
        raise identity.IdentityError(
            "the hub names an MQTT broker without TLS (pki.gateway_mqtt_url)"
        )
    return answer


def _refusal(status: int, body: bytes) -> ClaimError:
    try:
        told: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        told = {}
    word, detail = str(told.get("code") or ""), str(told.get("detail") or f"HTTP {status}")
    if not word:
        remedy = "check the address: no Ping Hub answers there"
        return ClaimError(EXIT_UNREACHABLE, "no_hub", detail, remedy)
    if status >= http.client.INTERNAL_SERVER_ERROR:
        remedy = "repeat with the same code in a minute"
        return ClaimError(EXIT_UNREACHABLE, word, detail, remedy)
    if status == http.client.TOO_MANY_REQUESTS:
        remedy = "wait a minute, then repeat with the same code"
        return ClaimError(EXIT_REFUSED, word, detail, remedy)
    remedy = "check the code; it holds 15 minutes and once: the owner can make a new one"
    return ClaimError(EXIT_REFUSED, word, detail, remedy)
