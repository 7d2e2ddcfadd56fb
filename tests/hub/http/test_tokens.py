"""Access tokens: who signed them, for whom, until when; nothing else passes."""

import base64
import hmac
import json
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OKPKey

from core import clock, config
from core.errors import ConfigError, DomainError
from core.ids import new_id
from hub.http.tokens import TokenKeys, load_keys, new_key, written
from tests.fixtures.app import pem_key

USER, SESSION = new_id(), new_id()


def write_keys(path: Path, *pems: str) -> config.Auth:
    path.write_text("".join(pems))
    return config.Auth(signing_keys=str(path))


@pytest.fixture
def pem() -> str:
    return pem_key()


@pytest.fixture
def keys(tmp_path: Path, pem: str) -> TokenKeys:
    return load_keys(write_keys(tmp_path / "keys.pem", pem))


def forged(pem: str, *, header: dict | None = None, claims: dict | None = None) -> str:
    key = OKPKey.import_key(pem)
    now = clock.unix_seconds()
    header = {"alg": "EdDSA", "kid": key.thumbprint(), "typ": "at+jwt", **(header or {})}
    return jwt.encode(
        {name: value for name, value in header.items() if value is not None},
        {
            "sub": str(USER),
            "sid": str(SESSION),
            "role": "user",
            "iat": now,
            "exp": now + 300,
            "iss": "pinghub",
            "aud": "pinghub",
            **(claims or {}),
        },
        key,
        algorithms=["EdDSA"],
        default_type=None,
    )


def base64_url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def refusal(keys: TokenKeys, token: str) -> str:
    with pytest.raises(DomainError) as caught:
        keys.verify(token)
    return caught.value.code


@pytest.mark.req("ACC-09")
def test_an_issued_token_says_who_signed_in(keys: TokenKeys):
    claims = keys.verify(keys.issue(USER, SESSION, "moderator"))
    assert (claims.sub, claims.sid, claims.role) == (USER, SESSION, "moderator")
    assert claims.exp - claims.iat == keys.lifetime_seconds <= 600


def test_the_reference_forgery_is_accepted_so_that_the_refusals_below_mean_something(keys, pem):
    assert keys.verify(forged(pem)).sub == USER


def test_keys_rotate_without_refusing_live_tokens(tmp_path: Path, pem: str):
    old = load_keys(write_keys(tmp_path / "old.pem", pem))
    both = load_keys(write_keys(tmp_path / "both.pem", pem_key(), pem))
    token = old.issue(USER, SESSION, "user")
    assert both.verify(token).sub == USER
    assert refusal(old, both.issue(USER, SESSION, "user")) == "auth.token_invalid"
    assert len({key["kid"] for key in both.public_keys()["keys"]}) == 2


def test_published_keys_hold_no_secret(keys: TokenKeys):
    (key,) = keys.public_keys()["keys"]
    assert key.keys() == {"kty", "crv", "x", "kid", "use", "alg"}


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "somebody"},
        {"aud": "another"},
        {"aud": ["pinghub", "another"]},
        {"sub": "not-a-uuid"},
        {"sub": None},
        {"sid": None},
        {"role": "root"},
        {"exp": "soon"},
        {"exp": clock.unix_seconds() + 10_000_000},
        {"iat": clock.unix_seconds() + 3600},
    ],
)
def test_wrong_claims_are_refused(keys: TokenKeys, pem: str, claims: dict):
    assert refusal(keys, forged(pem, claims=claims)) == "auth.token_invalid"


@pytest.mark.req("ACC-09")
def test_an_expired_token_is_told_apart(keys: TokenKeys, pem: str):
    now = clock.unix_seconds()
    expired = forged(pem, claims={"iat": now - 600, "exp": now - 1})
    assert refusal(keys, expired) == "auth.token_expired"


def test_a_token_expires_also_when_it_was_good_a_moment_ago(keys, monkeypatch):
    token = keys.issue(USER, SESSION, "user")
    assert keys.verify(token).sub == USER
    later = clock.unix_seconds() + keys.lifetime_seconds
    monkeypatch.setattr(clock, "unix_seconds", lambda: later)
    assert refusal(keys, token) == "auth.token_expired"


@pytest.mark.parametrize(
    "header", [{"typ": "JWT"}, {"typ": None}, {"kid": "other"}, {"kid": "../../etc/passwd"}]
)
def test_wrong_headers_are_refused(keys: TokenKeys, pem: str, header: dict):
    assert refusal(keys, forged(pem, header=header)) == "auth.token_invalid"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5c", "zip", "enc"]),
    _JSON,
    st.booleans(),
)
def test_no_forged_header_is_more_than_an_invalid_token(
    keys: TokenKeys, pem: str, name: str, value: object, known: bool
):
    start = {"alg": "EdDSA", "kid": OKPKey.import_key(pem).thumbprint()} if known else {}
    header = base64_url(json.dumps({**start, name: value}).encode())
    _, payload, signature = forged(pem).split(".")
    assert refusal(keys, f"{header}.{payload}.{signature}") == "auth.token_invalid"


@pytest.mark.parametrize("crit", [1, None, "exp", {}, [1], ["exp"], [[]]])
def test_a_critical_header_is_refused_whatever_it_says(keys: TokenKeys, pem: str, crit: object):
    header, payload, signature = forged(pem).split(".")
    known = json.loads(base64.urlsafe_b64decode(header + "=="))
    header = base64_url(json.dumps({**known, "crit": crit}).encode())
    assert refusal(keys, f"{header}.{payload}.{signature}") == "auth.token_invalid"


def test_another_signer_with_our_kid_is_refused(keys: TokenKeys, pem: str):
    kid = OKPKey.import_key(pem).thumbprint()
    assert refusal(keys, forged(pem_key(), header={"kid": kid})) == "auth.token_invalid"


def test_a_token_without_signature_is_refused(keys: TokenKeys, pem: str):
    header, payload, _ = forged(pem).split(".")
    none = base64_url(json.dumps({"alg": "none", "typ": "at+jwt"}).encode())
    assert refusal(keys, f"{none}.{payload}.") == "auth.token_invalid"
    assert refusal(keys, f"{header}.{payload}.") == "auth.token_invalid"


def test_the_public_key_as_hmac_secret_is_refused(keys: TokenKeys, pem: str):
    key = OKPKey.import_key(pem)
    public = key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "kid": key.thumbprint(), "typ": "at+jwt"}
    start = f"{base64_url(json.dumps(header).encode())}.{forged(pem).split('.')[1]}"
    mac = base64_url(hmac.digest(public, start.encode(), "sha256"))
    assert refusal(keys, f"{start}.{mac}") == "auth.token_invalid"


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "a.b.c.d.e", "\x00", "é.é.é", "x" * 100_000])
def test_noise_is_refused(keys: TokenKeys, token: str):
    assert refusal(keys, token) == "auth.token_invalid"


def test_every_changed_character_is_noticed(keys: TokenKeys):
    token = keys.issue(USER, SESSION, "user")
    # The last character carries unused bits of base64, which the codec may ignore.
    for position in range(0, len(token) - 1, 7):
        changed = (
            token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        )
        assert refusal(keys, changed) == "auth.token_invalid"


@pytest.mark.parametrize(
    "content", ["", "noise", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_bad_key_file_is_a_setting_to_correct(tmp_path: Path, content: str):
    with pytest.raises(ConfigError, match=r"auth\.signing_keys"):
        load_keys(write_keys(tmp_path / "keys.pem", content))
    with pytest.raises(ConfigError, match=r"auth\.signing_keys"):
        load_keys(config.Auth(signing_keys=str(tmp_path / "absent.pem")))
    with pytest.raises(ConfigError, match=r"auth\.signing_keys"):
        load_keys(config.Auth())


def test_claims_name_uuids(keys: TokenKeys):
    assert isinstance(keys.verify(keys.issue(USER, SESSION, "user")).sub, UUID)


def test_the_newest_key_signs_once_its_time_has_come(
    tmp_path: Path, pem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.unix_seconds()
    announced = new_key(now + 100)
    keys = load_keys(write_keys(tmp_path / "keys.pem", pem, written([announced])))
    before = keys.issue(new_id(), new_id(), "user")
    assert kid_of(before) != announced.key.kid
    assert announced.key.kid in {key["kid"] for key in keys.public_keys()["keys"]}
    monkeypatch.setattr(clock, "unix_seconds", lambda: now + 100)
    after = keys.issue(new_id(), new_id(), "user")
    assert kid_of(after) == announced.key.kid
    assert keys.verify(before)
    assert keys.verify(after)


def test_an_old_key_goes_when_its_tokens_have_expired(
    tmp_path: Path, pem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.unix_seconds()
    newer = new_key(now)
    keys = load_keys(write_keys(tmp_path / "keys.pem", pem, written([newer])))
    monkeypatch.setattr(clock, "unix_seconds", lambda: now + 659)
    keys.retire()
    assert len(keys.public_keys()["keys"]) == 2
    monkeypatch.setattr(clock, "unix_seconds", lambda: now + 660)
    keys.retire()
    assert [key["kid"] for key in keys.public_keys()["keys"]] == [newer.key.kid]
    stolen = load_keys(write_keys(tmp_path / "old.pem", pem))
    assert refusal(keys, stolen.issue(new_id(), new_id(), "user")) == "auth.token_invalid"


def test_a_key_that_will_sign_later_signs_if_there_is_no_other(tmp_path: Path) -> None:
    announced = new_key(clock.unix_seconds() + 100)
    keys = load_keys(write_keys(tmp_path / "keys.pem", written([announced])))
    assert keys.verify(keys.issue(new_id(), new_id(), "user"))


def kid_of(token: str) -> str:
    return json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))["kid"]
