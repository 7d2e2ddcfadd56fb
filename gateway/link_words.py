"""What a link to a ring is told (Event), and what it asks for (Action)."""

import msgspec

from firmware_bridge.gatt import Status


class Seen(msgspec.Struct, frozen=True, tag=True):
    """An advertisement of the ring service was heard."""


class ConnectStarted(msgspec.Struct, frozen=True, tag=True):
    """The adapter has begun to connect; before, the link waited for its turn."""


class Connected(msgspec.Struct, frozen=True, tag=True):
    """The connection stands."""


class ConnectFailed(msgspec.Struct, frozen=True, tag=True):
    """No connection came about; `no_slots`: the adapter carries as many as it can."""

    no_slots: bool = False


class Discovered(msgspec.Struct, frozen=True, tag=True):
    """The peer has the GATT layout of a ring."""

    mtu: int


class EncryptionRequired(msgspec.Struct, frozen=True, tag=True):
    """The ring lets only paired centrals do that."""


class Paired(msgspec.Struct, frozen=True, tag=True):
    """The connection is encrypted, by a bond of before or by a new one."""


class PairingFailed(msgspec.Struct, frozen=True, tag=True):
    """The ring has refused, or one side does not know the bond any more."""


class Subscribed(msgspec.Struct, frozen=True, tag=True):
    """Notifications are on."""


class StatusRead(msgspec.Struct, frozen=True, tag=True):
    """The ring has told how it stands."""

    status: Status


class Received(msgspec.Struct, frozen=True, tag=True):
    """A record was notified; the shell stores it and reports Stored or StoreFailed."""

    boot: int
    seq: int


class Stored(msgspec.Struct, frozen=True, tag=True):
    """The record is on disk."""

    boot: int
    seq: int


class StoreFailed(msgspec.Struct, frozen=True, tag=True):
    """The record is not on disk: full, failing, or a different record has its number."""

    boot: int
    seq: int


class ReplayDone(msgspec.Struct, frozen=True, tag=True):
    """The ring says that it has notified everything it keeps."""


class AckWritten(msgspec.Struct, frozen=True, tag=True):
    """The ring has confirmed an acknowledgement."""


class OperationFailed(msgspec.Struct, frozen=True, tag=True):
    """A GATT operation failed."""

    reason: str = ""


class Yield(msgspec.Struct, frozen=True, tag=True):
    """Another ring waits for this one's place."""


class Disconnected(msgspec.Struct, frozen=True, tag=True):
    """The connection is gone."""


class Tick(msgspec.Struct, frozen=True, tag=True):
    """`deadline` has passed."""


Event = (
    Seen
    | ConnectStarted
    | Connected
    | ConnectFailed
    | Discovered
    | EncryptionRequired
    | Paired
    | PairingFailed
    | Subscribed
    | StatusRead
    | Received
    | Stored
    | StoreFailed
    | ReplayDone
    | AckWritten
    | OperationFailed
    | Yield
    | Disconnected
    | Tick
)


class Connect(msgspec.Struct, frozen=True, tag=True):
    """Wait for the adapter's turn, report ConnectStarted, connect."""


class Discover(msgspec.Struct, frozen=True, tag=True):
    """Check the GATT layout and learn the ring's id."""


class Pair(msgspec.Struct, frozen=True, tag=True):
    """Encrypt the connection: by the bond with this ring, or by a new one."""


class ForgetBond(msgspec.Struct, frozen=True, tag=True):
    """Forget the bond with this ring; the connection ends."""


class Subscribe(msgspec.Struct, frozen=True, tag=True):
    """Switch notifications on."""


class ReadStatus(msgspec.Struct, frozen=True, tag=True):
    """Read STATUS."""


class StartReplay(msgspec.Struct, frozen=True, tag=True):
    """Ask for everything the ring keeps."""


class WriteAck(msgspec.Struct, frozen=True, tag=True):
    """Let the ring forget the records of `boot` up to `seq`."""

    boot: int
    seq: int


class Disconnect(msgspec.Struct, frozen=True, tag=True):
    """End the connection or the attempt, clear up, report Disconnected."""

    reason: str


Action = (
    Connect
    | Discover
    | Pair
    | ForgetBond
    | Subscribe
    | ReadStatus
    | StartReplay
    | WriteAck
    | Disconnect
)
