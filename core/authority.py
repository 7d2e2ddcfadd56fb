"""The hub's own certificate authority for gateways: X.509 (RFC 5280), without I/O.

It signs what is decided elsewhere: a gateway's certificate says its id and "client" and nothing
that the gateway has asked for.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.csr import PublicKey

# A gateway's clock may be behind the hub's.
BACKDATED: Final = timedelta(hours=1)
CRL_DAYS: Final = 30
"""Brokers refuse everybody when their list is older: far above any pause of the hub."""
_LEFT_AT_LEAST: Final = timedelta(days=1)

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


class AuthorityError(Exception):
    """Key and certificate of the authority cannot be used; the message says why, not what."""


class Authority(msgspec.Struct, frozen=True):
    """A key that signs, its certificate, and everything its gateways shall trust."""

    key: PrivateKey
    certificate: x509.Certificate
    trusted: tuple[x509.Certificate, ...]

    def __repr__(self) -> str:
        return f"Authority({self.certificate.subject.rfc4514_string()})"


class KeyPair(msgspec.Struct, frozen=True):
    """A private key and its certificate, both PEM."""

    key: str
    certificate: str

    def __repr__(self) -> str:
        return "KeyPair([redacted])"


class Revoked(msgspec.Struct, frozen=True):
    """A certificate that must not be accepted any more."""

    serial: int
    at: datetime
    reason: x509.ReasonFlags


def create(name: str, *, now: datetime, years: int) -> KeyPair:
    """Return a new authority: P-256, self-signed, for end certificates only."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(name)
    certificate = (
        _builder(subject, subject, key.public_key(), now, now + timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    return KeyPair(_key_pem(key), pem(certificate))


def load(key: str, certificates: str) -> Authority:
    """Return the authority of a key and its certificate (the first one), or raise AuthorityError.

    Further certificates are trusted beside it, as while one authority follows another.
    """
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise AuthorityError("the key is no unencrypted private key in PEM") from None
    try:
        trusted = x509.load_pem_x509_certificates(certificates.encode())
        constraints = trusted[0].extensions.get_extension_for_class(x509.BasicConstraints).value
        trusted[0].extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        public = trusted[0].public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise AuthorityError("the certificate cannot be read as PEM") from None
    except x509.ExtensionNotFound:
        raise AuthorityError("the certificate lacks CA:TRUE or a subject key id") from None
    if not isinstance(private, PrivateKey):
        raise AuthorityError("the key is neither of an elliptic curve, nor Ed25519, nor RSA")
    if not constraints.ca:
        raise AuthorityError("the certificate is not one of an authority (CA:TRUE)")
    if private.public_key() != public:
        raise AuthorityError("the key does not belong to the first certificate")
    return Authority(private, trusted[0], tuple(trusted))


def issue_client(
    authority: Authority, key: PublicKey, *, name: str, now: datetime, days: int
) -> x509.Certificate:
    """Return a client certificate with `name` as its only name.

    Raises AuthorityError when the authority itself ends within a day.
    """
    usage = ExtendedKeyUsageOID.CLIENT_AUTH
    return _issue(authority, key, usage, name=name, names=(), now=now, days=days)


def issue_server(
    authority: Authority, *, names: Sequence[str], now: datetime, days: int
) -> KeyPair:
    """Return a new key and a server certificate for DNS names and IP addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = ExtendedKeyUsageOID.SERVER_AUTH
    certificate = _issue(
        authority, key.public_key(), usage, name=names[0], names=names, now=now, days=days
    )
    return KeyPair(_key_pem(key), pem(certificate))


def revocation_list(
    authority: Authority, revoked: Iterable[Revoked], *, number: int, now: datetime
) -> bytes:
    """Return the list of revoked certificates (CRL) as PEM; `number` rises from list to list."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - BACKDATED)
        .next_update(now + timedelta(days=CRL_DAYS))
        .add_extension(_issuer_key(authority), critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for item in revoked:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(item.serial)
            .revocation_date(item.at)
            .add_extension(x509.CRLReason(item.reason), critical=False)
        )
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(authority.key, _digest(authority.key)).public_bytes(Encoding.PEM)


def trusted_pem(authority: Authority) -> str:
    """Return the certificates that gateways trust, as PEM."""
    return "".join(pem(certificate) for certificate in authority.trusted)


def pem(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM).decode()


def _issue(
    authority: Authority,
    key: PublicKey,
    usage: x509.ObjectIdentifier,
    *,
    name: str,
    names: Sequence[str],
    now: datetime,
    days: int,
) -> x509.Certificate:
    own = authority.certificate
    if own.not_valid_after_utc < now + _LEFT_AT_LEAST:
        raise AuthorityError("the authority ends")
    # Nothing outlives who vouches for it.
    ends = min(now + timedelta(days=days), own.not_valid_after_utc)
    builder = (
        _builder(_named(name), own.subject, key, max(now, own.not_valid_before_utc), ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_issuer_key(authority), critical=False)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([_general_name(item) for item in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(authority.key, _digest(authority.key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())  # 159 random bits
        .not_valid_before(begins - BACKDATED)
        .not_valid_after(ends)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _issuer_key(authority: Authority) -> x509.AuthorityKeyIdentifier:
    identifier = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _digest(key: PrivateKey) -> SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()


def _key_pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
