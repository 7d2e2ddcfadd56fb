"""How the hub speaks TLS to the MQTT broker."""

import ssl

from core.config import Mqtt
from core.errors import ConfigError


def tls_context(settings: Mqtt) -> ssl.SSLContext:
    """Return TLS 1.3 with the broker's name checked, or raise ConfigError naming the setting."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"mqtt.ca_file: {settings.ca_file} cannot be read: {error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if settings.certificate_file:
        try:
            context.load_cert_chain(settings.certificate_file, settings.key_file or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"mqtt.certificate_file, mqtt.key_file: {settings.certificate_file} and"
                f" {settings.key_file or 'no key'} do not fit: {error}"
            ) from None
    return context
