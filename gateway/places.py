"""Which ring may connect next, and over which adapter; sans-I/O.

An adapter connects one ring at a time and carries only so many. Rings wait in one queue, in order
of asking; when all places are taken, a link that has been quiet long enough makes room, so that no
ring waits for ever. Times are monotonic seconds.
"""

from collections.abc import Collection
from typing import Final

import msgspec

HEARD_SECONDS: Final = 30.0
"""An adapter that heard a ring longer ago does not reach it."""
TURN_SECONDS: Final = 15.0
"""How long a ring may wait, and a quiet link stay, before the one makes room for the other."""
FULL_SECONDS: Final = 4.0
"""An adapter that refused for want of slots is left alone for so long."""
WEAKER_DB: Final = 15
"""An adapter that hears a ring this much worse than another is not worth its idleness."""


class _Place(msgspec.Struct):
    adapter: str
    since: float
    is_connecting: bool = True
    is_asked_to_leave: bool = False


class _Adapter(msgspec.Struct):
    full_until: float = 0.0
    places: int = 0
    connecting: int = 0


class Places:
    """The places of all adapters; rings are named by their Bluetooth address."""

    def __init__(self, slots: int) -> None:
        """`slots` is how many rings an adapter carries at once."""
        self.slots = slots
        self._adapters: dict[str, _Adapter] = {}
        self._heard: dict[str, dict[str, tuple[float, int]]] = {}
        self._waiting: dict[str, float] = {}
        self._places: dict[str, _Place] = {}

    def open(self, adapter: str) -> None:
        """An adapter works from now on."""
        self._adapters.setdefault(adapter, _Adapter())

    def close(self, adapter: str) -> list[str]:
        """An adapter is gone; return who is connected over it, to be told."""
        self._adapters.pop(adapter, None)
        for heard in self._heard.values():
            heard.pop(adapter, None)
        return [address for address, place in self._places.items() if place.adapter == adapter]

    def heard(self, address: str, adapter: str, rssi: int, now: float) -> None:
        """An adapter heard a ring."""
        self._heard.setdefault(address, {})[adapter] = (now, rssi)

    def forget(self, address: str) -> None:
        """A ring's address is dead."""
        self.leave(address)
        self._heard.pop(address, None)

    def ask(self, address: str, now: float) -> None:
        """A ring wants to be connected; who asks again keeps its place in the queue."""
        self._waiting.setdefault(address, now)

    def grant(self, now: float) -> list[tuple[str, str]]:
        """Return (address, adapter) of those who may connect now; their places are taken."""
        granted: list[tuple[str, str]] = []
        if not any(self._is_free(adapter, now) for adapter in self._adapters.values()):
            return granted  # asked at each advertisement, while another ring connects
        for address in list(self._waiting):
            adapter = self._best_adapter(address, now)
            if adapter is None:
                continue  # nobody behind it must wait for an adapter that it cannot use
            del self._waiting[address]
            self._places[address] = _Place(adapter, now)
            self._adapters[adapter].places += 1
            self._adapters[adapter].connecting += 1
            granted.append((address, adapter))
        return granted

    def connected(self, address: str) -> None:
        """The attempt to connect is over, well or badly: the adapter may begin another."""
        place = self._places.get(address)
        if place is not None and place.is_connecting:
            place.is_connecting = False
            if adapter := self._adapters.get(place.adapter):
                adapter.connecting = max(0, adapter.connecting - 1)

    def refused(self, address: str, now: float) -> None:
        """The adapter says that it has no slot left."""
        place = self._places.get(address)
        if place is not None and (adapter := self._adapters.get(place.adapter)):
            adapter.full_until = now + FULL_SECONDS

    def leave(self, address: str) -> None:
        """A ring needs its place, or its wait, no longer."""
        self._waiting.pop(address, None)
        self.connected(address)
        place = self._places.pop(address, None)
        if place is not None and (adapter := self._adapters.get(place.adapter)):
            adapter.places = max(0, adapter.places - 1)

    def next_leaver(self, quiet: Collection[str], now: float) -> str | None:
        """Return which of the quiet links is to make room for a ring that waits too long."""
        for address, asked_at in self._waiting.items():
            if now - asked_at < TURN_SECONDS:
                break  # whoever asked later has waited less
            if leaver := self._leaver_for(address, quiet, now):
                self._places[leaver].is_asked_to_leave = True
                return leaver
        return None

    @property
    def waiting_count(self) -> int:
        """How many rings wait for a place."""
        return len(self._waiting)

    def adapter_of(self, address: str) -> str | None:
        """Return over which adapter a ring is connected."""
        place = self._places.get(address)
        return place.adapter if place else None

    def links(self, adapter: str) -> int:
        """Return how many places of an adapter are taken."""
        known = self._adapters.get(adapter)
        return known.places if known else 0

    def _reaching(self, address: str, now: float) -> dict[str, int]:
        return {
            adapter: rssi
            for adapter, (heard_at, rssi) in self._heard.get(address, {}).items()
            if adapter in self._adapters and now - heard_at < HEARD_SECONDS
        }

    def _best_adapter(self, address: str, now: float) -> str | None:
        free = {
            adapter: rssi
            for adapter, rssi in self._reaching(address, now).items()
            if self._is_free(self._adapters[adapter], now)
        }
        if not free:
            return None
        loud = max(free.values()) - WEAKER_DB
        near = [adapter for adapter, rssi in free.items() if rssi >= loud]
        return min(near, key=lambda adapter: (self._adapters[adapter].places, -free[adapter]))

    def _is_free(self, adapter: _Adapter, now: float) -> bool:
        return not adapter.connecting and adapter.places < self.slots and now >= adapter.full_until

    def _leaver_for(self, address: str, quiet: Collection[str], now: float) -> str | None:
        reaching = self._reaching(address, now)
        places = [
            (place.since, holder)
            for holder, place in self._places.items()
            if place.adapter in reaching
        ]
        if any(self._places[holder].is_asked_to_leave for _, holder in places):
            return None  # room is being made
        full = {
            name
            for name in reaching
            if self._adapters[name].places >= self.slots or now < self._adapters[name].full_until
        }
        if full != set(reaching):
            return None  # an adapter is only busy connecting: the turn comes by itself
        settled = [
            (since, holder)
            for since, holder in places
            if holder in quiet and now - since >= TURN_SECONDS
        ]
        return min(settled)[1] if settled else None
