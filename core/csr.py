"""Certificate requests of gateways (PKCS #10, RFC 2986), judged without I/O.

Only the public key of a request counts, and only when the request proves that its sender holds the
private one: subject, attributes and requested extensions are not looked at.
"""

import hashlib
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAX_BYTES: Final = 4096
_PEM_BEGINS: Final = b"-----BEGIN CERTIFICATE REQUEST-----"
_PEM_ENDS: Final = b"-----END CERTIFICATE REQUEST-----"

# What the library raises for bytes that are no request, or for one it does not know.
_UNREADABLE: Final = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion)

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
Fault = Literal["too_large", "malformed", "key_kind", "bad_signature"]


class CsrError(Exception):
    """The request is none that the hub would sign; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault: Fault = fault


def read_pem(text: str) -> PublicKey:
    """Return the key of a request in PEM, 4 KiB at most, or raise CsrError."""
    if len(text) > MAX_BYTES:
        raise CsrError("too_large")
    content = text.strip().encode(errors="replace")
    # One block and nothing around it: what else is in there would be read by nobody.
    if not (content.startswith(_PEM_BEGINS) and content.endswith(_PEM_ENDS)):
        raise CsrError("malformed")
    if content.count(b"-----BEGIN") != 1:
        raise CsrError("malformed")
    try:
        return _judge(x509.load_pem_x509_csr(content))
    except _UNREADABLE:
        raise CsrError("malformed") from None


def read_der(content: bytes) -> PublicKey:
    """Return the key of a request in DER, 4 KiB at most, or raise CsrError."""
    if len(content) > MAX_BYTES:
        raise CsrError("too_large")
    try:
        return _judge(x509.load_der_x509_csr(content))
    except _UNREADABLE:
        raise CsrError("malformed") from None


def key_hash(key: PublicKey) -> bytes:
    """Return the SHA-256 of a public key (SubjectPublicKeyInfo, DER)."""
    return hashlib.sha256(spki(key)).digest()


def spki(key: PublicKey) -> bytes:
    """Return a public key as SubjectPublicKeyInfo, DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _judge(request: x509.CertificateSigningRequest) -> PublicKey:
    # The kind first: an RSA key of the sender's choice would make the check below expensive.
    key = request.public_key()
    match key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            digests = (SHA256, SHA384, SHA512)
        case ed25519.Ed25519PublicKey():
            digests = (type(None),)
        case _:
            raise CsrError("key_kind")
    if not isinstance(request.signature_hash_algorithm, digests):
        raise CsrError("bad_signature")
    if not request.is_signature_valid:
        raise CsrError("bad_signature")
    return key
