"""What errands of consumers may use beyond the database."""

from collections.abc import Callable

import msgspec

from core.config import Settings
from core.crypto import FieldCipher
from core.db import Pool
from hub.providers.mqtt_sender import MqttSender


def _no_pool() -> Pool:
    raise RuntimeError("no worker runs here")


def _no_cipher() -> FieldCipher:
    raise RuntimeError("no worker runs here")


class Outside(msgspec.Struct, frozen=True):
    """What a worker has opened for errands."""

    settings: Settings
    mqtt: MqttSender
    system: Callable[[], Pool] = _no_pool
    """The database, for what an errand has brought; all users' rows are in reach."""
    cipher: Callable[[], FieldCipher] = _no_cipher
