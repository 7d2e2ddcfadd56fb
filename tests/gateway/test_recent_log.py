"""Log lines that leave the machine: few, short, without secrets."""

import structlog

from core import log
from gateway import recent_log
from gateway.recent_log import LINE_CHARS, LINES_MAX, TOTAL_CHARS, RecentLog


def test_the_latest_lines_come_in_order_and_no_more_than_asked_for():
    recent = RecentLog()
    for number in range(LINES_MAX + 50):
        recent.add({"timestamp": "t", "level": "info", "event": "done", "number": number})
    assert recent.lines(2) == ["t info done number=248", "t info done number=249"]
    assert len(recent.lines(1000)) == LINES_MAX


def test_lines_are_bounded_one_by_one_and_in_all():
    recent = RecentLog()
    for _ in range(LINES_MAX):
        recent.add({"event": "x" * 5000})
    found = recent.lines(LINES_MAX)
    assert max(map(len, found)) == LINE_CHARS
    assert TOTAL_CHARS - LINE_CHARS < sum(map(len, found)) <= TOTAL_CHARS


def test_logins_keys_and_addresses_are_not_in_them():
    recent = RecentLog()
    recent.add({"event": "e", "url": "mqtts://gw-1:hunter2@host:8883", "raw": "ab" * 20})
    recent.add({"event": "e", "who": "ann@example.org", "exception": "Traceback"})
    text = "\n".join(recent.lines(10))
    for word in ("hunter2", "abab", "ann@", "Traceback"):
        assert word not in text
    assert "host:8883" in text


def test_what_the_process_logs_is_kept():
    before = structlog.get_config()
    try:
        recent = recent_log.record()
        log.get("gateway.test").warning("thing_happened", count=3)
        (line,) = recent.lines(10)
        assert "thing_happened" in line
        assert "count=3" in line
    finally:
        structlog.configure(**before)
