"""The air between virtual controllers: who hears whom, how loud, and what gets lost."""

import asyncio
import random
from typing import Any, cast

from bumble import core, hci, ll
from bumble.controller import Controller
from bumble.link import LocalLink

RSSI_DEFAULT_DBM = -50


class RadioLink(LocalLink):
    """A LocalLink that hands advertisements only to those who listen and knows signal strength."""

    def __init__(self) -> None:
        super().__init__()
        self._rssi: dict[str, int] = {}
        self._connected: dict[hci.Address, Controller] = {}

    def set_rssi(self, address: hci.Address, dbm: int) -> None:
        """Set how loud the device with this address is heard."""
        self._rssi[str(address)] = dbm

    def forget_rssi(self, address: hci.Address) -> None:
        """Let the device with this address be heard like any other."""
        self._rssi.pop(str(address), None)

    def rssi(self, address: hci.Address, _receiver: Controller) -> int:
        """Return the strength at which a controller hears an address."""
        return self._rssi.get(str(address), RSSI_DEFAULT_DBM)

    def find_le_controller(self, address: hci.Address) -> Controller | None:
        """Return the controller that has an address; the base asks all connections of all."""
        known = self._connected.get(address)
        if known is None or known not in self.controllers or known.random_address != address:
            known = super().find_le_controller(address)
            if known is not None:
                self._connected[address] = known
        return known

    def scan_response(self, address: hci.Address) -> bytes:
        """Return what the advertiser with this address answers to a scan request."""
        for controller in self.controllers:
            for advertising_set in controller.advertising_sets.values():
                if advertising_set.enabled and advertising_set.address == address:
                    return bytes(advertising_set.scan_response_data)
            advertiser = controller.le_legacy_advertiser
            if advertiser.enabled and advertiser.address == address:
                return advertiser.scan_response_data
        return b""

    def send_advertising_pdu(
        self, sender_controller: Controller, packet: ll.AdvertisingPdu
    ) -> None:
        """Hand an advertisement to scanners and initiators; n rings need not hear n others."""
        for controller in tuple(self.controllers):
            if controller is sender_controller:
                continue
            listens = controller.le_scan_enable or controller.pending_le_connection is not None
            if listens or isinstance(packet, ll.ConnectInd):
                self._deliver(controller, packet)

    def _deliver(self, controller: Controller, packet: ll.AdvertisingPdu) -> None:
        asyncio.get_running_loop().call_soon(controller.on_ll_advertising_pdu, packet)


class LossyLink(RadioLink):
    """A RadioLink that loses advertisements at random and can be silenced altogether."""

    def __init__(self, *, advertisement_loss: float = 0.0, seed: int = 0) -> None:
        super().__init__()
        self.advertisement_loss = advertisement_loss
        self._silenced: set[str] = set()
        self._random = random.Random(seed)  # noqa: S311  # chance, not secrecy

    def silence(self, address: hci.Address) -> None:
        """Take a device out of reach: nothing from it or to it arrives, and nobody is told."""
        self._silenced.add(str(address))

    def restore(self, address: hci.Address) -> None:
        """Bring a silenced device back."""
        self._silenced.discard(str(address))

    def send_advertising_pdu(
        self, sender_controller: Controller, packet: ll.AdvertisingPdu
    ) -> None:
        """Drop by chance, or because the advertiser is out of reach."""
        advertiser = cast("Any", packet).advertiser_address
        if str(advertiser) in self._silenced:
            return
        is_connect = isinstance(packet, ll.ConnectInd)
        if not is_connect and self._random.random() < self.advertisement_loss:
            return
        super().send_advertising_pdu(sender_controller, packet)

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: core.PhysicalTransport,
        data: bytes,
    ) -> None:
        """Carry data unless either end is out of reach."""
        ends = {str(destination_address), str(sender_controller.random_address)}
        if not ends & self._silenced:
            super().send_acl_data(sender_controller, destination_address, transport, data)

    def send_ll_control_pdu(
        self,
        sender_address: hci.Address,
        receiver_address: hci.Address,
        packet: ll.ControlPdu,
    ) -> None:
        """Carry control unless either end is out of reach."""
        if not {str(sender_address), str(receiver_address)} & self._silenced:
            super().send_ll_control_pdu(sender_address, receiver_address, packet)
