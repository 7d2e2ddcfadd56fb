"""Meetings as Google and Outlook write them, each as often as it has been."""

from datetime import timedelta

import pytest

from hub.domains.imports.formats import calendar
from hub.domains.imports.formats.found import FoundInteraction, RowProblem
from tests.hub.domains.imports.formats.reading import NOW, read, talks

SERIES = """BEGIN:VCALENDAR
PRODID:-//Google Inc//Google Calendar 70.9054//EN
VERSION:2.0
BEGIN:VEVENT
DTSTART;TZID="W. Europe Standard Time":20261001T090000
DTEND;TZID="W. Europe Standard Time":20261001T093000
RRULE:FREQ=WEEKLY;WKST=SU;UNTIL=20261112T225959Z;BYDAY=TH
EXDATE;TZID="W. Europe Standard Time":20261008T090000,20261015T090000
ATTENDEE;PARTSTAT=ACCEPTED;CN=Ada;X-NUM-GUESTS=0:mailto:ada@example.com
ATTENDEE;PARTSTAT=DECLINED:mailto:no@example.com
UID:abc@google.com
SUMMARY:Every Thursday
END:VEVENT
BEGIN:VEVENT
DTSTART:20261023T080000Z
DTEND:20261023T083000Z
RECURRENCE-ID;TZID="W. Europe Standard Time":20261022T090000
ATTENDEE:mailto:ada@example.com
UID:abc@google.com
SUMMARY:On Friday
END:VEVENT
BEGIN:VEVENT
DTSTART:20261029T080000Z
RECURRENCE-ID;TZID="W. Europe Standard Time":20261029T090000
STATUS:CANCELLED
ATTENDEE:mailto:ada@example.com
UID:abc@google.com
END:VEVENT
END:VCALENDAR
"""


def event(*lines: str) -> bytes:
    text = ("BEGIN:VCALENDAR", "BEGIN:VEVENT", "ATTENDEE:mailto:a@b.c", *lines, "END:VEVENT")
    return "\n".join(text).encode()


@pytest.mark.req("CON-01")
def test_series_is_as_many_meetings_as_have_been() -> None:
    found = talks("calendar", SERIES.encode())
    assert [(item.occurred_at.isoformat(), item.subject) for item in found] == [
        ("2026-10-01T07:00:00+00:00", "Every Thursday"),
        ("2026-11-05T08:00:00+00:00", "Every Thursday"),
        ("2026-11-12T08:00:00+00:00", "Every Thursday"),
        ("2026-10-23T08:00:00+00:00", "On Friday"),
    ]
    assert {item.duration_seconds for item in found} == {1800}
    assert {who.address for item in found for who in item.participants} == {"ada@example.com"}


def test_moved_meeting_is_the_one_that_it_was() -> None:
    whole = talks("calendar", SERIES.encode())
    alone = talks("calendar", SERIES.replace("RECURRENCE-ID;TZID", "X-NOT;TZID").encode())
    unmoved = {item.occurred_at: item.native_id for item in alone}
    moved = next(item for item in whole if item.subject == "On Friday")
    assert moved.native_id == unmoved[moved.occurred_at - timedelta(days=1, hours=1)]


def test_series_without_end_has_its_first_meeting_and_those_of_two_years() -> None:
    found = talks("calendar", event("UID:1", "DTSTART:20100104T090000Z", "RRULE:FREQ=DAILY"))
    first, *others = [item.occurred_at for item in found]
    assert first.year == 2010
    assert len(others) == calendar.SERIES_BACK.days
    assert NOW - calendar.SERIES_BACK <= min(others) <= max(others) <= NOW
    assert len({item.native_id for item in found}) == len(found)


@pytest.mark.parametrize("rule", ["FREQ=SECONDLY", "FREQ=DAILY;BYHOUR=1", "NONSENSE", ""])
def test_of_a_rule_that_cannot_be_followed_the_first_meeting_is_taken(rule: str) -> None:
    reading = read("calendar", event("DTSTART:20260104T090000Z", f"RRULE:{rule}"))
    assert len(list(reading.entries)) == 1
    assert reading.remarks == {"series_once"}


def test_rules_that_search_for_days_are_not_followed_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calendar, "SERIES_MAX", 2)

    def searching(rule: str) -> bytes:
        return event("DTSTART:19700101T090000Z", f"RRULE:{rule};BYMONTH=2;BYMONTHDAY=30")

    one, counted = searching("FREQ=DAILY"), searching("FREQ=DAILY;COUNT=9")
    for data, is_followed in (
        (one, True),
        (one + b"\n" + one + b"\n" + one, False),
        (counted, False),
    ):
        reading = read("calendar", data)
        assert len(list(reading.entries)) == data.count(b"RRULE")
        assert ("series_once" not in reading.remarks) == is_followed


def test_whole_days_say_nothing_of_time_together() -> None:
    data = event("DTSTART;VALUE=DATE:20261101", "DTEND;VALUE=DATE:20261102", "UID:day")
    [found] = talks("calendar", data)
    assert (found.occurred_at.isoformat(), found.duration_seconds) == (
        "2026-11-01T00:00:00+00:00",
        None,
    )


def test_cancelled_meeting_was_with_nobody() -> None:
    [entry] = read("calendar", event("DTSTART:20260104T090000Z", "STATUS:CANCELLED")).entries
    assert entry.problems == (RowProblem("no_participant", "STATUS"),)


@pytest.mark.parametrize(
    ("name", "hour"),
    [
        ("Europe/Berlin", 11),
        ("W. Europe Standard Time", 11),
        ("/freeassociation.sourceforge.net/Europe/Berlin", 11),
        ("Pacific Standard Time", 20),
        ("Customized Zone", None),
        ("../../etc/passwd", None),
    ],
)
def test_zones_are_known_by_the_names_that_programs_have_for_them(
    name: str, hour: int | None
) -> None:
    reading = read("calendar", event(f'DTSTART;TZID="{name}":20260104T120000'))
    [entry] = reading.entries
    assert isinstance(entry.found, FoundInteraction)
    assert entry.found.occurred_at.hour == (12 if hour is None else hour)
    assert ("time_zone_unknown" in reading.remarks) == (hour is None)
