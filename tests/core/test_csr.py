"""Which certificate requests the hub would sign."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA224, SHA512
from hypothesis import given, settings
from hypothesis import strategies as st

from core import csr
from core.csr import CsrError
from tests.fixtures.requests import der, new_key, pem, request_of

KEY = new_key()
REQUEST = der(request_of(KEY))


def fault_of(content: bytes | str) -> str:
    with pytest.raises(CsrError) as refusal:
        csr.read_pem(content) if isinstance(content, str) else csr.read_der(content)
    return refusal.value.fault


@pytest.mark.parametrize("make", [new_key, Ed25519PrivateKey.generate])
def test_a_request_gives_its_key_in_both_forms(make):
    key = make()
    request = request_of(key)
    assert csr.read_der(der(request)) == key.public_key()
    assert csr.read_pem(pem(request)) == key.public_key()
    assert csr.read_pem(f"\n  {pem(request)}\n\n") == key.public_key()
    assert csr.key_hash(csr.read_der(der(request))) == csr.key_hash(key.public_key())


@pytest.mark.parametrize(
    "make",
    [
        lambda: rsa.generate_private_key(65537, 1024),
        lambda: rsa.generate_private_key(65537, 2048),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: ec.generate_private_key(ec.SECP256K1()),
        lambda: dsa.generate_private_key(2048),
    ],
    ids=["RSA-1024", "RSA-2048", "P-384", "secp256k1", "DSA"],
)
def test_keys_of_other_kinds_are_refused(make):
    assert fault_of(der(request_of(make()))) == "key_kind"


def test_a_key_on_a_curve_without_hashes_is_refused_too():
    key = Ed448PrivateKey.generate()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, None)
    assert fault_of(der(request)) == "key_kind"


def test_a_request_that_is_signed_over_a_short_hash_proves_nothing():
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    assert fault_of(der(builder.sign(new_key(), SHA224()))) == "bad_signature"
    assert csr.read_der(der(builder.sign(new_key(), SHA512())))


def test_a_request_for_somebody_elses_key_is_refused():
    mine, theirs = new_key(), new_key()
    forged = der(request_of(mine)).replace(
        csr.spki(mine.public_key()), csr.spki(theirs.public_key())
    )
    assert fault_of(forged) == "bad_signature"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"0",
        b"\x30\x82\xff\xff",
        REQUEST[:-1],
        REQUEST + b"\0",
        b"\x30\x80" * 2000,
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE REQUEST-----\n!!!!\n-----END CERTIFICATE REQUEST-----",
        pem(request_of()) + pem(request_of()),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "\ud800",
    ],
)
def test_what_is_no_single_request_is_malformed(content):
    assert fault_of(content) == "malformed"


def test_more_than_4_kib_is_not_even_looked_at():
    large = request_of(padding=4096)
    assert fault_of(der(large)) == "too_large"
    assert fault_of(pem(large)) == "too_large"
    assert fault_of(pem(request_of()) + " " * 4096) == "too_large"
    assert csr.read_der(der(request_of(padding=2048)))


@given(at=st.integers(0, len(REQUEST) * 8 - 1))
@settings(max_examples=400, deadline=None)
def test_a_flipped_bit_never_makes_it_a_request_for_another_key(at):
    flipped = bytearray(REQUEST)
    flipped[at // 8] ^= 1 << at % 8
    try:
        found = csr.read_der(bytes(flipped))
    except CsrError:
        return
    # The count of unused bits at the signature's end means nothing and may change.
    assert found == KEY.public_key()


@given(content=st.binary(max_size=5000))
@settings(max_examples=200, deadline=None)
def test_garbage_never_passes_and_never_crashes(content):
    with pytest.raises(CsrError):
        csr.read_der(content)
