"""The embedded Redis: password, loopback, durability, and what a killed supervisor leaves."""

import contextlib
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from core.errors import ConfigError
from hub.embedded import redis
from tests.fixtures.ports import free_port
from tests.fixtures.redis import RestartableRedis
from tests.fixtures.waiting import wait_until

Start = Callable[[], RestartableRedis]


def test_a_write_survives_sigkill_and_restart(start_redis: Start):
    server = start_redis()
    with Redis.from_url(server.url) as client:
        client.set("kept", "yes")
    server.kill()
    server.restart()
    with Redis.from_url(server.url) as client:
        assert client.get("kept") == b"yes"
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}


def test_a_client_without_the_password_is_refused(start_redis: Start):
    server = start_redis()
    with (
        Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(AuthenticationError),
    ):
        stranger.ping()


def test_the_password_is_readable_by_its_owner_only(start_redis: Start):
    server = start_redis()
    folder = server.home / "redis"
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "redis.conf").stat().st_mode & 0o077 == 0
    command_line = Path(f"/proc/{server.child.pid}/cmdline").read_bytes()
    password = (folder / "password").read_text()
    assert password.encode() not in command_line


def test_a_port_in_use_is_one_line_that_names_it(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} for Redis is in use: stop"):
            redis.start(tmp_path, port)


def test_the_server_dies_with_a_killed_supervisor(tmp_path: Path):
    port = free_port()
    supervisor = _supervise(tmp_path, port)
    assert supervisor.stdout is not None
    server_pid = int(supervisor.stdout.readline())
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not _alive(server_pid), "the server to follow its supervisor")


def test_a_server_that_outlived_its_supervisor_is_replaced_at_the_next_start(
    tmp_path: Path, start_redis: Start
):
    survivor = start_redis()
    pid = survivor.child.pid
    # A second start on the same folder while the first still runs is what the next `up` would do.
    second = redis.start(survivor.home, survivor.port)
    try:
        assert second.pid != pid
        assert not survivor.child.running
        with Redis.from_url(second.url) as client:
            assert client.ping()
    finally:
        second.stop()


def test_a_machine_without_redis_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(redis, "_FURTHER_FOLDERS", ())
    monkeypatch.setattr(redis, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"Redis is missing: install redis-server .* REDIS_URL"):
        redis.find_program()


def test_the_wheels_redis_serves_where_the_machine_has_none(
    monkeypatch: pytest.MonkeyPatch, start_redis: Start
):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(redis, "_FURTHER_FOLDERS", ())
    server = start_redis()
    with Redis.from_url(server.url) as client:
        assert client.info()["redis_version"].startswith("6.2")


def _supervise(home: Path, port: int) -> subprocess.Popen[str]:
    program = f"""
        import time
        from pathlib import Path
        from hub.embedded import redis
        print(redis.start(Path({str(home)!r}), {port}).pid, flush=True)
        time.sleep(600)
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    )


def _alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
