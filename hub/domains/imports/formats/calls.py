"""Messages and calls as "SMS Backup & Restore" writes them on Android: XML, without the words."""

import io
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final
from xml.etree.ElementTree import ParseError

from core.errors import DomainError
from hub.domains.imports.formats import people, text
from hub.domains.imports.formats.found import (
    EARLIEST,
    Entry,
    FoundInteraction,
    FoundParticipant,
    Options,
    Reading,
    RemarkCode,
    failed,
)
from hub.domains.interactions.schemas import Direction

_ROOTS: Final = frozenset({"smses", "calls"})
# An MMS has its parts below it, and their text below that.
_DEPTH_MAX: Final = 16
_ELEMENTS_MAX: Final = 1_000_000
_PART_BYTES: Final = 131_072
_ADDRESS_MAX: Final = 320
_PARTICIPANTS_MAX: Final = 100
# A message to several people has all of their numbers in one attribute.
_SEVERAL: Final = "~"
# Hidden numbers, what Android writes for none, and MMS for oneself.
_NOBODY: Final = frozenset({"", "-1", "-2", "null", "insert-address-token"})
_REFERENCE: Final = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,10}));")
_CHARS: Final = (
    (0x9, 0xA, 0xD),
    range(0x20, 0xD800),
    range(0xE000, 0xFFFE),
    range(0x10000, 0x110000),
)
# PduHeaders.FROM of Android, of one of an MMS's addresses.
_SENDER: Final = "137"
_DURATION_MAX: Final = 86_400 * 30
_SMS_DIRECTIONS: Final[Mapping[str, Direction]] = {"1": "inbound", "2": "outbound"}
_CALL_DIRECTIONS: Final[Mapping[str, Direction]] = {
    "1": "inbound",
    "2": "outbound",
    "3": "inbound",  # missed
    "5": "inbound",  # rejected
}


def read(data: bytes, options: Options) -> Reading:
    """Read messages and calls; raises import.not_this_format, .unsafe, .empty."""
    del options
    text.require_text(data)
    events = _elements(data)
    kind, root = next(events, ("", None))
    if kind != "start" or root is None or root.tag not in _ROOTS:
        raise DomainError("import.not_this_format", "Its first element is not `smses` or `calls`.")
    remarks: set[RemarkCode] = set()
    return Reading(_entries(events, root), "xml", remarks)


class _Source(io.BytesIO):
    """A file that is read in large parts: expat begins anew with what a part ends within."""

    def __init__(self, data: bytes) -> None:
        super().__init__(_REFERENCE.sub(_allowed, data))

    def read(self, size: int | None = -1, /) -> bytes:
        del size
        return super().read(_PART_BYTES)


def _allowed(reference: re.Match[bytes]) -> bytes:
    """Return a reference as XML 1.0 allows it (2.2), as the application does not.

    It writes an emoji as its two surrogates, `&#55357;&#56832;`, and control characters.
    """
    point = int(reference[1], 16) if reference[1] else int(reference[2])
    is_char = any(point in points for points in _CHARS)
    return reference[0] if is_char else b"?"


def _elements(data: bytes) -> Iterator[tuple[str, Any]]:
    # 10 ms that no start of a process has to wait for.
    from defusedxml import DefusedXmlException  # noqa: PLC0415  # see above
    from defusedxml.ElementTree import iterparse  # noqa: PLC0415  # see above

    try:
        yield from iterparse(_Source(data), events=("start", "end"), forbid_dtd=True)
    except DefusedXmlException:
        raise DomainError("import.unsafe") from None
    except (ParseError, ValueError, LookupError):
        # What was read before it stands: the rest of a file that was cut off is missing.
        yield "broken", None


def _entries(events: Iterator[tuple[str, Any]], root: Any) -> Iterator[Entry]:  # noqa: ANN401  # an Element
    above = [root]
    sender = ""
    for number, (kind, element) in enumerate(events):
        if kind == "broken":
            yield failed("unfinished")
            return
        if kind == "start":
            above.append(element)
            if len(above) > _DEPTH_MAX:
                raise DomainError("import.unsafe")
            if number > _ELEMENTS_MAX * 2:
                raise DomainError("import.too_many")
            continue
        above.pop()
        if element.tag == "addr" and element.attrib.get("type") == _SENDER:
            sender = people.line(element.attrib.get("address", ""))
        elif len(above) == 1 and element.tag in {"sms", "mms", "call"}:
            yield _entry(element.tag, element.attrib, sender)
            sender = ""
        if above:
            # What was read is not needed any more, however much is beside it.
            del above[-1][:]


def _entry(tag: str, attributes: Mapping[str, str], sender: str) -> Entry:
    numbers = _numbers(attributes.get("number" if tag == "call" else "address", ""))
    if not numbers:
        return failed("no_participant")
    try:
        occurred_at = EARLIEST + timedelta(milliseconds=int(attributes.get("date", "")))
    except (ValueError, OverflowError):
        return failed("date_invalid", "date")
    if occurred_at < EARLIEST:
        return failed("date_invalid", "date")
    directions = _CALL_DIRECTIONS if tag == "call" else _SMS_DIRECTIONS
    kind_of = attributes.get("msg_box" if tag == "mms" else "type", "")
    direction = directions.get(kind_of)
    if direction is None:
        # Drafts, and what was never sent.
        return failed("no_participant", "type")
    seconds = attributes.get("duration", "")
    is_counted = seconds.isascii() and seconds.isdigit() and len(seconds) <= 7  # noqa: PLR2004  # int() of endless digits is slow
    duration = int(seconds) if tag == "call" and is_counted else None
    return Entry(
        FoundInteraction(
            kind="call" if tag == "call" else "sms",
            occurred_at=occurred_at,
            direction=direction,
            duration_seconds=duration if duration is None or duration <= _DURATION_MAX else None,
            participants=tuple(_participants(numbers, direction, sender)),
        )
    )


def _participants(
    numbers: list[str], direction: Direction, sender: str
) -> Iterator[FoundParticipant]:
    """Yield whoever was there, the sender first: whom it was with is the first who is known."""
    by_sender_first = sorted(numbers, key=lambda number: number != sender)
    for at, number in enumerate(by_sender_first):
        is_sender = direction == "inbound" and at == 0
        yield FoundParticipant("from" if is_sender else "to", "phone", number)


def _numbers(written: str) -> list[str]:
    numbers = [people.line(number) for number in written.split(_SEVERAL, _PARTICIPANTS_MAX)]
    kept = [number for number in numbers if number not in _NOBODY and len(number) <= _ADDRESS_MAX]
    return kept[:_PARTICIPANTS_MAX]
