"""iCalendar (RFC 5545): each event with somebody else is a meeting; of series the first one.

Time zones are taken by their names from the tz database. Definitions in the file are not read: one
that calls itself `Europe/Berlin` and is not would move what happened.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import DomainError
from hub.domains.imports.formats import lines, people, text
from hub.domains.imports.formats.found import (
    EARLIEST,
    Entry,
    FoundInteraction,
    FoundParticipant,
    Options,
    Reading,
    RemarkCode,
    RowProblem,
    failed,
)
from hub.domains.imports.formats.lines import Line

_SUBJECT_MAX: Final = 1000
_PARTICIPANTS_MAX: Final = 100
_DURATION_MAX: Final = timedelta(days=30)
_STAMP: Final = re.compile(r"^(\d{8})(?:T(\d{6})(Z?))?$")
_DURATION: Final = re.compile(
    r"^\+?P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,7})S)?)?$"
)
_ZONE: Final = re.compile(r"^[A-Za-z][A-Za-z0-9_+\-]{1,30}(?:/[A-Za-z0-9_+\-]{1,30}){0,2}$")
_KEPT: Final = frozenset(
    {"UID", "RECURRENCE-ID", "SUMMARY", "DTSTART", "DTEND", "DURATION", "STATUS", "RRULE"}
)


def read(data: bytes, options: Options) -> Reading:
    """Read the events of a calendar; raises import.not_this_format, import.empty."""
    del options
    text.require_text(data)
    narrowed = text.narrow(data)
    if b"BEGIN:VCALENDAR" not in narrowed[:65_536].upper():
        raise DomainError("import.not_this_format", "No calendar begins in it (`BEGIN:VCALENDAR`).")
    remarks: set[RemarkCode] = set()
    return Reading(_entries(narrowed, remarks), "utf-8", remarks)


def _entries(data: bytes, remarks: set[RemarkCode]) -> Iterator[Entry]:
    event: list[Line] | None = None
    within = 0
    for raw in lines.logical_lines(data):
        mark = raw.strip().upper()
        if mark == b"BEGIN:VEVENT":
            if event is not None:
                yield failed("unfinished")
            event, within = [], 0
        elif event is None:
            continue
        elif mark == b"END:VEVENT":
            yield _event(event, remarks)
            event = None
        elif mark.startswith((b"BEGIN:", b"END:")):
            # An alarm's lines are not the event's.
            within = max(0, within + (1 if mark.startswith(b"BEGIN:") else -1))
        elif (
            not within and len(event) <= lines.LINES_MAX and (found := lines.parse(raw)) is not None
        ):
            event.append(found)
    if event is not None:
        yield failed("unfinished")


def _event(event: list[Line], remarks: set[RemarkCode]) -> Entry:
    if len(event) > lines.LINES_MAX:
        return failed("too_many", "lines")
    if any(item.is_guessed for item in event):
        remarks.add("encoding_guessed")
    first: dict[str, Line] = {}
    for item in event:
        if item.name in _KEPT:
            first.setdefault(item.name, item)
    people_there = list(_people(event))
    if (starts_at := _moment(first.get("DTSTART"), remarks)) is None:
        return failed("date_invalid", "DTSTART")
    if "STATUS" in first and first["STATUS"].value.strip().upper() == "CANCELLED":
        return failed("no_participant", "STATUS")
    if not people_there:
        return failed("no_participant")
    if "RRULE" in first:
        remarks.add("series_once")
    problems: list[RowProblem] = []
    if len(people_there) > _PARTICIPANTS_MAX:
        problems.append(RowProblem("too_many", "participants"))
    subject = people.line(lines.unescaped(first["SUMMARY"].value)) if "SUMMARY" in first else ""
    native = [first[name].value for name in ("UID", "RECURRENCE-ID") if name in first]
    found = FoundInteraction(
        kind="meeting",
        occurred_at=starts_at,
        subject=subject[:_SUBJECT_MAX] or None,
        duration_seconds=_seconds(first, starts_at, remarks),
        native_id="\n".join(native) if "UID" in first else "",
        participants=tuple(people_there[:_PARTICIPANTS_MAX]),
    )
    return Entry(found, tuple(problems))


def _people(event: Iterable[Line]) -> Iterator[FoundParticipant]:
    for item in event:
        if item.name in {"ATTENDEE", "ORGANIZER"} and (address := _address(item.value)):
            role = "organizer" if item.name == "ORGANIZER" else "attendee"
            yield FoundParticipant(role, "email", address)


def _address(value: str) -> str:
    scheme, _, address = value.strip().partition(":")
    address = people.line(address)
    return address if scheme.lower() == "mailto" and "@" in address else ""


def _seconds(first: dict[str, Line], starts_at: datetime, remarks: set[RemarkCode]) -> int | None:
    length: timedelta | None = None
    if "DTEND" in first:
        ends_at = _moment(first["DTEND"], remarks)
        length = None if ends_at is None else ends_at - starts_at
    elif "DURATION" in first and (match := _DURATION.match(first["DURATION"].value.strip())):
        weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        length = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    if length is None or not timedelta() <= length <= _DURATION_MAX:
        return None
    return int(length.total_seconds())


def _moment(item: Line | None, remarks: set[RemarkCode]) -> datetime | None:
    """Return when it is; a day begins at midnight UTC, as it is one in every zone."""
    match = _STAMP.match(item.value.strip()) if item is not None else None
    if item is None or match is None:
        return None
    try:
        day = date.fromisoformat(match[1])
        clock = time.fromisoformat(match[2]) if match[2] else time()
        local = datetime.combine(day, clock)
        zone = UTC if match[3] or not match[2] else _zone(item, remarks)
        found = local.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None if found < EARLIEST else found


def _zone(item: Line, remarks: set[RemarkCode]) -> tzinfo:
    name = item.params.get("TZID", ("",))[0]
    # Some write a path before the name: `/freeassociation.sourceforge.net/Europe/Berlin`.
    for candidate in (name, "/".join(name.split("/")[-2:])):
        if _ZONE.match(candidate):
            try:
                return ZoneInfo(candidate)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                continue
    remarks.add("time_zone_unknown")
    return UTC
