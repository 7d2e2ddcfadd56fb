"""Key-encryption keys: the settings' own ring, or a Vault or OpenBao by its transit engine.

Whatever wraps now, each wrapped key names what wrapped it (`ring:2`, `vault:pinghub:7`), so moving
from one to the other is a rotation.
"""

import base64
import re
import ssl
from pathlib import Path
from typing import Final, Protocol

import msgspec

from core import config, log
from core.crypto import DecryptionError, KeyRing, KeyWrap
from core.db import assert_no_transaction
from core.errors import ConfigError, DomainError
from hub.providers import outgoing_rules
from hub.providers.outgoing import Outgoing, OutgoingError

_RETRY_AFTER_SECONDS: Final = 5
_OK: Final = 200
_BAD_REQUEST: Final = 400
_KEY_NAME: Final = re.compile(r"\w[\w.-]*", re.ASCII)
"""Of keys in Vault, as its path pattern has it; never a way to another path."""

_log = log.get("key_wrapping")


class Wrapped(msgspec.Struct, frozen=True):
    """A wrapped data key, and which key-encryption key wrapped it."""

    content: bytes
    by: str


class Wrapping(Protocol):
    """What can wrap. Both raise `service.unavailable` while the key-encryption key is away."""

    async def wrap(self, key: bytes, bound_to: bytes) -> Wrapped:
        """Encrypt a data key with the newest key-encryption key."""
        ...

    async def unwrap(self, wrapped: Wrapped, bound_to: bytes) -> bytes:
        """Decrypt a data key, or raise DecryptionError."""
        ...


class RingWrapping:
    """The key ring of the settings."""

    def __init__(self, ring: KeyRing) -> None:
        self._wrap = KeyWrap(ring)

    async def wrap(self, key: bytes, bound_to: bytes) -> Wrapped:
        return Wrapped(self._wrap.wrap(key, bound_to), f"ring:{self._wrap.current}")

    async def unwrap(self, wrapped: Wrapped, bound_to: bytes) -> bytes:
        number = wrapped.by.removeprefix("ring:")
        if not number.isdecimal():
            raise DecryptionError(f"{wrapped.by} is no key of the ring")
        return self._wrap.unwrap(wrapped.content, int(number), bound_to)


class _Transited(msgspec.Struct, frozen=True):
    """`data` of an answer of the transit engine."""

    ciphertext: str = ""
    plaintext: str = ""


class _Answer(msgspec.Struct, frozen=True):
    data: _Transited


class TransitWrapping:
    """Vault's transit secrets engine over HTTP: `POST /v1/transit/{encrypt,decrypt}/<key>`.

    The token needs the right `update` on both paths, and the key an AEAD type (its default,
    aes256-gcm96, is one), as wrapped keys are bound by `associated_data`.
    """

    def __init__(self, settings: config.Keys) -> None:
        self._settings = settings
        self._outgoing = Outgoing((_place(settings.kms_url),), tls=_trust(settings.kms_ca_file))

    async def wrap(self, key: bytes, bound_to: bytes) -> Wrapped:
        name = self._settings.kms_key
        answer = await self._call(f"encrypt/{name}", bound_to, plaintext=_text(key))
        # vault:v<version>:<base64>
        scheme, version, rest = (*answer.ciphertext.split(":", 2), "", "")[:3]
        if scheme != "vault" or not version[1:].isdecimal() or not rest:
            raise _unavailable("transit_misunderstood")
        return Wrapped(answer.ciphertext.encode(), f"vault:{name}:{version[1:]}")

    async def unwrap(self, wrapped: Wrapped, bound_to: bytes) -> bytes:
        name = wrapped.by.removeprefix("vault:").rpartition(":")[0]
        # It comes from the database: who writes there must not choose what Vault is asked.
        if not _KEY_NAME.fullmatch(name):
            raise DecryptionError("wrapped by what is no transit key")
        answer = await self._call(
            f"decrypt/{name}", bound_to, ciphertext=wrapped.content.decode("ascii", "replace")
        )
        try:
            return base64.b64decode(answer.plaintext, validate=True)
        except ValueError:
            raise _unavailable("transit_misunderstood") from None

    async def _call(self, path: str, bound_to: bytes, **fields: str) -> _Transited:
        assert_no_transaction()
        url = f"{self._settings.kms_url.rstrip('/')}/v1/transit/{path}"
        body = msgspec.json.encode({**fields, "associated_data": _text(bound_to)})
        try:
            headers = {"X-Vault-Token": self._token(), "Content-Type": "application/json"}
            answer = await self._outgoing.send("POST", url, headers=headers, content=body)
        except (OutgoingError, OSError) as error:
            reason = error.reason if isinstance(error, OutgoingError) else "no token"
            raise _unavailable("transit_away", reason=reason) from None
        if answer.status == _BAD_REQUEST and "ciphertext" in fields:
            raise DecryptionError("the transit key does not open this data key")
        if answer.status != _OK:
            # The body may quote what was sent.
            raise _unavailable("transit_refused", status=answer.status)
        try:
            return msgspec.json.decode(answer.body, type=_Answer).data
        except msgspec.DecodeError:
            raise _unavailable("transit_misunderstood") from None

    def _token(self) -> str:
        if self._settings.kms_token_file:
            # An agent writes a new one from time to time.
            return Path(self._settings.kms_token_file).read_text().strip()
        return self._settings.kms_token


class EitherWrapping:
    """Wraps with one, opens what either has wrapped: a move from the ring to Vault or back."""

    def __init__(self, ring: RingWrapping | None, transit: TransitWrapping | None) -> None:
        self._ring, self._transit = ring, transit

    async def wrap(self, key: bytes, bound_to: bytes) -> Wrapped:
        current = self._transit or self._ring
        if current is None:
            raise ConfigError("neither keys.field_keys nor keys.kms_url is set")
        return await current.wrap(key, bound_to)

    async def unwrap(self, wrapped: Wrapped, bound_to: bytes) -> bytes:
        by = self._transit if wrapped.by.startswith("vault:") else self._ring
        if by is None:
            raise DecryptionError(f"wrapped by {wrapped.by}, of which the settings know nothing")
        return await by.unwrap(wrapped, bound_to)


def open_wrapping(settings: config.Keys, ring: KeyRing | None) -> Wrapping:
    """Return what the settings name, or raise ConfigError; nothing connects yet."""
    transit = None
    if settings.kms_url:
        if not settings.kms_token and not settings.kms_token_file:
            raise ConfigError("keys.kms_url needs keys.kms_token or keys.kms_token_file")
        transit = TransitWrapping(settings)
    return EitherWrapping(None if ring is None else RingWrapping(ring), transit)


def _place(url: str) -> str:
    try:
        target = outgoing_rules.read(url)
    except outgoing_rules.AddressError as error:
        raise ConfigError(f"keys.kms_url is no address of a KMS: {error}") from None
    # Token and data keys go over it as they are.
    if not target.is_protected:
        raise ConfigError("keys.kms_url has to begin with https://, but on this machine")
    return target.place


def _trust(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"keys.kms_ca_file: {ca_file} cannot be read: {error}") from None


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _unavailable(event: str, **fields: object) -> DomainError:
    _log.warning(event, **fields)
    return DomainError("service.unavailable", retry_after_seconds=_RETRY_AFTER_SECONDS)
