"""Signatures: only the configured keys, each only for its own algorithms."""

import base64
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from hub.realtime.tokens.claims import TokenInvalidError
from hub.realtime.tokens.signatures import FixedKeys, Key, KeySource, SignatureVerifier
from tests.hub.realtime.jwt_maker import (
    EC,
    EC_384,
    NOW,
    RSA,
    SECRET,
    encoded,
    pem,
    signed,
    signed_by_hand,
)

CLAIMS = {"sub": "ann"}
ALL_KEYS = FixedKeys(hmac_secret_key=SECRET, rsa_public_key=pem(RSA), ecdsa_public_key=pem(EC))


def verifier(keys: KeySource = ALL_KEYS, now: int = NOW) -> SignatureVerifier:
    return SignatureVerifier(keys, now=lambda: now)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        *((name, OctKey.import_key(SECRET)) for name in ("HS256", "HS384", "HS512")),
        *((name, RSA) for name in ("RS256", "RS384", "RS512")),
        ("ES256", EC),
    ],
)
async def test_each_algorithm_is_verified_with_its_own_key(algorithm: str, key: Any):
    assert await verifier().payload(signed(CLAIMS, key, algorithm)) == b'{"sub": "ann"}'


async def test_a_curve_signs_with_its_own_hash_only():
    keys = FixedKeys(ecdsa_public_key=pem(EC_384))
    await verifier(keys).payload(signed(CLAIMS, EC_384, "ES384"))
    with pytest.raises(TokenInvalidError):
        await verifier(keys).payload(signed(CLAIMS, EC, "ES256"))


FORGED = {
    "no algorithm": f"{encoded({'alg': 'none'})}.{encoded(CLAIMS)}.",
    "no algorithm, other case": f"{encoded({'alg': 'nOnE'})}.{encoded(CLAIMS)}.{encoded(b'x')}",
    "no algorithm, good signature": signed_by_hand(b'{"alg":"none"}', b"{}"),
    "another secret": signed(CLAIMS, OctKey.import_key("another secret of thirty-two bytes")),
    "another RSA key": signed(CLAIMS, type(RSA).generate_key(2048), "RS256"),
    "another curve": signed(CLAIMS, EC_384, "ES384"),
    "PSS": signed(CLAIMS, RSA, "PS256"),
    "the public key as a secret": signed_by_hand(b'{"alg":"HS256"}', b"{}", pem(RSA).encode()),
    "HMAC called RSA": signed_by_hand(b'{"alg":"RS256"}', b"{}"),
    "HMAC called ECDSA": signed_by_hand(b'{"alg":"ES256"}', b"{}"),
    "lower case": signed_by_hand(b'{"alg":"hs256"}', b"{}"),
    "algorithm twice": signed_by_hand(b'{"alg":"none","alg":"HS256"}', b"{}"),
    "claim twice": signed_by_hand(b'{"alg":"HS256"}', b'{"sub":"ann","sub":"eve"}'),
    "claim twice inside": signed_by_hand(b'{"alg":"HS256"}', b'{"subs":{"a":{},"a":{}}}'),
    "algorithm missing": signed_by_hand(b"{}", b"{}"),
    "algorithm no text": signed_by_hand(b'{"alg":1}', b"{}"),
    "algorithms": signed_by_hand(b'{"alg":["HS256"]}', b"{}"),
    "header no object": signed_by_hand(b"[]", b"{}"),
    "header no JSON": signed_by_hand(b"{", b"{}"),
    "payload no JSON": signed_by_hand(b'{"alg":"HS256"}', b"\xff"),
    "deep payload": signed_by_hand(b'{"alg":"HS256"}', b"[" * 9000 + b"]" * 9000),
    "extension": signed_by_hand(b'{"alg":"HS256","crit":["exp"]}', b"{}"),
    "unencoded payload": signed_by_hand(b'{"alg":"HS256","b64":false,"crit":["b64"]}', b"{}"),
    "empty": "",
    "dots": "..",
    "two parts": "a.b",
    "four parts": signed(CLAIMS) + ".x",
    "five parts, an encrypted token": "a.b.c.d.e",
    "padded": signed(CLAIMS) + "=",
    "line feed": signed(CLAIMS) + "\n",
    "not ASCII": signed(CLAIMS) + "é",
    "signature cut": signed(CLAIMS)[:-2],
    "huge": signed({"sub": "a" * 40_000}),
    "huge header": signed_by_hand(b'{"alg":"HS256","x":"%b"}' % (b"a" * 9000), b"{}"),
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
async def test_forged_and_malformed_tokens_are_refused(token: str):
    with pytest.raises(TokenInvalidError):
        await verifier().payload(token)


@pytest.mark.parametrize(
    "parameters",
    [
        {"kid": "../../dev/null"},
        {"kid": "' OR 1=1 --"},
        {"jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/cert"},
        {"jwk": {"kty": "oct", "k": encoded(b"a guess of fourteen")}},
        {"x5c": ["bm90IGEgY2VydGlmaWNhdGU="]},
        {"typ": "JWT", "cty": "x", "own": {"of": "the issuer"}},
    ],
)
async def test_nothing_that_a_header_offers_is_believed(parameters: dict[str, Any]):
    assert await verifier().payload(signed(CLAIMS, **parameters)) == b'{"sub": "ann"}'
    guessed = signed(CLAIMS, OctKey.import_key("a guess of fourteen"), **parameters)
    with pytest.raises(TokenInvalidError):
        await verifier().payload(guessed)


async def test_without_keys_no_token_is_good():
    with pytest.raises(TokenInvalidError):
        await verifier(FixedKeys()).payload(signed(CLAIMS))


async def test_a_previous_secret_verifies_until_its_day():
    old = signed(CLAIMS)
    keys = FixedKeys(
        hmac_secret_key="the next secret of thirty-two bytes!",
        hmac_previous_secret_key=SECRET,
        hmac_previous_secret_key_valid_until=NOW,
    )
    now = NOW
    rotating = SignatureVerifier(keys, now=lambda: now)
    assert await rotating.payload(old)
    now += 1
    with pytest.raises(TokenInvalidError):
        await rotating.payload(old)


async def test_a_previous_secret_without_a_day_stays_good():
    keys = FixedKeys(hmac_secret_key="x" * 32, hmac_previous_secret_key=SECRET)
    assert await verifier(keys, now=NOW * 2).payload(signed(CLAIMS))


class CountingKeys:
    """A key that may be taken away, and how often it was asked for."""

    def __init__(self) -> None:
        self.generation: int | None = 1
        self.keys = [Key(OctKey.import_key(SECRET))]
        self.asked = 0

    async def find(self, algorithm: str, key_id: str) -> Sequence[Key]:
        del algorithm, key_id
        self.asked += 1
        return self.keys


async def test_a_signature_is_verified_once():
    keys = CountingKeys()
    counted = verifier(keys)
    token = signed(CLAIMS)
    assert await counted.payload(token) == await counted.payload(token)
    assert keys.asked == 1


async def test_what_is_remembered_ends_with_the_keys():
    keys = CountingKeys()
    counted = verifier(keys)
    token = signed(CLAIMS)
    await counted.payload(token)
    keys.generation, keys.keys = 2, []
    with pytest.raises(TokenInvalidError):
        await counted.payload(token)


async def test_nothing_is_remembered_of_refused_and_oversized_tokens():
    keys = CountingKeys()
    counted = verifier(keys)
    for token in (signed({"sub": "a" * 5000}), signed(CLAIMS)[:-3] + "AAA"):
        for _ in range(2):
            try:
                await counted.payload(token)
            except TokenInvalidError:
                continue
    assert keys.asked == 4


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hub.realtime.tokens.signatures._REMEMBERED_TOKENS", 2)
    keys = CountingKeys()
    counted = verifier(keys)
    first, second, third = (signed({"sub": name}) for name in "abc")
    for token in (first, second, first, third, first):
        await counted.payload(token)
    assert keys.asked == 3
    await counted.payload(second)
    assert keys.asked == 4


@pytest.mark.parametrize(
    "keys",
    [
        {"rsa_public_key": "not a key"},
        {"rsa_public_key": pem(EC)},
        {"ecdsa_public_key": pem(RSA)},
        {"ecdsa_public_key": pem(type(EC).generate_key("secp256k1"))},
    ],
)
def test_keys_of_another_kind_are_refused(keys: dict[str, str]):
    with pytest.raises(ValueError, match=r"key|curve"):
        FixedKeys(**keys)  # pyright: ignore[reportArgumentType]  # secrets alone are numbers


@given(st.text(max_size=200))
async def test_no_text_breaks_the_verifier(text: str):
    with pytest.raises(TokenInvalidError):
        await verifier().payload(text)


GOOD = signed(CLAIMS)


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("ABab01_-.="))
async def test_a_changed_character_is_noticed(place: int, character: str):
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    try:
        payload = await verifier().payload(changed)
    except TokenInvalidError:
        return
    # The one change that does not matter: unused bits at the end of a part are refused too.
    assert changed == GOOD
    assert base64.urlsafe_b64encode(payload).rstrip(b"=").decode() in GOOD
