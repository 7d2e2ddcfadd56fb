"""Bumble's virtual controller with the four gaps closed in which a central would hang or be fooled.

1. Cancelling a connection attempt ends it (as shipped: says SUCCESS and does nothing, so a connect
   to an absent peer never returns and the next one is refused).
2. HCI_Reset drops links, scanning and advertising (as shipped: a crashed host keeps its rings).
3. A scan reports the real scan response and the link's RSSI (as shipped: the advertisement twice).
4. A supervision timeout can be injected (as shipped: radio loss is never noticed).
"""

import asyncio
from contextlib import suppress
from typing import Any, cast

from bumble import core, hci, ll
from bumble.controller import Connection, Controller, LegacyAdvertiser

from firmware_bridge.virtual.link import RadioLink


class RadioController(Controller):
    """A controller on a RadioLink that behaves like silicon where it matters to a gateway."""

    # One ATT packet of the usual MTU fits one ACL packet.
    le_acl_data_packet_length = 251

    def __init__(self, name: str, link: RadioLink, *, public_address: str | None = None) -> None:
        super().__init__(name, link=link, public_address=public_address)
        self.radio = link

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_Command
    ) -> hci.HCI_StatusReturnParameters:
        """End the pending attempt with Unknown Connection Identifier, after the reply to this."""
        if (pending := self.pending_le_connection) is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.pending_le_connection = None
        event = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address.address_type,
            peer_address=pending.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        asyncio.get_running_loop().call_soon(self.send_hci_packet, event)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_reset_command(self, _command: hci.HCI_Command) -> hci.HCI_StatusReturnParameters:
        """Forget everything; the host is told nothing, its peers that the link ended."""
        self.reset()
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def reset(self) -> None:
        """Do what HCI_Reset does; also used when a host vanishes without a word."""
        for connection in list(self.le_connections.values()):
            self._terminate(connection)
        self.le_connections.clear()
        self.pending_le_connection = None
        self.le_scan_enable = False
        self.le_legacy_advertiser.stop()
        self.le_legacy_advertiser = LegacyAdvertiser(self)
        for advertising_set in self.advertising_sets.values():
            advertising_set.stop()
        self.advertising_sets.clear()

    def power_off(self) -> None:
        """Leave the link as if the battery was taken out: peers hear nothing more."""
        self.le_connections.clear()
        self.reset()
        self.host = None
        if self in self.radio.controllers:
            self.radio.remove_controller(self)

    def lose_links(self) -> None:
        """Let the supervision time of every link run out, on this side only."""
        for peer in list(self.le_connections):
            self.lose_link(peer)

    def lose_link(self, peer: hci.Address) -> None:
        """Let the supervision time of the link to a peer run out, on this side only."""
        if connection := self.le_connections.get(peer):
            self.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)

    def on_hci_le_set_extended_scan_parameters_command(
        self, command: hci.HCI_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Remember whether the scan is active: a passive one hears no scan responses."""
        self.le_scan_type = max(cast("Any", command).scan_types, default=0)
        return super().on_hci_le_set_extended_scan_parameters_command(cast("Any", command))

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Hand a packet to the host; the base describes each in a log that nobody reads."""
        if self.host:
            asyncio.get_running_loop().call_soon(self.host.on_packet, bytes(packet))

    def on_hci_disconnect_command(self, command: hci.HCI_Command) -> None:
        """Refuse to end a link that is not there, so that its host need not wait for an event."""
        known = cast("Any", command)
        if self.find_connection_by_handle(known.connection_handle) is None:
            self._send_hci_command_status(
                hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, command.op_code
            )
            return
        super().on_hci_disconnect_command(known)

    def on_ll_control_pdu(self, sender_address: hci.Address, packet: ll.ControlPdu) -> None:
        """Ignore what belongs to a link that ended meanwhile; the base logs it as an error."""
        if sender_address in self.le_connections:
            super().on_ll_control_pdu(sender_address, packet)

    def on_advertising_pdu(self, pdu: ll.AdvInd | ll.AdvExtInd) -> None:
        """Report the advertisement and, when scanning actively, the scan response."""
        address = pdu.advertiser_address
        if self.le_scan_enable and address not in self.le_connections:
            kinds = hci.HCI_LE_Extended_Advertising_Report_Event.EventType
            legacy = kinds.SCANNABLE_ADVERTISING | kinds.LEGACY_ADVERTISING_PDU_USED
            connectable = kinds.CONNECTABLE_ADVERTISING | legacy
            self._report(connectable, address, pdu.data)
            response = self.radio.scan_response(address) if self.le_scan_type else b""
            if response:
                self._report(connectable | kinds.SCAN_RESPONSE, address, response)
        pending = self.pending_le_connection
        if pending is not None and pending.peer_address == address:
            self.create_le_connection(address)

    def _report(self, event_type: int, address: hci.Address, data: bytes) -> None:
        report = hci.HCI_LE_Extended_Advertising_Report_Event.Report(
            event_type=event_type,
            address_type=address.address_type,
            address=address,
            primary_phy=hci.Phy.LE_1M,
            secondary_phy=hci.Phy.LE_1M,
            advertising_sid=0,
            tx_power=hci.HCI_LE_Extended_Advertising_Report_Event.TX_POWER_INFORMATION_NOT_AVAILABLE,
            rssi=self.radio.rssi(address, self),
            periodic_advertising_interval=0,
            direct_address_type=0,
            direct_address=hci.Address.ANY,
            data=data,
        )
        self.send_hci_packet(hci.HCI_LE_Extended_Advertising_Report_Event([report]))

    def _terminate(self, connection: Connection) -> None:
        reason = hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR
        with suppress(core.InvalidArgumentError):  # the peer has left the link
            connection.send_ll_control_pdu(ll.TerminateInd(reason))
