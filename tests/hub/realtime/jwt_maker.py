"""An application's backend: signs tokens, also such that no backend would."""

import base64
import hashlib
import hmac
import json
import warnings
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

SECRET = "a secret of at least thirty-two bytes"
NOW = 1_800_000_000

RSA = RSAKey.generate_key(2048)
EC = ECKey.generate_key("P-256")
EC_384 = ECKey.generate_key("P-384")
ED = OKPKey.generate_key("Ed25519")


def encoded(part: Any) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def pem(key: RSAKey | ECKey) -> str:
    return key.as_pem(private=False).decode()


def signed(
    claims: Any,
    key: Any = None,
    algorithm: str = "HS256",
    **header: Any,
) -> str:
    """Return a token with these claims; bytes are signed as they are."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jws.serialize_compact(
            {"alg": algorithm, **header},
            payload,
            key or OctKey.import_key(SECRET),
            registry=jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False),
        )


def signed_by_hand(header: bytes, payload: bytes, secret: bytes = SECRET.encode()) -> str:
    """Return an HS256 token with any header at all."""
    text = f"{encoded(header)}.{encoded(payload)}"
    signature = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{encoded(signature)}"
