"""What a tag computes for one read, in AES and in LRP mode (NT4H2421Gx 9.3; AN12196, AN12304).

AES: session keys are CMACs, under the tag's file key, of SV1 (encryption) and SV2 (MAC) over UID
and counter; PICC data is CBC with IV 0, file data CBC with the encrypted counter as IV.
LRP: one session key, the LRP-CMAC of its own vector; its updated key 0 makes MACs, 1 encrypts file
data with the counter; PICC data goes with its own counter of 8 random bytes in front.
Either way the link shows the odd bytes of the MAC.
"""

import hmac
from typing import Final, Literal, TypeAlias

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from firmware_bridge import lrp
from firmware_bridge.tap import cmac

SunMode: TypeAlias = Literal["aes", "lrp"]

BLOCK: Final = 16
UID_BYTES: Final = 7
COUNTER_BYTES: Final = 3
MAC_BYTES: Final = 8
PICC_RANDOM_BYTES: Final = 8
PICC_BYTES: Final[dict[SunMode, int]] = {"aes": BLOCK, "lrp": PICC_RANDOM_BYTES + BLOCK}
_SV1: Final = bytes.fromhex("C33C00010080")
_SV2: Final = bytes.fromhex("3CC300010080")
_SV_LRP: Final = bytes.fromhex("00010080")
_SV_LRP_END: Final = bytes.fromhex("1EE1")
_LRP_MAC: Final = 0
_LRP_ENC: Final = 1


class SessionKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of one read; in LRP mode both are the same one."""

    mode: SunMode
    enc: bytes
    mac: bytes


def session_keys(mode: SunMode, file_key: bytes, uid: bytes, counter: bytes) -> SessionKeys:
    """Return the keys of one read; the counter is 3 bytes LE. What is not mirrored is empty."""
    if mode == "aes":
        return SessionKeys(
            mode=mode,
            enc=cmac(file_key, _padded(_SV1 + uid + counter)),
            mac=cmac(file_key, _padded(_SV2 + uid + counter)),
        )
    vector = (_SV_LRP + uid + counter).ljust(BLOCK - len(_SV_LRP_END), b"\0") + _SV_LRP_END
    key = lrp.cmac(lrp.expand(file_key), vector)
    return SessionKeys(mode=mode, enc=key, mac=key)


def sign(keys: SessionKeys, message: bytes) -> bytes:
    """Return SDMMAC, 8 bytes."""
    if keys.mode == "aes":
        full = cmac(keys.mac, message)
    else:
        full = lrp.cmac(lrp.expand(keys.mac, _LRP_MAC), message)
    return full[1::2]


def is_signed(keys: SessionKeys, message: bytes, mac: bytes) -> bool:
    """Tell whether the MAC is this message's; takes the same time wherever they differ."""
    return hmac.compare_digest(sign(keys, message), mac)


def seal_picc(mode: SunMode, meta_key: bytes, picc: bytes, random: bytes) -> bytes:
    """Return PICCENCData of 16 bytes; `random` (8 bytes) is what LRP mode puts in front."""
    if mode == "aes":
        return _cbc_encrypt(meta_key, bytes(BLOCK), picc)
    return random + lrp.encrypt(lrp.expand(meta_key), random, picc)


def open_picc(mode: SunMode, meta_key: bytes, sealed: bytes) -> bytes:
    """Return the 16 bytes inside PICCENCData; they prove nothing."""
    if mode == "aes":
        return _cbc_decrypt(meta_key, bytes(BLOCK), sealed)
    random, ciphertext = sealed[:PICC_RANDOM_BYTES], sealed[PICC_RANDOM_BYTES:]
    return lrp.decrypt(lrp.expand(meta_key), random, ciphertext)


def seal_file(keys: SessionKeys, counter: bytes, data: bytes) -> bytes:
    """Return SDMENCFileData of whole blocks."""
    if keys.mode == "aes":
        return _cbc_encrypt(keys.enc, _file_iv(keys.enc, counter), data)
    return lrp.encrypt(lrp.expand(keys.enc, _LRP_ENC), _lrp_counter(counter), data)


def open_file(keys: SessionKeys, counter: bytes, sealed: bytes) -> bytes:
    """Undo `seal_file`; verify the MAC first."""
    if keys.mode == "aes":
        return _cbc_decrypt(keys.enc, _file_iv(keys.enc, counter), sealed)
    return lrp.decrypt(lrp.expand(keys.enc, _LRP_ENC), _lrp_counter(counter), sealed)


def _padded(vector: bytes) -> bytes:
    return vector.ljust(BLOCK, b"\0")


def _file_iv(key: bytes, counter: bytes) -> bytes:
    # Under the session key: the data sheet says K_meta, tags and AN12196's examples do not.
    return _cbc_encrypt(key, bytes(BLOCK), counter.ljust(BLOCK, b"\0"))


def _lrp_counter(counter: bytes) -> bytes:
    return counter + bytes(COUNTER_BYTES)


def _cbc_encrypt(key: bytes, iv: bytes, plaintext: bytes) -> bytes:
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    return encryptor.update(plaintext) + encryptor.finalize()


def _cbc_decrypt(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    decryptor = Cipher(AES(key), CBC(iv)).decryptor()
    return decryptor.update(ciphertext) + decryptor.finalize()
