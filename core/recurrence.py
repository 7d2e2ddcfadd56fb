"""Rules of recurrence by days and longer (RFC 5545, 3.3.10) on the calendar. Pure.

Each part of a rule is a question to a day, asked of every day of a period: nothing is searched
further than ten years ahead. Libraries that follow a rule until it names a day look for the 30th of
February until the year 9999.
"""

import re
from calendar import isleap, monthrange
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Literal, cast

from msgspec import Struct

LOOKED_AHEAD: Final = timedelta(days=366 * 10)
"""A rule that names no day in ten years is none that anybody waits for."""
WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAY: Final = rf"(?:{'|'.join(WEEKDAYS)})"
_PLACED_DAY: Final = rf"(?:[+-]?[1-9]\d?)?{_DAY}"
_MONTH_DAY: Final = r"[+-]?(?:[12]\d|3[01]|[1-9])"
_MONTH: Final = r"(?:1[0-2]|[1-9])"
_PLACE: Final = r"[+-]?[1-9]\d{0,2}"
_PARTS: Final[Mapping[str, re.Pattern[str]]] = {
    "FREQ": re.compile("DAILY|WEEKLY|MONTHLY|YEARLY"),
    "INTERVAL": re.compile(r"[1-9]\d{0,2}"),
    "COUNT": re.compile(r"[1-9]\d{0,2}"),
    "UNTIL": re.compile(r"\d{8}(T\d{6})?"),
    "WKST": re.compile(_DAY),
    "BYDAY": re.compile(f"{_PLACED_DAY}(,{_PLACED_DAY}){{0,20}}"),
    "BYMONTHDAY": re.compile(f"{_MONTH_DAY}(,{_MONTH_DAY}){{0,30}}"),
    "BYMONTH": re.compile(f"{_MONTH}(,{_MONTH}){{0,11}}"),
    "BYSETPOS": re.compile(f"{_PLACE}(,{_PLACE}){{0,10}}"),
}

Frequency = Literal["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]
_WRITTEN: Final = "%Y%m%dT%H%M%S"
_END_IN_UTC: Final = re.compile(r"(?<=UNTIL=)(\d{8}T\d{6})Z", re.IGNORECASE)


class RuleError(ValueError):
    """A text is no rule by days or longer; the message says why, for whoever wrote it."""


class Rule(Struct, frozen=True, kw_only=True):
    """A rule with what its first day says where the rule is silent; weekdays from Monday, 0."""

    frequency: Frequency
    interval: int
    count: int | None
    until: datetime | None
    week_start: int
    weekdays: frozenset[tuple[int, int]]
    """(0, weekday), or (place in the month or year, weekday)."""
    month_days: frozenset[int]
    months: frozenset[int]
    places: frozenset[int]
    are_places_in_month: bool


def normal_form(recurrence: str) -> str:
    """Return a rule in upper case and without its name, or raise RuleError."""
    return ";".join(f"{name}={value}" for name, value in _parts(recurrence).items())


def with_local_end(recurrence: str, zone: tzinfo) -> str:
    """Return a rule whose end, where it is in UTC as calendars write it, is a zone's local time."""

    def local(end: re.Match[str]) -> str:
        try:
            moment = datetime.strptime(end[1], _WRITTEN).replace(tzinfo=UTC)
            return moment.astimezone(zone).strftime(_WRITTEN)
        except (ValueError, OverflowError):
            return end[0]

    return _END_IN_UTC.sub(local, recurrence)


def parse(recurrence: str, first: datetime) -> Rule:
    """Return what a rule means from a first day on, or raise RuleError."""
    parts = _parts(recurrence)
    frequency = cast("Frequency", parts["FREQ"])
    weekdays = frozenset(_placed(day) for day in _listed(parts, "BYDAY"))
    month_days = frozenset(int(day) for day in _listed(parts, "BYMONTHDAY"))
    months = frozenset(int(month) for month in _listed(parts, "BYMONTH"))
    are_placed = any(place for place, _ in weekdays)
    if are_placed and (frequency in {"DAILY", "WEEKLY"} or month_days):
        raise RuleError("BYDAY has numbers only with months and years, and without BYMONTHDAY.")
    if month_days and frequency == "WEEKLY":
        raise RuleError("BYMONTHDAY is of no week.")
    if "BYSETPOS" in parts and not (weekdays or month_days or months):
        raise RuleError("BYSETPOS chooses among what other parts name.")
    if not (weekdays or month_days):
        if frequency == "WEEKLY":
            weekdays = frozenset({(0, first.weekday())})
        elif frequency in {"MONTHLY", "YEARLY"}:
            month_days = frozenset({first.day})
            if frequency == "YEARLY" and not months:
                months = frozenset({first.month})
    return Rule(
        frequency=frequency,
        interval=int(parts.get("INTERVAL", 1)),
        count=int(parts["COUNT"]) if "COUNT" in parts else None,
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        week_start=WEEKDAYS.index(parts.get("WKST", "MO")),
        weekdays=weekdays,
        month_days=month_days,
        months=months,
        places=frozenset(int(place) for place in _listed(parts, "BYSETPOS")),
        are_places_in_month=frequency == "MONTHLY" or bool(months),
    )


def next_time(rule: Rule, first: datetime, after: datetime) -> datetime | None:
    """Return the first time after a given one, if there is one within ten years; all local.

    `first` is where the rule begins; that day counts only if the rule names it.
    """
    later = (
        moment
        for moment in times_between(rule, first, after, max(first, after) + LOOKED_AHEAD)
        if moment > after
    )
    return next(later, None)


def times_between(
    rule: Rule, first: datetime, since: datetime, until: datetime
) -> Iterator[datetime]:
    """Yield the times from `since` to `until`, both included; all local, and `first` the first."""
    # What is counted is counted from the beginning.
    start = first if rule.count is not None else max(first, since)
    found = 0
    for day in _days(rule, first.date(), start.date(), until.date()):
        moment = datetime.combine(day, first.time())
        if moment < first:
            continue
        found += 1
        is_over = rule.count is not None and found > rule.count
        if is_over or moment > until or (rule.until and moment > rule.until):
            return
        if moment >= since:
            yield moment


def _days(rule: Rule, first: date, start: date, end: date) -> Iterator[date]:
    """Yield the days that a rule names, from the period in which `start` is."""
    for begins, ends in _periods(rule, first, start, end):
        span = (begins + timedelta(days=offset) for offset in range((ends - begins).days))
        named = [day for day in span if _is_named(rule, day)]
        if rule.places:
            count = len(named)
            chosen = {place - 1 if place > 0 else count + place for place in rule.places}
            named = [day for at, day in enumerate(named) if at in chosen]
        yield from named


def _periods(rule: Rule, first: date, start: date, end: date) -> Iterator[tuple[date, date]]:
    """Yield first and next-after-last day of each period that the interval leaves."""
    step = rule.interval
    if rule.frequency in {"DAILY", "WEEKLY"}:
        length_days = 1 if rule.frequency == "DAILY" else 7
        if length_days > 1:
            first -= timedelta(days=(first.weekday() - rule.week_start) % 7)
        stride_days = step * length_days
        skipped = max(0, (start - first).days // stride_days)
        begins = first + timedelta(days=skipped * stride_days)
        while begins <= end:
            yield begins, begins + timedelta(days=length_days)
            begins += timedelta(days=stride_days)
        return
    length_months = 1 if rule.frequency == "MONTHLY" else 12
    month = first.year * 12 + (first.month - 1 if length_months == 1 else 0)
    stride = step * length_months
    month += max(0, (start.year * 12 + start.month - 1 - month) // stride) * stride
    while _month_start(month) <= end:
        yield _month_start(month), _month_start(month + length_months)
        month += stride


def _is_named(rule: Rule, day: date) -> bool:
    if rule.months and day.month not in rule.months:
        return False
    days_in_month = monthrange(day.year, day.month)[1]
    if rule.month_days and rule.month_days.isdisjoint({day.day, day.day - days_in_month - 1}):
        return False
    if not rule.weekdays:
        return True
    if rule.are_places_in_month:
        at, last = day.day, days_in_month
    else:
        at, last = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
    weekday = day.weekday()
    asked = {(0, weekday), ((at - 1) // 7 + 1, weekday), (-((last - at) // 7) - 1, weekday)}
    return not rule.weekdays.isdisjoint(asked)


def _parts(recurrence: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in recurrence.upper().removeprefix("RRULE:").split(";"):
        name, _, value = part.partition("=")
        pattern = _PARTS.get(name)
        if pattern is None or name in parts or not pattern.fullmatch(value):
            raise RuleError(f"`{part[:40]}` is not understood.")
        parts[name] = value
    if "FREQ" not in parts:
        raise RuleError("It has no FREQ.")
    if "COUNT" in parts and "UNTIL" in parts:
        raise RuleError("COUNT and UNTIL exclude each other.")
    return parts


def _listed(parts: Mapping[str, str], name: str) -> list[str]:
    return parts[name].split(",") if name in parts else []


def _placed(day: str) -> tuple[int, int]:
    return int(day[:-2] or 0), WEEKDAYS.index(day[-2:])


def _until(text: str) -> datetime:
    try:
        if "T" in text:
            return datetime.strptime(text, _WRITTEN)  # noqa: DTZ007  # local, as the rule is
        return datetime.combine(date.fromisoformat(text), datetime.max.time())
    except ValueError:
        raise RuleError(f"`UNTIL={text}` is no day.") from None


def _month_start(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)
