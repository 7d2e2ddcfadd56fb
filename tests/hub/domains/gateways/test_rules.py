"""Alerts follow from reports alone: each has its cause, and ends with it."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.edge import AdapterReport, HealthReport, ReaderReport, SpoolReport
from hub.domains.gateways import rules
from hub.domains.gateways.schemas import Condition, GatewayAlert, Watch

NOW = 1_800_000_000_000
MINUTE = 60_000
DAY = 86_400_000


def report(**given: Any) -> HealthReport:
    return HealthReport(**{"session": "s", "t": NOW, "tx_ms": NOW, "uptime_s": 60} | given)


def condition(**given: Any) -> Condition:
    standard: dict[str, Any] = {
        "status": "online",
        "last_seen_ms": NOW,
        "health": report(),
        "watch": Watch(clock_error_ms=20),
        "certificate_expires_ms": NOW + 90 * DAY,
        "rejected_recently": 0,
    }
    return Condition(**standard | given)


CAUSES: dict[GatewayAlert, dict[str, Any]] = {
    "offline": {"status": "offline", "last_seen_ms": NOW - 2 * MINUTE - 1},
    "spool_growing": {"watch": Watch(spool_rises=3)},
    "spool_old": {"health": report(spool=SpoolReport(oldest_ms=NOW - 10 * MINUTE - 1))},
    "spool_failing": {"health": report(spool=SpoolReport(failing="disk full"))},
    "taps_dropped": {"watch": Watch(dropped_at_ms=NOW - DAY + 1)},
    "taps_quarantined": {"watch": Watch(quarantined_at_ms=NOW - DAY + 1)},
    "taps_held": {"health": report(delivery_alarm="not_authorized")},
    "taps_rejected": {"rejected_recently": 1},
    "clock_wrong": {"watch": Watch(clock_error_ms=-2001)},
    "certificate_expiring": {"certificate_expires_ms": NOW + 15 * DAY - 1},
    "certificate_problem": {"health": report(certificate_problem="unavailable")},
    "adapter_down": {"health": report(adapters=(AdapterReport(adapter="hci0", problem="gone"),))},
    "reader_down": {"health": report(readers=(ReaderReport(reader="door", problem="gone"),))},
}
NO_CAUSES: list[dict[str, Any]] = [
    {},
    {"health": None, "last_seen_ms": None, "status": "offline"},
    {"status": "offline", "last_seen_ms": NOW - 2 * MINUTE},
    {"watch": Watch(spool_rises=2)},
    {"health": report(spool=SpoolReport(oldest_ms=NOW - 10 * MINUTE))},
    {"watch": Watch(dropped_at_ms=NOW - DAY, quarantined_at_ms=NOW - DAY)},
    {"watch": Watch(clock_error_ms=2000)},
    {"certificate_expires_ms": NOW + 15 * DAY},
    {"certificate_expires_ms": None},
    {"health": report(adapters=(AdapterReport(adapter="hci0", scanning=True, scan_age_ms=900),))},
    # Nobody advertises where every ring is connected.
    {"health": report(adapters=(AdapterReport(adapter="hci0", links=3, scan_age_ms=DAY),))},
]


def test_every_alert_has_a_cause_here() -> None:
    assert set(CAUSES) == set(get_args(GatewayAlert))


@pytest.mark.parametrize("alert", CAUSES)
def test_a_cause_gives_its_alert_and_no_other(alert: GatewayAlert) -> None:
    assert rules.alerts(condition(**CAUSES[alert]), NOW) == [alert]


@pytest.mark.parametrize("given", NO_CAUSES)
def test_what_is_within_its_bounds_gives_none(given: dict[str, Any]) -> None:
    assert rules.alerts(condition(**given), NOW) == []


def test_a_radio_without_links_that_hears_nothing_is_down() -> None:
    deaf = AdapterReport(adapter="hci0", scanning=True, scan_age_ms=5 * MINUTE + 1)
    assert rules.alerts(condition(health=report(adapters=(deaf,))), NOW) == ["adapter_down"]


def test_of_a_gateway_that_is_away_only_what_lasts_is_told() -> None:
    gone = {"status": "offline", "last_seen_ms": NOW - DAY}
    told = {
        alert for cause in CAUSES.values() for alert in rules.alerts(condition(**cause | gone), NOW)
    }
    lasting = {"taps_dropped", "taps_quarantined", "taps_rejected", "certificate_expiring"}
    assert told == {"offline", *lasting}


def test_a_clock_is_judged_by_live_reports_only() -> None:
    live = rules.watch(None, Watch(), report(tx_ms=NOW - 5000), NOW)
    assert live.clock_error_ms == 5000
    kept_through_an_outage = report(t=NOW - DAY, tx_ms=0)
    assert rules.watch(None, live, kept_through_an_outage, NOW).clock_error_ms == 5000


def test_losses_are_dated_when_their_count_rises_and_never_at_first_sight() -> None:
    old = report(spool=SpoolReport(dropped=7, quarantined=3))
    assert rules.watch(None, Watch(), old, NOW) == Watch(clock_error_ms=0)
    more = report(spool=SpoolReport(dropped=8, quarantined=3))
    assert rules.watch(old, Watch(), more, NOW).dropped_at_ms == NOW
    assert rules.watch(old, Watch(), more, NOW).quarantined_at_ms is None
    assert rules.watch(more, Watch(dropped_at_ms=5), more, NOW).dropped_at_ms == 5


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_a_spool_that_is_emptied_once_in_a_while_does_not_grow(pending: list[int]) -> None:
    reports = [report(spool=SpoolReport(pending=number)) for number in pending]
    known, rises = Watch(), 0
    for before, now in zip([None, *reports], reports, strict=False):
        known = rules.watch(before, known, now, NOW)
        grew = before is not None and now.spool.pending > before.spool.pending
        rises = rises + 1 if grew else 0
    assert ("spool_growing" in rules.alerts(condition(watch=known), NOW)) == (rises >= 3)
