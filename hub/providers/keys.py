"""The keys of the settings, as every process of the hub reads them."""

from typing import Final

from core import config, crypto
from core.data_keys import DataKeys
from core.errors import ConfigError

_SUN_KEY_BYTES: Final = 16
# A process that misses one look at the list of data keys has another before the new one seals.
_REFRESHES_ANNOUNCED: Final = 3


def read_cipher(settings: config.Settings) -> crypto.FieldCipher:
    """Return a cipher whose data keys are still to come, or raise ConfigError.

    hub/domains/encryption brings them.
    """
    keys = settings.keys
    # With a KMS the ring only opens what it sealed or wrapped before, if anything.
    ring = None if keys.kms_url and not keys.field_keys else read_field_keys(settings)
    data_keys = DataKeys(
        cache_seconds=keys.cache_seconds,
        announce_seconds=keys.refresh_seconds * _REFRESHES_ANNOUNCED,
    )
    return crypto.FieldCipher(ring, data_keys)


def read_field_keys(settings: config.Settings) -> crypto.KeyRing:
    """Return the ring of key-encryption keys, or raise ConfigError."""
    text = config.require(settings.keys.field_keys, "keys.field_keys")
    try:
        return crypto.KeyRing.parse(text)
    except ValueError:
        raise ConfigError("keys.field_keys is not `1:<base64 of 32 bytes>,…`") from None


def read_index_key(settings: config.Settings) -> bytes:
    """Return the key of the blind indexes, or raise ConfigError."""
    return read_key(settings.keys.index_key, "keys.index_key", crypto.KEY_BYTES)


def read_sun_master_key(settings: config.Settings) -> bytes:
    """Return the key from which ring tags' SUN keys are diversified, or raise ConfigError."""
    return read_key(settings.keys.sun_master_key, "keys.sun_master_key", _SUN_KEY_BYTES)


def read_key(text: str, setting: str, size_bytes: int) -> bytes:
    """Return a key written as hex or base64, or raise ConfigError without quoting it."""
    required = config.require(text, setting)
    try:
        return crypto.parse_key(required, size_bytes)
    except ValueError as error:
        raise ConfigError(f"{setting} is {error}") from None
