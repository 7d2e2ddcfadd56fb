"""What the hub wants of a gateway: taken by revision, kept over restarts, refused as a whole."""

from pathlib import Path
from typing import Any

import pytest

from core.edge import Desired, GatewayConfig
from gateway.remote_config import RemoteConfig


def wish(rev: int, **desired: Any) -> Desired:
    return Desired(rev=rev, desired=desired)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def test_a_wish_is_taken_reported_and_kept_over_a_restart(path):
    remote = RemoteConfig(path)
    assert remote.take(wish(1, health_seconds=30, latitude=52.5, longitude=13.4))
    for found in (remote, RemoteConfig(path)):
        assert found.reported.rev == 1
        assert found.reported.values == GatewayConfig(
            health_seconds=30, latitude=52.5, longitude=13.4
        )
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("rev", [1, 2])
def test_an_old_or_repeated_revision_changes_nothing(path, rev):
    remote = RemoteConfig(path)
    remote.take(wish(2, health_seconds=30))
    assert not remote.take(wish(rev, health_seconds=60))
    assert remote.reported.values.health_seconds == 30


@pytest.mark.parametrize(
    ("faulty", "reason"),
    [
        ({"health_seconds": 1}, "health_seconds"),
        ({"health_seconds": 60, "color": "red"}, "color"),
        ({"connections_per_adapter": "many"}, "connections_per_adapter"),
        ({"latitude": 52.5}, "longitude"),
    ],
)
def test_a_faulty_wish_is_rejected_with_the_reason_and_the_previous_stays(path, faulty, reason):
    remote = RemoteConfig(path)
    remote.take(wish(1, health_seconds=30))
    assert remote.take(wish(2, **faulty))
    assert (remote.reported.rev, remote.reported.rejected_rev) == (1, 2)
    assert reason in remote.reported.reason
    assert remote.reported.values == GatewayConfig(health_seconds=30)
    assert not remote.take(wish(2, **faulty))
    assert remote.take(wish(3, health_seconds=40))
    assert (remote.reported.rejected_rev, remote.reported.reason) == (0, "")


def test_a_wish_that_cannot_be_kept_is_not_in_effect(tmp_path):
    remote = RemoteConfig(tmp_path / "missing" / "config.json")
    assert remote.take(wish(1, health_seconds=30))
    assert (remote.reported.rev, remote.reported.rejected_rev) == (0, 1)
    assert remote.reported.reason


@pytest.mark.parametrize("left", [b"", b"\xff", b"\xa1crevax"])
def test_a_damaged_file_begins_anew(path, left):
    path.write_bytes(left)
    assert RemoteConfig(path).reported.rev == 0
