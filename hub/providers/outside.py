"""What errands of consumers may use beyond the database."""

import msgspec

from core.config import Settings
from hub.providers.mqtt_sender import MqttSender


class Outside(msgspec.Struct, frozen=True):
    """What a worker has opened for errands."""

    settings: Settings
    mqtt: MqttSender
