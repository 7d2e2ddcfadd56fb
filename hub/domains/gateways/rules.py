"""What of a gateway's reports its owner must be told, and what a gateway is told. Pure."""

from typing import Final

import msgspec

from core import edge
from core.edge import AdapterReport, Desired, HealthReport
from hub.domains.gateways.schemas import Answer, Condition, GatewayAlert, Watch, Wish

OFFLINE_MS: Final = 2 * 60_000
SPOOL_OLD_MS: Final = 10 * 60_000
SPOOL_RISES: Final = 3
"""One burst makes one report higher than the last; three in a row are a backlog."""
CLOCK_ERROR_MS: Final = 2_000
CERTIFICATE_MS: Final = 15 * 86_400_000
LOSS_SHOWN_MS: Final = 86_400_000
"""A loss is over when it happened, so it is shown for a day."""
SCAN_SILENT_MS: Final = 300_000
"""By then the gateway has begun the scan anew and power-cycled the adapter."""


def watch(
    before: HealthReport | None, known: Watch, report: HealthReport, received_ms: int
) -> Watch:
    """Return what is known after one more report; `before` is the one before it."""
    had = before.spool if before is not None else None
    now = report.spool
    grew = had is not None and now.pending > had.pending
    return Watch(
        # A report that was kept during an outage says nothing of the clock.
        clock_error_ms=received_ms - report.tx_ms if report.tx_ms else known.clock_error_ms,
        spool_rises=known.spool_rises + 1 if grew else 0,
        dropped_at_ms=received_ms
        if had is not None and now.dropped > had.dropped
        else known.dropped_at_ms,
        quarantined_at_ms=received_ms
        if had is not None and now.quarantined > had.quarantined
        else known.quarantined_at_ms,
    )


def alerts(condition: Condition, now_ms: int) -> list[GatewayAlert]:
    """Return what an owner should look at, the most urgent first."""
    found: list[GatewayAlert] = []
    if condition.status == "offline":
        if condition.last_seen_ms is not None and now_ms - condition.last_seen_ms > OFFLINE_MS:
            found.append("offline")
    elif condition.health is not None:
        found += _of_health(condition.health, condition.watch)
    found += _of_the_past(condition.watch, now_ms)
    if condition.rejected_recently:
        found.append("taps_rejected")
    ends_ms = condition.certificate_expires_ms
    if ends_ms is not None and ends_ms - now_ms < CERTIFICATE_MS:
        found.append("certificate_expiring")
    return found


def _of_health(report: HealthReport, known: Watch) -> list[GatewayAlert]:
    """Return what only a gateway that is there can suffer from."""
    found: list[GatewayAlert] = []
    spool = report.spool
    if spool.failing:
        found.append("spool_failing")
    if report.delivery_alarm:
        found.append("taps_held")
    if known.spool_rises >= SPOOL_RISES:
        found.append("spool_growing")
    # By the gateway's own clock on both sides: another one's error would be an age.
    if spool.oldest_ms is not None and report.t - spool.oldest_ms > SPOOL_OLD_MS:
        found.append("spool_old")
    if known.clock_error_ms is not None and abs(known.clock_error_ms) > CLOCK_ERROR_MS:
        found.append("clock_wrong")
    if report.certificate_problem:
        found.append("certificate_problem")
    if any(_is_down(adapter) for adapter in report.adapters):
        found.append("adapter_down")
    if any(item.problem and not item.up for item in report.readers):
        found.append("reader_down")
    return found


def _is_down(adapter: AdapterReport) -> bool:
    # Connected rings do not advertise; a link proves the radio where nothing else is heard.
    is_deaf = adapter.links == 0 and (adapter.scan_age_ms or 0) > SCAN_SILENT_MS
    return is_deaf or bool(adapter.problem and not adapter.scanning)


def _of_the_past(known: Watch, now_ms: int) -> list[GatewayAlert]:
    found: list[GatewayAlert] = []
    if known.dropped_at_ms is not None and now_ms - known.dropped_at_ms < LOSS_SHOWN_MS:
        found.append("taps_dropped")
    if known.quarantined_at_ms is not None and now_ms - known.quarantined_at_ms < LOSS_SHOWN_MS:
        found.append("taps_quarantined")
    return found


def config_message(wish: Wish) -> Answer | None:
    """Return the message that tells a gateway what the hub wants of it."""
    try:
        desired = msgspec.convert(
            {"rev": wish.rev, "desired": msgspec.json.decode(wish.config)}, Desired
        )
    except msgspec.ValidationError:
        return None  # the column holds no object: nothing that a gateway could be told
    return Answer(edge.config_topic(wish.gateway_id), edge.encode(desired))
