"""The whole system as processes: it starts, survives the death of each part, stops in time."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from core import config
from core.errors import ConfigError
from hub.embedded import postgres
from hub.embedded.child import free_port
from hub.processes import leftovers
from hub.processes.system import SERVICES, own_settings, require_logins, require_platform
from hub.processes.watch import demo_users, get, sign_in
from tests.fixtures.mqtt import RestartableMqtt
from tests.fixtures.redis import RestartableRedis
from tests.fixtures.stack import PROCESSES, Stack
from tests.fixtures.waiting import wait_until


def readyz(stack: Stack) -> int:
    try:
        with urllib.request.urlopen(f"{stack.url}/readyz", timeout=5) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_comes_back_and_the_hub_is_ready_again(stack: Stack, name: str):
    before = stack.pid(name)
    stack.kill(name)
    assert not stack.running(name)
    stack.start(name)
    assert stack.pid(name) != before
    wait_until(lambda: readyz(stack) == 200, "the hub to be ready", seconds=15)


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_the_hub_says_within_two_seconds_that_an_engine_is_away(stack: Stack, name: str):
    wait_until(lambda: readyz(stack) == 200, "the hub to be ready")
    stack.kill(name)
    wait_until(lambda: readyz(stack) == 503, f"the hub to miss {name}", seconds=2)
    stack.start(name)
    wait_until(lambda: readyz(stack) == 200, "the hub to be ready", seconds=15)


def test_a_press_of_a_virtual_ring_is_counted(stack: Stack):
    ring = stack.rings[0]["device_id"]
    boot, seq = stack.press(ring)
    assert stack.press(ring) == (boot, seq + 1)


def test_named_services_are_used_and_outlive_a_system_that_stops_though_a_child_is_frozen(
    start_stack: Callable[..., Stack],
    start_redis: Callable[[], RestartableRedis],
    start_mqtt: Callable[[], RestartableMqtt],
    tmp_path: Path,
):
    database = postgres.start(tmp_path / "external", free_port())
    try:
        stack = start_stack(
            tap_every_seconds=0.2,
            settings={
                "DATABASE_SUPERUSER_URL": database.url,
                "REDIS_URL": start_redis().url,
                "MQTT_URL": start_mqtt().url,
            },
        )
        assert not any((stack.home / name / "server.log").exists() for name in SERVICES)
        assert readyz(stack) == 200
        boot, seq = stack.press(stack.rings[0]["device_id"])
        wait_until(lambda: (boot, seq) in taps(stack), "the tap in the list", seconds=15)

        stack.pause("relay")
        started_at = time.monotonic()
        stack.stop_all()
        assert time.monotonic() - started_at < 10
        assert leftovers.find(stack.home) == []
        assert not any(stack.running(name) for name in PROCESSES if name not in SERVICES)
        assert database.running
    finally:
        database.stop()


def test_what_an_earlier_start_has_generated_is_not_taken_for_the_operators_wish(tmp_path: Path):
    (tmp_path / "embedded.toml").write_text("[server]\nport = 1234\n[redis]\nurl = 'redis://x'\n")
    own = own_settings(tmp_path, {"PINGHUB_CONFIG": str(tmp_path / "pinghub.toml")})
    assert own.server.port == 8000
    assert own.redis.url == ""
    (tmp_path / "pinghub.toml").write_text("[server]\nport = 4321\n")
    own = own_settings(tmp_path, {"PINGHUB_CONFIG": str(tmp_path / "pinghub.toml")})
    assert own.server.port == 4321


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("linux", "aarch64")])
def test_where_services_cannot_be_embedded_their_names_and_settings_are_told(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str
):
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(ConfigError) as refusal:
        require_platform(("postgres", "mqtt"))
    assert "DATABASE_SUPERUSER_URL" in str(refusal.value)
    assert "MQTT_URL" in str(refusal.value)
    assert "REDIS_URL" not in str(refusal.value)
    require_platform(())


def test_a_server_of_ones_own_needs_its_other_logins_before_anything_starts():
    with pytest.raises(ConfigError) as refusal:
        require_logins(config.Database(url="postgresql://a:b@h/d", owner_url="postgresql://o@h/d"))
    assert "DATABASE_SYSTEM_URL" in str(refusal.value)
    assert "DATABASE_OWNER_URL" not in str(refusal.value)
    require_logins(config.Database(superuser_url="postgresql://s@h/d"))
    require_logins(config.Database())


def taps(stack: Stack) -> set[tuple[int, int]]:
    """Return boot and seq of the first demo user's latest taps."""
    user = demo_users(stack.url)[0]
    page = get(f"{stack.url}/v1/rings/taps", sign_in(stack.url, user.id))
    return {(tap["boot"], tap["seq"]) for tap in page["items"]}
