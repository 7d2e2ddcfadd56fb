"""What proves that a passkey was made or signed here, decided without a database."""

import base64
import json
from typing import Any
from uuid import UUID

import cbor2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domains.passkeys import rules
from hub.domains.passkeys.schemas import MadeCredential, NewPasskey, SignedCredential, StoredPasskey
from hub.http.origins import RelyingParty
from tests.fixtures.authenticator import (
    ORIGIN,
    PRESENT,
    SYNCED,
    VERIFIED,
    Authenticator,
    cose,
    encoded,
)

PARTY = RelyingParty(id="localhost", origins=(ORIGIN, "https://localhost"), takes_sign_ups=True)
USER = UUID(int=7)
CHALLENGE, ANOTHER = "c" * 42 + "A", "d" * 42 + "A"


def options(challenge: str = CHALLENGE) -> dict[str, Any]:
    made = rules.creation_options(PARTY, challenge, USER, "Ada Lovelace", [])
    return json.loads(msgspec.json.encode(made))


def to_sign(challenge: str = CHALLENGE) -> dict[str, Any]:
    return json.loads(msgspec.json.encode(rules.request_options(PARTY, challenge)))


def made_of(answer: dict[str, Any]) -> NewPasskey | None:
    return rules.verify_made(msgspec.convert(answer, MadeCredential), CHALLENGE, PARTY)


def stored(made: NewPasskey, **changes: Any) -> StoredPasskey:
    fields = {
        "id": UUID(int=1),
        "user_id": USER,
        "public_key": made.public_key,
        "sign_count": made.sign_count,
        "is_user_verified": made.is_user_verified,
        "is_backup_eligible": made.is_backup_eligible,
        "is_closed": False,
    }
    return StoredPasskey(**(fields | changes))


def signed_by(answer: dict[str, Any], passkey: StoredPasskey) -> Any:
    return rules.verify_signed(msgspec.convert(answer, SignedCredential), CHALLENGE, PARTY, passkey)


@pytest.mark.parametrize(
    "make_key",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate,
        lambda: rsa.generate_private_key(65537, 2048),
    ],
    ids=["ES256", "EdDSA", "RS256"],
)
def test_each_offered_kind_of_key_is_made_and_signs(make_key: Any):
    device = Authenticator(make_key=make_key)
    made = made_of(device.create(options()))
    assert made is not None
    assert made.is_user_verified
    assert made.is_backed_up
    assert made.transports == ["internal", "hybrid"]
    shown = signed_by(device.get(to_sign()), stored(made))
    assert (shown.sign_count, shown.is_user_verified, shown.is_backed_up) == (0, True, True)
    offered = {item["alg"] for item in options()["pubKeyCredParams"]}
    assert cose(device.credentials[0].key)[3] in offered


def test_a_statement_by_the_new_key_itself_is_taken_but_must_be_right():
    assert made_of(Authenticator().create(options(), statement="self")) is not None
    # Nobody asked for it, and certificates of strangers are not even read.
    assert made_of(Authenticator().create(options(), statement="certified")) is None
    wrong = {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"no signature"}}
    assert made_of(Authenticator().create(options(), statement=wrong)) is None


def other_curve() -> dict[int, Any]:
    """Return a point that is not on the curve it claims."""
    return cose(ec.generate_private_key(ec.SECP256R1())) | {-3: bytes(32)}


@pytest.mark.parametrize(
    "lies",
    [
        {"said": {"origin": "https://evil.example"}},
        {"said": {"origin": "http://localhost:8001"}},
        {"said": {"origin": "http://localhost:8000.evil.example"}},
        {"said": {"origin": ORIGIN.upper()}},
        {"said": {"origin": [ORIGIN]}},
        {"said": {"challenge": ANOTHER}},
        {"said": {"challenge": 1}},
        {"said": {"type": "webauthn.get"}},
        {"said": {"tokenBinding": {}}},
        {"raw": b"no json"},
        {"raw": b"[" * 3000},
        {"rp_id": "evil.example"},
        {"rp_id": "localhost."},
        {"flags": VERIFIED},  # nobody was there
        {"flags": PRESENT | 0x10},  # backed up, though that cannot be
        {"attested": b""},
        {"attested": bytes(16) + b"\xff\xff"},
        {"named": b"not its id"},
        {"named": b"x" * 1024},
        {"public_key": {1: 2, 3: -7}},
        {"public_key": {1: 2, 3: -7, -1: 1, -2: b"", -3: b""}},
        {"public_key": {1: 2, 3: -35, -1: 2, -2: bytes(48), -3: bytes(48)}},  # ES384: not offered
        {"public_key": {1: 3, 3: -65535, -1: bytes(256), -2: b"\x03"}},  # SHA-1
        {"public_key": {1: 3, 3: -257, -1: b"\x01" * 4096, -2: b"\x01\x00\x01"}},
        {"public_key": "no key"},
        {"public_key": other_curve()},
        {"attestation": b"no cbor"},
        {"attestation": b"\x81" * 6000},
        {"attestation": b"\x9f" * 6000},
        {"attestation": cbor2.dumps([])},
        {"attestation": cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": "text"})},
        {"attestation": b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff"},  # two to the 63 bytes
        {"statement": {"fmt": "none", "attStmt": {"sig": b"x"}}},
        {"statement": {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"", "x5c": [b"x"]}}},
        {"statement": {"fmt": "fido-u2f", "attStmt": {"sig": b"x", "x5c": [b"x"]}}},
        {"statement": {"fmt": "android-safetynet", "attStmt": {"ver": "1", "response": b"x.y.z"}}},
        {"statement": {"fmt": ["none"], "attStmt": {}}},
        {"statement": {"fmt": "none", "attStmt": 1}},
    ],
    ids="-".join,
)
def test_what_was_not_made_for_this_moment_and_party_is_none(lies: dict[str, Any]):
    assert made_of(Authenticator().create(options(), **lies)) is None


@pytest.mark.parametrize(
    "lies",
    [
        {"said": {"origin": "https://evil.example"}},
        {"said": {"origin": "https://sub.localhost"}},
        {"said": {"challenge": ANOTHER}},
        {"said": {"type": "webauthn.create"}},
        {"raw": b"{}"},
        {"rp_id": "evil.example"},
        {"flags": SYNCED & ~PRESENT},
        {"flags": SYNCED & ~VERIFIED},
        {"flags": PRESENT | VERIFIED},  # can no longer be backed up
        {"flags": SYNCED | 0x40},  # says there is a key, and there is none
        {"signature": b"no signature"},
        {"signature": b"\x30\x06\x02\x01\x01\x02\x01\x01"},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"id": b"another"},
        {"handle": None},
        {"handle": ""},
        {"handle": encoded(UUID(int=8).bytes)},
    ],
    ids="-".join,
)
def test_what_was_not_signed_for_this_moment_and_party_is_none(lies: dict[str, Any]):
    device = Authenticator()
    made = made_of(device.create(options()))
    assert made is not None
    answer = device.get(to_sign(), **lies)
    if "id" in lies:
        answer["id"] = answer["id"][:-1] + "_"  # bits that no byte has
    assert signed_by(answer, stored(made)) is None
    assert signed_by(device.get(to_sign()), stored(made)) is not None


def test_every_changed_bit_of_what_was_signed_is_noticed():
    device = Authenticator()
    made = made_of(device.create(options()))
    assert made is not None
    for name in ("authenticatorData", "clientDataJSON"):
        answer = device.get(to_sign())
        whole = base64.urlsafe_b64decode(answer["response"][name] + "==")
        for place in range(len(whole)):
            changed = bytearray(whole)
            changed[place] ^= 1
            answer["response"][name] = encoded(bytes(changed))
            assert signed_by(answer, stored(made)) is None, (name, place)


def test_a_device_that_never_verified_its_user_signs_in_by_presence_until_it_does():
    device = Authenticator(flags=PRESENT)
    made = made_of(device.create(options()))
    assert made is not None
    assert not made.is_user_verified
    assert signed_by(device.get(to_sign()), stored(made)) is not None
    once_verified = stored(made, is_user_verified=True)
    assert signed_by(device.get(to_sign()), once_verified) is None
    assert signed_by(device.get(to_sign(), flags=PRESENT | VERIFIED), once_verified) is not None


def test_a_stored_key_that_is_damaged_lets_nobody_in():
    device = Authenticator()
    made = made_of(device.create(options()))
    assert made is not None
    for damaged in (b"", b"\x04", cbor2.dumps({}), made.public_key[:-1]):
        assert signed_by(device.get(to_sign()), stored(made, public_key=damaged)) is None


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (0, 0, False),
        (0, 1, False),
        (5, 6, False),
        (5, 2**32 - 1, False),
        (5, 5, True),
        (5, 4, True),
        (5, 0, True),
    ],
)
def test_a_counter_goes_forward_or_does_not_exist(before: int, now: int, expected: bool):
    assert rules.went_back(before, now) is expected


@given(st.binary(max_size=600), st.binary(max_size=600))
@settings(max_examples=150, deadline=None)
def test_no_bytes_make_the_verification_fail_otherwise(one: bytes, other: bytes):
    answer = Authenticator().create(options())
    answer["response"]["attestationObject"] = encoded(one or b"x")
    assert made_of(answer) is None
    answer["response"]["clientDataJSON"] = encoded(other or b"x")
    assert rules.read_client_data(answer["response"]["clientDataJSON"]) is None
    attested = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": bytes(37) + other})
    answer = Authenticator().create(options(), attestation=attested)
    assert made_of(answer) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"challenge": "short"}',
        b'{"challenge": "' + b"x" * 43 + b'\\n"}',
        b'{"challenge": "' + b"x" * 42 + b'\\ud800"}',
        b'{"challenge": 1}',
        b"\xff\xfe",
        b'{"a":' * 3000,
    ],
)
def test_client_data_without_a_challenge_of_ours_is_none(raw: bytes):
    assert rules.read_client_data(encoded(raw)) is None
