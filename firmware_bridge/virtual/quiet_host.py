"""Bumble's host without the texts of its debug log, which it makes whoever reads them.

They are f-strings, made before the logger is asked, so no level spares them: of a gateway's time
with a hundred busy rings they took a sixth.
"""

import struct
from typing import Any, Final, cast

from bumble import att, hci
from bumble.device import Device
from bumble.host import Host

_NOTIFICATION: Final = int(att.Opcode.ATT_HANDLE_VALUE_NOTIFICATION)
_HEADER: Final = struct.Struct("<BH")  # opcode, attribute handle


class QuietHost(Host):
    """A Host that hands packets on without describing them."""

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Take a packet of the controller."""
        match packet:
            case hci.HCI_AclDataPacket():
                self.on_hci_acl_data_packet(packet)
            case hci.HCI_Event():
                self.on_hci_event_packet(packet)
            case _:
                super().on_hci_packet(packet)

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Hand a packet to the controller."""
        if self.hci_sink is not None:
            self.hci_sink.on_packet(bytes(packet))


def shorten_notifications(device: Device) -> None:
    """Hand notifications straight to who subscribed: they are what a busy gateway does."""

    def on_att(handle: int, pdu: bytes) -> None:
        connection = device.connections.get(handle)
        if connection is None or len(pdu) < _HEADER.size or pdu[0] != _NOTIFICATION:
            cast("Any", device).on_gatt_pdu(handle, pdu)
            return
        _, attribute = _HEADER.unpack_from(pdu)
        subscribers = cast("Any", connection.gatt_client).notification_subscribers
        # Bumble adds the characteristic itself, which nobody listens to.
        for subscriber in subscribers.get(attribute, ()):
            if callable(subscriber):
                subscriber(pdu[_HEADER.size :])

    device.l2cap_channel_manager.register_fixed_channel(att.ATT_CID, on_att)
