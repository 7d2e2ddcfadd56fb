"""How a tag that writes a link is really set up: found by trying keys, modes, places and inputs.

A MAC that fits proves a whole set-up at once, so trying is safe; without one, PICC data that opens
to an NXP UID is strong evidence. For the person with the keys on their desk, not for a server.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from firmware_bridge import sun_keys
from firmware_bridge import sun_session as session
from firmware_bridge.sun import PICC_TAG, address_start
from firmware_bridge.sun_session import COUNTER_BYTES, MAC_BYTES, PICC_BYTES, UID_BYTES, SunMode

KeyName: TypeAlias = Literal["right", "other_mode", "undiversified", "factory"]
"""Which key fits: the tag's own, that of the other mode, the master key itself, all zeros."""

NO_COUNTER_TAG: Final = 0x87
NO_UID_TAG: Final = 0x40
_NXP: Final = 0x04
_MODES: Final[tuple[SunMode, ...]] = ("aes", "lrp")
_HEX_RUN: Final = re.compile(r"[0-9A-Fa-f]+")
_EDGE: Final = re.compile(r"[?&=/#]")
_LIKELIEST: Final = 2
_SHIFT_MAX: Final = 8


class KeySet(msgspec.Struct, frozen=True, kw_only=True):
    """What a link is tried with: the master key, or the keys of one tag, or neither."""

    master: bytes | None = None
    tag: sun_keys.TagKeys | None = None

    @property
    def known(self) -> bool:
        """Whether a key was given at all."""
        return self.master is not None or self.tag is not None

    def meta_keys(self, mode: SunMode) -> Iterator[tuple[KeyName, bytes]]:
        """Return candidates for the key that hides the UID, the right one first."""
        if self.tag is not None:
            yield "right", self.tag.meta
        if self.master is not None:
            yield "right", sun_keys.meta_key(self.master, mode)
            yield "other_mode", sun_keys.meta_key(self.master, _other(mode))
            yield "undiversified", self.master
        yield "factory", sun_keys.FACTORY_KEY

    def file_keys(self, mode: SunMode, uid: bytes) -> Iterator[tuple[KeyName, bytes]]:
        """Return candidates for the tag's own key, the right one first."""
        if self.tag is not None:
            yield "right", self.tag.file
        if self.master is not None:
            yield "right", sun_keys.file_key(self.master, uid, mode)
            yield "other_mode", sun_keys.file_key(self.master, uid, _other(mode))
            yield "undiversified", self.master
        yield "factory", sun_keys.FACTORY_KEY


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """PICC data that was found and opened, or a UID and counter in plain (`at` is the UID's)."""

    mode: SunMode
    at: int
    meta: KeyName | None
    tag: int
    uid: bytes
    counter: bytes
    """3 bytes LE; empty when the tag does not show it."""
    counter_reversed: bool = False


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A MAC that fits: where it stands, where its input begins, and under whose key."""

    opened: Opened
    at: int
    input_at: int
    file: KeyName
    upper_case: bool = False
    """It fits when the link is written in capitals: something has changed their case."""


def find_signed(link: str, keys: KeySet, opened: Iterable[Opened]) -> Signed | None:
    """Return the set-up under which the link's MAC is genuine, or None."""
    for item in opened:
        for name, key in keys.file_keys(item.mode, item.uid):
            session_keys = session.session_keys(item.mode, key, item.uid, item.counter)
            for text, upper in _spellings(link):
                if (place := _find_mac(text, session_keys)) is not None:
                    at, input_at = place
                    return Signed(
                        opened=item, at=at, input_at=input_at, file=name, upper_case=upper
                    )
    return None


def find_opened(link: str, keys: KeySet) -> list[Opened]:
    """Return the places where hex digits open to what a tag hides, the most telling first."""
    found: list[Opened] = []
    for mode in _MODES:
        for at in _windows(link, 2 * PICC_BYTES[mode]):
            sealed = bytes.fromhex(link[at : at + 2 * PICC_BYTES[mode]])
            for name, key in keys.meta_keys(mode):
                item = _open(mode, at, name, session.open_picc(mode, key, sealed))
                if item is not None:
                    found.append(item)
    return found


def find_plain(link: str, uid_at: int, counter_at: int) -> list[Opened]:
    """Return the readings of a UID and a counter in plain: either mode, either order of bytes."""
    uid_text = link[uid_at : uid_at + 2 * UID_BYTES]
    counter_text = link[counter_at : counter_at + 2 * COUNTER_BYTES]
    try:
        uid, counter = bytes.fromhex(uid_text), bytes.fromhex(counter_text)
    except ValueError:
        return []
    if (len(uid), len(counter)) != (UID_BYTES, COUNTER_BYTES):
        return []
    return [
        Opened(
            mode=mode,
            at=uid_at,
            meta=None,
            tag=PICC_TAG,
            uid=uid,
            counter=counter if is_reversed else counter[::-1],
            counter_reversed=is_reversed,
        )
        for is_reversed in (False, True)
        for mode in _MODES
    ]


def _open(mode: SunMode, at: int, meta: KeyName, picc: bytes) -> Opened | None:
    tag = picc[0]
    counter_at = 1 if tag == NO_UID_TAG else 1 + UID_BYTES
    uid = b"" if tag == NO_UID_TAG else picc[1:counter_at]
    counter = picc[counter_at : counter_at + COUNTER_BYTES]
    # One byte alone opens by chance in every 256th place; NXP's UIDs begin with another one, and
    # without a UID the counter must be a plausible one.
    if tag in (PICC_TAG, NO_COUNTER_TAG):
        plausible = uid[0] == _NXP
    else:
        plausible = tag == NO_UID_TAG and counter[1:] == b"\0\0"
    if not plausible:
        return None
    counter = b"" if tag == NO_COUNTER_TAG else counter
    return Opened(mode=mode, at=at, meta=meta, tag=tag, uid=uid, counter=counter)


def _find_mac(link: str, keys: session.SessionKeys) -> tuple[int, int] | None:
    for at, inputs in _tries(link):
        mac = bytes.fromhex(link[at : at + 2 * MAC_BYTES])
        for input_at in inputs:
            if session.is_signed(keys, link[input_at:at].encode(), mac):
                return at, input_at
    return None


def _tries(link: str) -> Iterator[tuple[int, Iterable[int]]]:
    """Return places of a MAC with beginnings of its input: likely ones, then one of the two free.

    All with all would take minutes in LRP mode.
    """
    places = list(_windows(link, 2 * MAC_BYTES))
    edges = {match.end() for match in _EDGE.finditer(link)} | {address_start(link)}
    ends = {match.end() - 2 * MAC_BYTES for match in _HEX_RUN.finditer(link)}
    likely = [at for at in reversed(places) if at in edges or at in ends]
    for at in likely:
        yield at, _inputs(edges, at)
    for at in likely[:_LIKELIEST]:
        yield at, [input_at for input_at in range(at) if input_at not in edges]
    for at in reversed(places):
        if at not in likely and any(abs(at - edge) <= _SHIFT_MAX for edge in edges | ends):
            yield at, _inputs(edges, at)


def _inputs(edges: set[int], end: int) -> list[int]:
    return [end, *sorted((edge for edge in edges if edge < end), reverse=True)]


def _windows(link: str, size: int) -> Iterator[int]:
    for run in _HEX_RUN.finditer(link):
        yield from range(run.start(), run.end() - size + 1)


def _spellings(link: str) -> Iterator[tuple[str, bool]]:
    yield link, False
    capitals: Callable[[re.Match[str]], str] = lambda run: run[0].upper()  # noqa: E731  # for re.sub
    upper = re.sub(r"(?<==)[0-9A-Fa-f]{16,}", capitals, link)
    if upper != link:
        yield upper, True


def _other(mode: SunMode) -> SunMode:
    return "lrp" if mode == "aes" else "aes"
