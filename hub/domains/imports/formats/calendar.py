"""iCalendar (RFC 5545): each event with somebody else is a meeting, and each time that it has been.

Time zones are taken by their names from the tz database. Definitions in the file are not read: one
that calls itself `Europe/Berlin` and is not would move what happened.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from msgspec import Struct, structs

from core import recurrence
from core.errors import DomainError
from core.recurrence import Rule, RuleError
from hub.domains.imports.formats import lines, people, text, zones
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

_WRITTEN: Final = "%Y%m%dT%H%M%S"
_SUBJECT_MAX: Final = 1000
_PARTICIPANTS_MAX: Final = 100
_DURATION_MAX: Final = timedelta(days=30)
_STAMP: Final = re.compile(r"^(\d{8})(?:T(\d{6})(Z?))?$")
_DURATION: Final = re.compile(
    r"^\+?P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,7})S)?)?$"
)
_KEPT: Final = frozenset(
    {"UID", "RECURRENCE-ID", "SUMMARY", "DTSTART", "DTEND", "DURATION", "STATUS", "RRULE"}
)
SERIES_BACK: Final = timedelta(days=2 * 366)
"""Of meetings that repeat the first one is taken, and those of this time before now."""
SERIES_MAX: Final = 1000
"""Of a file; of more the first meeting only, as rules may search years for days."""

Moved = frozenset[tuple[str, datetime]]
"""Meetings with an event of their own, by the UID of their series and when they would have been."""


class _File(Struct):
    """What holds for all events of a file."""

    now: datetime
    moved: Moved
    remarks: set[RemarkCode]
    series: int = 0


def read(data: bytes, options: Options) -> Reading:
    """Read the events of a calendar; raises import.not_this_format, import.empty."""
    text.require_text(data)
    narrowed, encoding = text.narrow(data)
    if b"BEGIN:VCALENDAR" not in narrowed[:65_536].upper():
        raise DomainError("import.not_this_format", "No calendar begins in it (`BEGIN:VCALENDAR`).")
    remarks: set[RemarkCode] = set()
    file = _File(options.now, _moved(narrowed), remarks)
    return Reading(_entries(narrowed, file), encoding, remarks)


def _entries(data: bytes, file: _File) -> Iterator[Entry]:
    for event in _events(data):
        if event is None:
            yield failed("unfinished")
        else:
            yield from _event(event, file)


def _moved(data: bytes) -> Moved:
    if b"RECURRENCE-ID" not in data.upper():
        return frozenset()
    found: set[tuple[str, datetime]] = set()
    for event in _events(data):
        first = _first(event or [])
        moment = _moment(first.get("RECURRENCE-ID"), set())
        if moment is not None:
            found.add((_uid(first), moment))
    return frozenset(found)


def _events(data: bytes) -> Iterator[list[Line] | None]:
    """Yield the lines of each event, None for one that does not end."""
    event: list[Line] | None = None
    within = 0
    for raw in lines.logical_lines(data):
        mark = raw.strip().upper()
        if mark == b"BEGIN:VEVENT":
            if event is not None:
                yield None
            event, within = [], 0
        elif event is None:
            continue
        elif mark == b"END:VEVENT":
            yield event
            event = None
        elif mark.startswith((b"BEGIN:", b"END:")):
            # An alarm's lines are not the event's.
            within = max(0, within + (1 if mark.startswith(b"BEGIN:") else -1))
        elif (
            not within and len(event) <= lines.LINES_MAX and (found := lines.parse(raw)) is not None
        ):
            event.append(found)
    if event is not None:
        yield None


def _first(event: Iterable[Line]) -> dict[str, Line]:
    first: dict[str, Line] = {}
    for item in event:
        if item.name in _KEPT:
            first.setdefault(item.name, item)
    return first


def _event(event: list[Line], file: _File) -> Iterator[Entry]:
    if len(event) > lines.LINES_MAX:
        yield failed("too_many", "lines")
        return
    if any(item.is_guessed for item in event):
        file.remarks.add("encoding_guessed")
    first = _first(event)
    people_there = list(_people(event))
    if (starts_at := _moment(first.get("DTSTART"), file.remarks)) is None:
        yield failed("date_invalid", "DTSTART")
        return
    if "STATUS" in first and first["STATUS"].value.strip().upper() == "CANCELLED":
        yield failed("no_participant", "STATUS")
        return
    if not people_there:
        yield failed("no_participant")
        return
    problems: list[RowProblem] = []
    if len(people_there) > _PARTICIPANTS_MAX:
        problems.append(RowProblem("too_many", "participants"))
    subject = people.line(lines.unescaped(first["SUMMARY"].value)) if "SUMMARY" in first else ""
    seconds = _seconds(first, starts_at, file.remarks)
    for moment, native_id in _times(event, first, starts_at, file):
        found = FoundInteraction(
            kind="meeting",
            occurred_at=moment,
            subject=subject[:_SUBJECT_MAX] or None,
            duration_seconds=seconds,
            native_id=native_id,
            participants=tuple(people_there[:_PARTICIPANTS_MAX]),
        )
        yield Entry(found, tuple(problems))


def _times(
    event: Iterable[Line], first: Mapping[str, Line], starts_at: datetime, file: _File
) -> Iterator[tuple[datetime, str]]:
    """Yield when it was, and what each time is called, also where it was moved from its series."""
    uid = _uid(first)
    if "RECURRENCE-ID" in first or "RRULE" not in first:
        moment = _moment(first.get("RECURRENCE-ID"), file.remarks)
        yield starts_at, uid if moment is None else _native_id(uid, moment)
        return
    left_out = {
        moment
        for item in event
        if item.name == "EXDATE"
        for value in item.value.split(",")
        if (moment := _moment(structs.replace(item, value=value), file.remarks))
    }
    for moment in _series(first, starts_at, file):
        if moment not in left_out and (uid, moment) not in file.moved:
            yield moment, _native_id(uid, moment)


def _series(first: Mapping[str, Line], starts_at: datetime, file: _File) -> Iterator[datetime]:
    yield starts_at
    zone = _zone(first["DTSTART"], set())
    begins = starts_at.astimezone(zone).replace(tzinfo=None)
    written = recurrence.with_local_end(first["RRULE"].value.strip(), zone)
    now = file.now.astimezone(zone).replace(tzinfo=None)
    file.series += 1
    rule = _rule(written, begins) if file.series <= SERIES_MAX else None
    # What is counted is counted from the beginning, day by day.
    if rule is None or (rule.count is not None and begins < now - recurrence.LOOKED_AHEAD):
        file.remarks.add("series_once")
        return
    for local in recurrence.times_between(rule, begins, now - SERIES_BACK, now):
        if local != begins:
            yield local.replace(tzinfo=zone).astimezone(UTC)


def _rule(written: str, begins: datetime) -> Rule | None:
    try:
        return recurrence.parse(written, begins)
    except RuleError:
        return None


def _uid(first: Mapping[str, Line]) -> str:
    return people.line(first["UID"].value) if "UID" in first else ""


def _native_id(uid: str, moment: datetime) -> str:
    return f"{uid}\n{moment:{_WRITTEN}}Z" if uid else ""


def _people(event: Iterable[Line]) -> Iterator[FoundParticipant]:
    for item in event:
        if item.name not in {"ATTENDEE", "ORGANIZER"} or item.first("PARTSTAT") == "DECLINED":
            continue
        if address := _address(item.value):
            role = "organizer" if item.name == "ORGANIZER" else "attendee"
            yield FoundParticipant(role, "email", address)


def _address(value: str) -> str:
    scheme, _, address = value.strip().partition(":")
    address = people.line(address)
    return address if scheme.lower() == "mailto" and "@" in address else ""


def _seconds(
    first: Mapping[str, Line], starts_at: datetime, remarks: set[RemarkCode]
) -> int | None:
    length: timedelta | None = None
    if "T" not in first["DTSTART"].value:
        # Of a day nobody says how long one was together.
        return None
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
        found = local.replace(tzinfo=_zone(item, remarks)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None if found < EARLIEST else found


def _zone(item: Line, remarks: set[RemarkCode]) -> tzinfo:
    match = _STAMP.match(item.value.strip())
    if match is None or match[3] or not match[2]:
        return UTC
    zone = zones.find(item.first("TZID"))
    if zone is None:
        remarks.add("time_zone_unknown")
        return UTC
    return zone
