"""Keys of gateways and the requests to certify them: P-256, PKCS #10 (RFC 2986)."""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID


def new_key() -> bytes:
    """Return a private key as PKCS #8 PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def request_of(key: bytes, name: str) -> bytes:
    """Return a request, in DER, to certify the key; the hub chooses the name itself."""
    private = load_pem_private_key(key, password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("a gateway's key is an elliptic curve key")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return made.sign(private, SHA256()).public_bytes(Encoding.DER)


def as_pem(request: bytes) -> str:
    """Return a request as PEM."""
    return x509.load_der_x509_csr(request).public_bytes(Encoding.PEM).decode()
