"""How a device becomes a gateway and stays one: codes, certificates, their end."""

import os
from datetime import datetime
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from prometheus_client import Counter

from core import authority as ca
from core import clock, csr, log, typed_code
from core.authority import Authority, AuthorityError
from core.config import Pki
from core.crypto import blind_index
from core.csr import CsrError, PublicKey
from core.db import Tx
from core.errors import DomainError
from hub.domains.certificates import queries, rules
from hub.domains.certificates.queries import Claimable, Figures, Renewable
from hub.domains.certificates.schemas import (
    Certificate,
    ClaimCode,
    ClaimedGateway,
    ClaimGateway,
    RenewalRequest,
    Renewed,
    RevocationList,
)
from hub.http import page

CODE_SECONDS: Final = 15 * 60
_CODE_BYTES: Final = 10
CERTIFICATES_LISTING: Final = "gateway_certificates"
OVERLAP_HOURS: Final = 24
"""How long a renewed certificate stays valid beside its successor, at least."""

_log = log.get("certificates")
_issued = Counter("pinghub_certificates_issued", "Certificates issued to gateways", ["by"])
_refused = Counter(
    "pinghub_certificates_refused", "Claims and renewals that got no certificate", ["by", "reason"]
)


async def new_claim_code(tx: Tx, gateway_id: UUID, index_key: bytes) -> ClaimCode:
    """Give a gateway of the actor a new claim code; a former one ends.

    Raises gateway.not_found, gateway.revoked.
    """
    code = typed_code.write(os.urandom(_CODE_BYTES))
    expires_at = await queries.new_code.one(
        tx, gateway_id, claim_code_hash(index_key, code), CODE_SECONDS
    )
    return ClaimCode(code, expires_at)


async def revoke_gateway(tx: Tx, gateway_id: UUID) -> None:
    """Cast a gateway of the actor out for good, with all its certificates; again is harmless.

    Raises gateway.not_found.
    """
    await queries.revoke.one(tx, gateway_id)


def claim_code_hash(index_key: bytes, code: str) -> bytes:
    """Return the blind index by which a gateway is found from its claim code."""
    return blind_index(index_key, "gateway.claim_code", typed_code.normalize(code))


async def list_certificates(
    tx: Tx, gateway_id: UUID, *, limit: int, cursor: str | None
) -> page.Page[Certificate]:
    """Return the certificates of a gateway of the actor, the newest first."""
    if not await queries.owns_gateway.one(tx, gateway_id):
        raise DomainError("gateway.not_found")
    before = page.decode_cursor(cursor, CERTIFICATES_LISTING, tuple[UUID])
    rows = await queries.list_certificates.all(
        tx, gateway_id, before[0] if before else None, limit + 1
    )
    return page.paginate(rows, limit, CERTIFICATES_LISTING, lambda item: (item.id,))


def read_request(text: str) -> PublicKey:
    """Return the key of a request in PEM, or raise gateway.csr_invalid."""
    try:
        return csr.read_pem(text)
    except CsrError as error:
        _refused.labels("claim", error.fault).inc()
        raise DomainError("gateway.csr_invalid") from None


async def claim(
    tx: Tx, authority: Authority, pki: Pki, request: ClaimGateway, index_key: bytes
) -> ClaimedGateway:
    """Make the holder of the request's key the gateway that the code stands for.

    A code works for one key; that one gets the same certificate again while the code lives, should
    an answer be lost. Former devices of the gateway are cast out. Needs a system transaction.
    Raises gateway.csr_invalid, gateway.claim_refused, gateway.claims_unavailable.
    """
    key = read_request(request.csr)
    key_hash = csr.key_hash(key)
    gateway = await queries.lock_claim.first(tx, claim_code_hash(index_key, request.claim_code))
    made = None
    if gateway is not None and gateway.claim_key_hash is None:
        made = await _take_over(tx, authority, key, gateway, pki)
    elif gateway is not None and gateway.claim_key_hash == key_hash:
        made = await _issued_to(tx, gateway, key_hash)
    # Wrong, expired, used: one answer, so that nobody learns which codes exist.
    if gateway is None or made is None:
        _refused.labels("claim", "code").inc()
        raise DomainError("gateway.claim_refused")
    return ClaimedGateway(
        gateway_id=gateway.id,
        certificate=ca.pem(made),
        ca=ca.trusted_pem(authority),
        mqtt_url=pki.gateway_mqtt_url,
        not_after=made.not_valid_after_utc,
    )


async def _take_over(
    tx: Tx, authority: Authority, key: PublicKey, gateway: Claimable, pki: Pki
) -> x509.Certificate:
    await queries.replace_certificates.run(tx, gateway.user_id, gateway.id)
    try:
        made = await _issue(tx, authority, key, gateway, pki)
    except AuthorityError:
        _refused.labels("claim", "unavailable").inc()
        raise DomainError("gateway.claims_unavailable") from None
    await queries.note_claim.run(tx, gateway.id, csr.key_hash(key))
    _issued.labels("claim").inc()
    _log.info("gateway_claimed", gateway_id=str(gateway.id))
    return made


async def _issued_to(tx: Tx, gateway: Claimable, key_hash: bytes) -> x509.Certificate | None:
    valid = await queries.valid_certificates.all(tx, gateway.user_id, gateway.id)
    kept = next((item for item in valid if item.public_key_hash == key_hash), None)
    return None if kept is None else x509.load_der_x509_certificate(kept.certificate)


async def renew(tx: Tx, authority: Authority | None, pki: Pki, request: RenewalRequest) -> Renewed:
    """Give a gateway the successor of its certificate; the same key gets the same one again.

    Needs a system transaction; that the request is the gateway's own is the MQTT broker's word.
    """
    renewed = await _renew(tx, authority, pki, request) if authority else Renewed("unavailable")
    if renewed.code:
        _refused.labels("renewal", renewed.code).inc()
    return renewed


async def _renew(tx: Tx, authority: Authority, pki: Pki, request: RenewalRequest) -> Renewed:
    try:
        key = csr.read_der(request.csr)
    except CsrError:
        return Renewed("malformed")
    gateway = await queries.lock_gateway.first(tx, request.gateway_id)
    if gateway is None:
        return Renewed("revoked")
    valid = await queries.valid_certificates.all(tx, gateway.user_id, gateway.id)
    now = clock.now()
    if not rules.may_renew(valid, gateway.in_use_until_ms, now):
        if valid and valid[0].public_key_hash == csr.key_hash(key):
            return Renewed("", ca.pem(x509.load_der_x509_certificate(valid[0].certificate)))
        return Renewed("not_due" if valid else "revoked")
    try:
        made = await _issue(tx, authority, key, gateway, pki)
    except AuthorityError:
        return Renewed("unavailable")
    _issued.labels("renewal").inc()
    _log.info("gateway_renewed", gateway_id=str(gateway.id))
    return Renewed("", ca.pem(made))


async def supersede(tx: Tx) -> int:
    """End certificates whose successor has been there for a day and is in use; return how many."""
    return await queries.supersede.run(tx, OVERLAP_HOURS)


async def list_revoked(tx: Tx) -> RevocationList:
    """Return the certificates that must not be accepted any more, though they have not ended."""
    # The number first: a list with a higher one then knows all that this one knows.
    number = await queries.list_number.one(tx)
    return RevocationList(number, await queries.list_revoked.all(tx))


def write_revocation_list(authority: Authority, revoked: RevocationList, now: datetime) -> bytes:
    """Return the list signed, as PEM."""
    lines = [
        ca.Revoked(
            int(item.serial, 16),
            item.ended_at,
            x509.ReasonFlags.superseded
            if item.is_superseded
            else x509.ReasonFlags.privilege_withdrawn,
        )
        for item in revoked.certificates
    ]
    return ca.revocation_list(authority, lines, number=revoked.number, now=now)


async def count_certificates(tx: Tx) -> Figures:
    """Return how many certificates there are, by what they are worth."""
    return await queries.count_certificates.one(tx)


async def _issue(
    tx: Tx, authority: Authority, key: PublicKey, gateway: Claimable | Renewable, pki: Pki
) -> x509.Certificate:
    made = ca.issue_client(
        authority, key, name=str(gateway.id), now=clock.now(), days=pki.certificate_days
    )
    await queries.insert_certificate.run(
        tx,
        gateway.user_id,
        gateway.id,
        f"{made.serial_number:x}",
        made.fingerprint(SHA256()),
        csr.key_hash(key),
        made.public_bytes(Encoding.DER),
        made.not_valid_before_utc,
        made.not_valid_after_utc,
    )
    await queries.note_certificate.run(tx, gateway.id, made.not_valid_after_utc)
    return made
