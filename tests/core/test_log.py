"""The log is one JSON object a line and keeps no secret."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import log

PROGRAM = """
import core.log as log
log.configure({level!r}, "json")
log.request_id.set("r-1")
{body}
"""


def lines(body: str, level: str = "INFO") -> list[dict[str, object]]:
    """Run a program of its own, since the log is configured once per process."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(level=level, body=body)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stdout
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_carries_event_fields_level_time_and_request() -> None:
    (line,) = lines('log.get("core.test").info("tap_accepted", ring_id="x", count=2)')
    assert (line["event"], line["ring_id"], line["count"]) == ("tap_accepted", "x", 2)
    assert (line["level"], line["request_id"]) == ("info", "r-1")
    assert str(line["timestamp"]).endswith("Z")
    assert "core.test" in line.values()


def test_lower_levels_are_left_out() -> None:
    body = 'log.get("x").info("quiet"); log.get("x").warning("loud")'
    assert [line["event"] for line in lines(body, "WARNING")] == ["loud"]


def test_a_logger_that_was_used_before_obeys_what_is_configured_later() -> None:
    body = """
from structlog.testing import capture_logs
used = log.get("x")
used.info("before")
log.configure("INFO", "json")
with capture_logs() as captured:
    used.info("captured")
used.info("after", count=len(captured))
"""
    assert [(line["event"], line.get("count")) for line in lines(body)] == [
        ("before", None),
        ("after", 1),
    ]


def test_an_exception_stays_one_line() -> None:
    body = """
try:
    1 / 0
except ZeroDivisionError:
    log.get("x").exception("failed")
"""
    (line,) = lines(body)
    assert "ZeroDivisionError" in str(line["exception"])


@pytest.mark.req("SEC-08")
@given(
    st.sampled_from(log._SECRET_WORDS),
    st.text("abcdefgh_", max_size=5),
    st.text("abcdefgh_", max_size=5),
    st.booleans(),
)
def test_fields_that_promise_a_secret_are_redacted(
    word: str, before: str, after: str, upper: bool
) -> None:
    name = f"{before}{word.upper() if upper else word}{after}"
    fields = log.redact(None, "info", {name: "c4n4ry", "ring_id": "x", "event": "tapped"})
    assert fields == {name: "[redacted]", "ring_id": "x", "event": "tapped"}


def test_a_disk_that_takes_no_log_stops_nobody(tmp_path: Path) -> None:
    body = """
import resource
say = log.get("core.test").info
say("before")
resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
say("not_written")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
say("after")
"""
    path = tmp_path / "log"
    with path.open("wb") as file:
        program = PROGRAM.format(level="INFO", body=body)
        subprocess.run([sys.executable, "-c", program], stderr=file, check=True)
    written = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert (written[0], written[-1]) == ("before", "after")
