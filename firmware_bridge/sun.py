"""SUN links of NTAG 424 DNA tags (Secure Dynamic Messaging, AES mode): read, verify, make.

A tap opens `…?picc_data=<32 hex>[&enc=<hex>]&cmac=<16 hex>`. picc_data is AES-CBC(K_meta, IV 0) of
tag 0xC7 | UID 7 | counter 3 LE | 5 random bytes. Session keys are AES-CMACs, under the tag's file
key, of SV1 (encryption) and SV2 (MAC) over UID and counter. The MAC covers the characters from the
first of `enc` up to and including `cmac=`, as sent (nothing when there is no `enc`), and only its
odd bytes are in the link. The counter is the caller's to check: it must grow, atomically.
"""

import hmac
import os
import re
from collections.abc import Callable
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

from firmware_bridge.tap import cmac

KEY_BYTES: Final = 16
UID_BYTES: Final = 7
COUNTER_MAX: Final = (1 << 24) - 1
"""The counter stops here: such a tag is worn out."""

_QUERY_CHARACTERS_MAX: Final = 2048
_ENC_BYTES_MAX: Final = 256
_MAC_BYTES: Final = 8
_BLOCK: Final = 16
_PICC_TAG: Final = 0xC7  # UID and counter mirrored, UID of 7 bytes
_SV1: Final = bytes.fromhex("C33C00010080")
_SV2: Final = bytes.fromhex("3CC300010080")
_DIVERSIFY_AES128: Final = b"\x01"
_PARAMETER: Final = re.compile(r"(?:^|&)(picc_data|enc|cmac)=([^&]*)")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")


class SunError(Exception):
    """The link is not a genuine one; it does not say why, so that nobody learns by trying."""

    def __init__(self) -> None:
        super().__init__("not a genuine SUN link")


class SunLink(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a link; nothing in it is proved."""

    picc_data: bytes
    enc: bytes
    cmac: bytes
    mac_input: bytes


class SunTap(msgspec.Struct, frozen=True, kw_only=True):
    """A genuine read of a tag; whether it is a fresh one is for the counter to say."""

    uid: bytes
    counter: int
    file_data: bytes


class SessionKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of one read."""

    enc: bytes
    mac: bytes


def parse(query: str) -> SunLink:
    """Take a link or its query apart, or raise SunError; other parameters are allowed around it."""
    if len(query) > _QUERY_CHARACTERS_MAX or not query.isascii():
        raise SunError
    query = query.rpartition("?")[2].partition("#")[0]
    found: dict[str, re.Match[str]] = {}
    for match in _PARAMETER.finditer(query):
        if match[1] in found:
            raise SunError
        found[match[1]] = match
    if "picc_data" not in found or "cmac" not in found:
        raise SunError
    enc, mac_input = b"", b""
    if "enc" in found:
        mac_input = query[found["enc"].start(2) : found["cmac"].start(2)].encode("ascii")
        enc = _from_hex(found["enc"][2])
        if not mac_input or len(enc) % _BLOCK or len(enc) > _ENC_BYTES_MAX:
            raise SunError
    picc_data, mac = _from_hex(found["picc_data"][2]), _from_hex(found["cmac"][2])
    if len(picc_data) != _BLOCK or len(mac) != _MAC_BYTES:
        raise SunError
    return SunLink(picc_data=picc_data, enc=enc, cmac=mac, mac_input=mac_input)


def read(link: SunLink, meta_key: bytes, file_key_for: Callable[[bytes], bytes]) -> SunTap:
    """Verify a link with the key of its tag, or raise SunError.

    `file_key_for` gets the UID and returns the tag's key; for an unknown tag it may raise
    LookupError.
    """
    picc = _decrypt(meta_key, bytes(_BLOCK), link.picc_data)
    if picc[0] != _PICC_TAG:
        raise SunError
    uid, counter = picc[1:8], picc[8:11]
    try:
        file_key = file_key_for(uid)
    except LookupError:
        raise SunError from None
    keys = session_keys(file_key, uid, counter)
    if not hmac.compare_digest(_truncated(cmac(keys.mac, link.mac_input)), link.cmac):
        raise SunError
    return SunTap(
        uid=uid,
        counter=int.from_bytes(counter, "little"),
        file_data=_decrypt(keys.enc, _file_iv(keys, counter), link.enc) if link.enc else b"",
    )


def make_link(
    base: str,
    *,
    meta_key: bytes,
    file_key: bytes,
    uid: bytes,
    counter: int,
    file_data: bytes = b"",
    random: Callable[[int], bytes] = os.urandom,
) -> str:
    """Return the link that a tag with these keys shows at this counter; base is all up to `?`."""
    if len(uid) != UID_BYTES or not 0 < counter <= COUNTER_MAX or len(file_data) % _BLOCK:
        raise ValueError("a UID has 7 bytes, a counter 24 bits, file data whole blocks of 16")
    counter_bytes = counter.to_bytes(3, "little")
    keys = session_keys(file_key, uid, counter_bytes)
    picc = bytes((_PICC_TAG,)) + uid + counter_bytes + random(5)
    query = f"picc_data={_hex(_encrypt(meta_key, bytes(_BLOCK), picc))}"
    mac_input = ""
    if file_data:
        mac_input = f"{_hex(_encrypt(keys.enc, _file_iv(keys, counter_bytes), file_data))}&cmac="
        query += f"&enc={mac_input}"
    else:
        query += "&cmac="
    mac = _truncated(cmac(keys.mac, mac_input.encode("ascii")))
    return f"{base}?{query}{_hex(mac)}"


def session_keys(file_key: bytes, uid: bytes, counter: bytes) -> SessionKeys:
    """Return the keys of one read from the tag's key, its UID and the counter as 3 bytes LE."""
    return SessionKeys(
        enc=cmac(file_key, _SV1 + uid + counter), mac=cmac(file_key, _SV2 + uid + counter)
    )


def diversify(master: bytes, uid: bytes, system_id: bytes) -> bytes:
    """Return a tag's own AES-128 key from a master key (AN10922); system_id may carry an AID."""
    message = _DIVERSIFY_AES128 + uid + system_id
    size = 2 * _BLOCK
    if len(message) > size or len(message) < 2:  # noqa: PLR2004  # the constant and one byte more
        raise ValueError("UID and system id have 1 to 31 bytes together")
    # AN10922 pads to two blocks where RFC 4493 would stop at one, so short inputs are padded here.
    first, second = _subkeys(master)
    padded = message if len(message) == size else (message + b"\x80").ljust(size, b"\0")
    mask = first if len(message) == size else second
    last = bytes(a ^ b for a, b in zip(padded[_BLOCK:], mask, strict=True))
    return _encrypt(master, bytes(_BLOCK), padded[:_BLOCK] + last)[-_BLOCK:]


def _subkeys(key: bytes) -> tuple[bytes, bytes]:
    encryptor = Cipher(AES(key), ECB()).encryptor()  # noqa: S305  # one block, as RFC 4493 says
    first = _double(encryptor.update(bytes(_BLOCK)))
    return first, _double(first)


def _double(block: bytes) -> bytes:
    value = int.from_bytes(block, "big") << 1
    if value >> 128:
        value = value & (1 << 128) - 1 ^ 0x87
    return value.to_bytes(_BLOCK, "big")


def _file_iv(keys: SessionKeys, counter: bytes) -> bytes:
    return _encrypt(keys.enc, bytes(_BLOCK), counter.ljust(_BLOCK, b"\0"))


def _encrypt(key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    return encryptor.update(plaintext) + encryptor.finalize()


def _decrypt(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    decryptor = Cipher(AES(key), CBC(iv)).decryptor()
    return decryptor.update(ciphertext) + decryptor.finalize()


def _truncated(mac: bytes) -> bytes:
    return mac[1::2]


def _hex(data: bytes) -> str:
    return data.hex().upper()


def _from_hex(text: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise SunError
    return bytes.fromhex(text)
