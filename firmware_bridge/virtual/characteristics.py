"""Characteristics of a virtual ring that only show something."""

from collections.abc import Callable

from bumble.att import Attribute, AttributeValue
from bumble.core import UUID
from bumble.gatt import Characteristic


def readable(
    uuid: str | UUID, value: Callable[[], bytes], *, encrypted: bool = False
) -> Characteristic[bytes]:
    """Return a characteristic whose value is asked for at each read."""
    permissions = Attribute.Permissions.READABLE
    if encrypted:
        permissions |= Attribute.Permissions.READ_REQUIRES_ENCRYPTION
    return Characteristic[bytes](
        uuid,
        Characteristic.Properties.READ,
        permissions,
        AttributeValue(read=lambda _connection: value()),
    )
