"""What the hub's certificate authority signs, judged by OpenSSL where it counts."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from core import authority as ca
from core.authority import Authority, AuthorityError
from tests.fixtures.requests import new_key

NOW = datetime.now(UTC).replace(microsecond=0)
GATEWAY = "0190f6f0-0000-7000-8000-000000000001"


def make(*, now: datetime = NOW, years: int = 10) -> Authority:
    pair = ca.create("Ping Hub of tests", now=now, years=years)
    return ca.load(pair.key, pair.certificate)


OWN = make()


def client(authority: Authority, *, name: str = GATEWAY, days: int = 90) -> x509.Certificate:
    return ca.issue_client(authority, new_key().public_key(), name=name, now=NOW, days=days)


def test_a_gateways_certificate_says_its_id_and_client_and_nothing_more():
    key = new_key().public_key()
    made = ca.issue_client(OWN, key, name=GATEWAY, now=NOW, days=90)
    assert made.subject.rfc4514_string() == f"CN={GATEWAY}"
    assert made.issuer == OWN.certificate.subject
    assert made.public_key() == key
    assert made.not_valid_after_utc == NOW + timedelta(days=90)
    assert made.not_valid_before_utc == NOW - ca.BACKDATED
    found = {item.oid._name: item for item in made.extensions}
    assert set(found) == {
        "basicConstraints",
        "keyUsage",
        "extendedKeyUsage",
        "subjectKeyIdentifier",
        "authorityKeyIdentifier",
    }
    assert found["basicConstraints"].value == x509.BasicConstraints(ca=False, path_length=None)
    assert found["basicConstraints"].critical
    assert list(found["extendedKeyUsage"].value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    own = OWN.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert found["authorityKeyIdentifier"].value.key_identifier == own.digest


def test_serials_are_random_and_long():
    serials = {client(OWN).serial_number for _ in range(50)}
    assert len(serials) == 50
    assert all(serial.bit_length() > 64 for serial in serials)


@given(name=st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=16))
@settings(max_examples=50, deadline=None)
def test_a_name_is_one_common_name_whatever_stands_in_it(name):
    subject = client(OWN, name=name).subject
    assert [(item.oid, item.value) for item in subject] == [(NameOID.COMMON_NAME, name)]


def test_no_certificate_outlives_the_authority_and_none_is_made_on_its_last_day():
    short = make(now=NOW - timedelta(days=335), years=1)
    assert client(short).not_valid_after_utc == short.certificate.not_valid_after_utc
    over = make(now=NOW - timedelta(days=364, hours=1), years=1)
    with pytest.raises(AuthorityError, match="ends"):
        client(over)


@pytest.mark.parametrize(
    "make", [Ed25519PrivateKey.generate, lambda: rsa.generate_private_key(65537, 2048)]
)
def test_an_operator_may_bring_an_authority_of_another_kind(make):
    key = make()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Operator")])
    digest = None if isinstance(key, Ed25519PrivateKey) else SHA256()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=900))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, digest)
    )
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    made = client(ca.load(text, ca.pem(certificate) + ca.pem(OWN.certificate)))
    made.verify_directly_issued_by(certificate)


PAIR = ca.create("One", now=NOW, years=1)
OTHER = ca.create("Other", now=NOW, years=1)
LEAF = ca.issue_server(OWN, names=["localhost"], now=NOW, days=1)
DSA = (
    dsa.generate_private_key(2048)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
LOCKED = (
    new_key()
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    .decode()
)


@pytest.mark.parametrize(
    ("key", "certificate", "complaint"),
    [
        ("", PAIR.certificate, "no unencrypted private key"),
        (LOCKED, PAIR.certificate, "no unencrypted private key"),
        (DSA, PAIR.certificate, "neither of an elliptic curve"),
        (PAIR.key, "", "cannot be read"),
        (
            PAIR.key,
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "cannot be read",
        ),
        (PAIR.key, OTHER.certificate, "does not belong"),
        (LEAF.key, LEAF.certificate, "CA:TRUE"),
    ],
)
def test_an_unusable_authority_is_named_without_its_key(key, certificate, complaint):
    with pytest.raises(AuthorityError, match=complaint) as refusal:
        ca.load(key, certificate)
    assert "BEGIN" not in str(refusal.value)
    if key:
        assert key[40:60] not in str(refusal.value)


def test_certificates_without_the_marks_of_an_authority_are_refused():
    key = new_key()
    name = x509.Name([])
    bare = x509.CertificateBuilder(
        name, name, key.public_key(), 1, NOW, NOW + timedelta(days=1)
    ).sign(key, SHA256())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(AuthorityError, match="lacks"):
        ca.load(text, ca.pem(bare))


def test_keys_do_not_show_in_texts():
    assert "Ping Hub of tests" in repr(OWN)
    assert "BEGIN" not in repr(PAIR) + repr(OWN)


def handshake(tmp_path: Path, server: ca.KeyPair, gateway: x509.Certificate, key: str, crl: bytes):
    """Let OpenSSL shake hands as broker and gateway do; return the name the broker learns."""
    files = {
        "ca": ca.trusted_pem(OWN).encode() + crl,
        "trusted": ca.trusted_pem(OWN).encode(),
        "server": (server.key + server.certificate).encode(),
        "gateway": (key + ca.pem(gateway)).encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    broker = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    broker.verify_mode = ssl.CERT_REQUIRED
    broker.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_X509_STRICT
    broker.load_verify_locations(tmp_path / "ca")
    broker.load_cert_chain(tmp_path / "server")
    daemon = ssl.create_default_context(cafile=str(tmp_path / "trusted"))
    daemon.verify_flags |= ssl.VERIFY_X509_STRICT
    daemon.load_cert_chain(tmp_path / "gateway")
    to_broker, to_daemon = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        broker.wrap_bio(to_broker, to_daemon, server_side=True),
        daemon.wrap_bio(to_daemon, to_broker, server_hostname="localhost"),
    ]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    subject = sides[0].getpeercert()["subject"]
    return subject[0][0][1]


def test_openssl_accepts_broker_and_gateway_and_refuses_who_is_on_the_list(tmp_path):
    server = ca.issue_server(OWN, names=["localhost", "127.0.0.1", "::1"], now=NOW, days=30)
    key = new_key()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    gateway = ca.issue_client(OWN, key.public_key(), name=GATEWAY, now=NOW, days=90)
    nobody = ca.revocation_list(OWN, [], number=1, now=NOW)
    assert handshake(tmp_path, server, gateway, text, nobody) == GATEWAY
    other = ca.Revoked(client(OWN).serial_number, NOW, x509.ReasonFlags.superseded)
    listed = ca.Revoked(gateway.serial_number, NOW, x509.ReasonFlags.privilege_withdrawn)
    assert handshake(
        tmp_path, server, gateway, text, ca.revocation_list(OWN, [other], number=2, now=NOW)
    )
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        handshake(
            tmp_path,
            server,
            gateway,
            text,
            ca.revocation_list(OWN, [other, listed], number=3, now=NOW),
        )


def test_a_gateways_certificate_is_no_brokers(tmp_path):
    key = new_key()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    gateway = ca.issue_client(OWN, key.public_key(), name="localhost", now=NOW, days=90)
    crl = ca.revocation_list(OWN, [], number=1, now=NOW)
    with pytest.raises(ssl.SSLError):
        handshake(tmp_path, ca.KeyPair(text, ca.pem(gateway)), gateway, text, crl)


def test_the_list_has_number_reasons_and_a_next_update():
    lines = [
        ca.Revoked(5, NOW, x509.ReasonFlags.superseded),
        ca.Revoked(6, NOW, x509.ReasonFlags.privilege_withdrawn),
    ]
    made = x509.load_pem_x509_crl(ca.revocation_list(OWN, lines, number=42, now=NOW))
    assert made.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 42
    assert made.next_update_utc == NOW + timedelta(days=ca.CRL_DAYS)
    public = OWN.certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert made.is_signature_valid(public)
    assert {
        item.serial_number: item.extensions.get_extension_for_class(x509.CRLReason).value.reason
        for item in made
    } == {5: x509.ReasonFlags.superseded, 6: x509.ReasonFlags.privilege_withdrawn}
