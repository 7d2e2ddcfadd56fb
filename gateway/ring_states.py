"""What the gateway sees of its rings, told to the hub when it changes; sans-I/O."""

from collections.abc import Callable, Iterable, Mapping

from core.edge import RingLinkState, RingState
from gateway.connection import RingConnection


class RingStates:
    """Remembers what was told, so that only news is."""

    def __init__(self) -> None:
        self._told: dict[bytes, RingState | None] = {}

    def forget(self) -> None:
        """Tell everything again: another hub, or a broker that has forgotten, may listen."""
        self._told = dict.fromkeys(self._told)

    def tell(
        self,
        connections: Iterable[RingConnection],
        now_ms: int,
        publish: Callable[[bytes, RingState], bool],
    ) -> None:
        """Publish what changed; `publish` returns whether the message has left."""
        present = states_of(connections, now_ms)
        for ring, state in present.items():
            known = self._told.get(ring)
            if (known is None or _essence(known) != _essence(state)) and publish(ring, state):
                self._told[ring] = state
        for ring in self._told.keys() - present.keys():
            if publish(ring, RingState(link="lost", t=now_ms)):
                del self._told[ring]


def states_of(connections: Iterable[RingConnection], now_ms: int) -> Mapping[bytes, RingState]:
    """Return the state of each ring that was identified; a link counts more than an echo of it."""
    found: dict[bytes, RingState] = {}
    for item in connections:
        if item.ring is None or (item.ring in found and not item.link.is_linked):
            continue
        found[item.ring] = RingState(
            link="connected" if item.link.is_linked else "seen",
            t=now_ms,
            rssi=item.rssi,
            bat=item.facts.battery_pct,
            fw=item.facts.firmware,
        )
    return found


def _essence(state: RingState) -> tuple[RingLinkState, int | None, str | None]:
    # The strength of the signal changes with every advertisement.
    return state.link, state.bat, state.fw
