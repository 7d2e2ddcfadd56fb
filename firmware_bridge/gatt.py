"""The GATT layout of a ring: UUIDs and the bytes of STATUS, ACK and CTRL. All integers are LE.

TAP (notify) carries tap records. ACK (write) says up to where the central has stored them safely.
CTRL (write, indicate) takes commands; each is answered by one indication. TOUCH (write) takes what
another ring says when the two touch (touch.py). PROOF (read) carries the answer to the last
ROTATE_KEY (claim.py): 56 bytes, which a central reads in parts where its MTU is smaller.
"""

import struct
from typing import Final, Literal, get_args

import msgspec

from firmware_bridge import claim
from firmware_bridge.claim import Challenge

_BASE: Final = "52494e47-{:04x}-4b1d-8a6e-70696e672121"

SERVICE: Final = _BASE.format(0x0001)
TAP: Final = _BASE.format(0x0002)
ACK: Final = _BASE.format(0x0003)
STATUS: Final = _BASE.format(0x0004)
CTRL: Final = _BASE.format(0x0005)
IDENT: Final = _BASE.format(0x0006)
TOUCH: Final = _BASE.format(0x0007)
PROOF: Final = _BASE.format(0x0008)
DEVICE_INFORMATION: Final = "0000180a-0000-1000-8000-00805f9b34fb"
MANUFACTURER_NAME: Final = "00002a29-0000-1000-8000-00805f9b34fb"
MODEL_NUMBER: Final = "00002a24-0000-1000-8000-00805f9b34fb"
FIRMWARE_REVISION: Final = "00002a26-0000-1000-8000-00805f9b34fb"
BATTERY: Final = "0000180f-0000-1000-8000-00805f9b34fb"
BATTERY_LEVEL: Final = "00002a19-0000-1000-8000-00805f9b34fb"

REPLAY: Final = 1
SET_TIME: Final = 2
ROTATE_KEY: Final = 4
IDENTIFY: Final = 5
CONFIRM_KEY: Final = 6
# 3 SET_CONFIG: taken, not spoken yet; a ring answers `unsupported`.

# Application errors (0x80 to 0x9F) of a write to TOUCH.
TOUCH_TOO_WEAK: Final = 0x80
TOUCH_TOO_LATE: Final = 0x81
"""No touch is under way: the ring felt nothing, or too long ago."""
TOUCH_TAKEN: Final = 0x82
"""The other ring has said who it is already."""

CtrlResult = Literal["ok", "unsupported", "malformed", "press_first", "refused"]
"""`press_first`: nobody has pressed the ring just now. `refused`: it waits for another tag."""
_RESULTS: Final[tuple[CtrlResult, ...]] = get_args(CtrlResult)
_REPLY: Final = 0x80
_STATUS: Final = struct.Struct("<5I")
_ACK: Final = struct.Struct("<II")
_SET_TIME: Final = struct.Struct("<BQ")
_CTRL_REPLY: Final = struct.Struct("<BBI")


class GattError(Exception):
    """The bytes of a characteristic do not have its layout."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A ring about itself; what `boot` and `uptime_ms` say also dates its taps."""

    boot: int
    last_seq: int
    """Highest seq given so far; seq never resets."""
    oldest_unacked: int
    """Seq of the oldest record still kept, of whichever boot; 0 when none is."""
    uptime_ms: int
    pending: int
    """How many records are kept and would be replayed."""


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """Contiguous high-water mark: the ring may forget the records of `boot` up to `seq`."""

    boot: int
    seq: int


class Replay(msgspec.Struct, frozen=True, tag=True):
    """Notify every kept record, oldest first; the reply comes after the last one."""


class SetTime(msgspec.Struct, frozen=True, tag=True):
    """Tell the ring the Unix time in milliseconds."""

    unix_ms: int


class Identify(msgspec.Struct, frozen=True, tag=True):
    """Blink, so that a person finds the ring."""


class RotateKey(msgspec.Struct, frozen=True, tag=True):
    """Prove possession to the hub that asks; answered `ok` when PROOF can be read."""

    challenge: Challenge


class ConfirmKey(msgspec.Struct, frozen=True, tag=True):
    """Change to the keys that the last ROTATE_KEY led to."""

    confirmation: bytes


Ctrl = Replay | SetTime | Identify | RotateKey | ConfirmKey


class CtrlReply(msgspec.Struct, frozen=True, kw_only=True):
    """The indication that answers a command."""

    opcode: int
    result: CtrlResult
    count: int = 0
    """Of REPLAY: how many records were notified."""


def encode_status(status: Status) -> bytes:
    """Return the value of STATUS."""
    return _STATUS.pack(*msgspec.structs.astuple(status))


def decode_status(data: bytes) -> Status:
    """Read STATUS, or raise GattError."""
    boot, last_seq, oldest_unacked, uptime_ms, pending = _unpack(_STATUS, data)
    return Status(
        boot=boot,
        last_seq=last_seq,
        oldest_unacked=oldest_unacked,
        uptime_ms=uptime_ms,
        pending=pending,
    )


def encode_ack(ack: Ack) -> bytes:
    """Return what a central writes to ACK."""
    return _ACK.pack(ack.boot, ack.seq)


def decode_ack(data: bytes) -> Ack:
    """Read what a central wrote to ACK, or raise GattError."""
    boot, seq = _unpack(_ACK, data)
    return Ack(boot=boot, seq=seq)


def encode_ctrl(command: Ctrl) -> bytes:
    """Return what a central writes to CTRL."""
    match command:
        case Replay():
            return bytes((REPLAY,))
        case SetTime(unix_ms):
            return _SET_TIME.pack(SET_TIME, unix_ms)
        case Identify():
            return bytes((IDENTIFY,))
        case RotateKey(challenge):
            return bytes((ROTATE_KEY,)) + claim.encode_challenge(challenge)
        case ConfirmKey(confirmation):
            return bytes((CONFIRM_KEY,)) + confirmation


def decode_ctrl(data: bytes) -> Ctrl | None:
    """Read a command; None when its opcode is not spoken; GattError when its bytes are wrong."""
    match list(data):
        case [1]:
            return Replay()
        case [2, *_]:
            return SetTime(_unpack(_SET_TIME, data)[1])
        case [5]:
            return Identify()
        case [4, *_] if len(data) == 1 + claim.CHALLENGE_BYTES:
            return RotateKey(claim.decode_challenge(data[1:]))
        case [6, *_] if len(data) == 1 + claim.TAG_BYTES:
            return ConfirmKey(data[1:])
        case [] | [1, *_] | [4, *_] | [5, *_] | [6, *_]:
            raise GattError("a command has the wrong length")
        case _:
            return None


def encode_ctrl_reply(reply: CtrlReply) -> bytes:
    """Return the indication that answers a command."""
    return _CTRL_REPLY.pack(reply.opcode | _REPLY, _RESULTS.index(reply.result), reply.count)


def decode_ctrl_reply(data: bytes) -> CtrlReply:
    """Read an indication of CTRL, or raise GattError."""
    opcode, result, count = _unpack(_CTRL_REPLY, data)
    if not opcode & _REPLY or result >= len(_RESULTS):
        raise GattError("not a reply")
    return CtrlReply(opcode=opcode & ~_REPLY, result=_RESULTS[result], count=count)


def _unpack(layout: struct.Struct, data: bytes) -> tuple[int, ...]:
    if len(data) != layout.size:
        raise GattError(f"expected {layout.size} bytes, not {len(data)}")
    return layout.unpack(data)
