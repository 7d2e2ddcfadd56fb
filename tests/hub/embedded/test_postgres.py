"""The embedded PostgreSQL: fenced, durable, and never left behind."""

import asyncio
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from core.errors import ConfigError
from hub.embedded import postgres
from hub.embedded.child import Service, free_port, stop_stale
from tests.fixtures.postgres import FAST
from tests.fixtures.waiting import wait_until

SUPERVISOR = """
import sys, time
from pathlib import Path
from hub.embedded import postgres
server = postgres.start(Path(sys.argv[1]), int(sys.argv[2]))
print(server.pid, flush=True)
time.sleep(60)
"""


def run(url: str, work: Callable[[asyncpg.Connection], object]) -> object:
    async def connected() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(connected())


def alive(pid: int) -> bool:
    """A zombie, which nobody has waited for yet, is not."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "State:\tZ" not in status


def supervised(home: Path, port: int) -> tuple[subprocess.Popen[str], int]:
    """Start a server under a supervisor of its own; return both."""
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(home), str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert supervisor.stdout is not None
    return supervisor, int(supervisor.stdout.readline())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def server(home: Path):
    running = postgres.start(home, free_port(), options=FAST)
    yield running
    if running.running:
        running.stop()


def test_acknowledged_rows_survive_a_crash(home: Path, server: Service) -> None:
    run(server.url, lambda c: c.execute("CREATE TABLE IF NOT EXISTS kept (id int)"))
    run(server.url, lambda c: c.execute("INSERT INTO kept VALUES (1)"))
    server.kill()
    again = postgres.start(home, free_port(), options=FAST)
    try:
        assert run(again.url, lambda c: c.fetchval("SELECT count(*) FROM kept")) == 1
    finally:
        again.stop()
    assert not alive(again.pid)


def test_only_loopback_and_only_with_the_password(server: Service) -> None:
    listening = run(server.url, lambda c: c.fetchval("SHOW listen_addresses"))
    sockets = run(server.url, lambda c: c.fetchval("SHOW unix_socket_directories"))
    methods = run(server.url, lambda c: c.fetch("SELECT auth_method FROM pg_hba_file_rules"))
    assert (listening, sockets) == ("127.0.0.1", "")
    assert {row["auth_method"] for row in methods} == {"scram-sha-256"}
    wrong = re.sub(r":[^:@]+@", ":wrong@", server.url)
    with pytest.raises(asyncpg.InvalidPasswordError):
        run(wrong, lambda c: c.fetchval("SELECT 1"))


def test_the_password_is_on_no_command_line_and_in_no_readable_file(
    home: Path, server: Service
) -> None:
    password_file = home / "postgres" / "superuser.password"
    password = password_file.read_text()
    assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "postgres" / "data").stat().st_mode) == 0o700
    assert password not in Path(f"/proc/{server.pid}/cmdline").read_text()
    assert password not in server.log_path.read_text()


def test_nothing_outside_of_the_home_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o711)
    monkeypatch.chdir(outside)
    server = postgres.start(outside / "home", free_port(), options=FAST)
    server.stop()
    assert stat.S_IMODE(outside.stat().st_mode) == 0o711
    assert [path.name for path in outside.iterdir()] == ["home"]


def test_a_server_of_a_killed_supervisor_dies_with_it(home: Path) -> None:
    supervisor, pid = supervised(home, free_port())
    assert alive(pid)
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not alive(pid), "the server to follow its supervisor")


def test_a_server_that_outlived_its_supervisor_is_stopped_at_the_next_start(home: Path) -> None:
    port = free_port()
    stale = postgres.start(home, port, options=FAST)
    fresh = postgres.start(home, port, options=FAST)
    try:
        assert not stale.running
        assert run(fresh.url, lambda c: c.fetchval("SELECT 1")) == 1
    finally:
        fresh.stop()


def test_a_recycled_pid_of_another_program_is_left_alone(home: Path, server: Service) -> None:
    server.kill()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        pid_file = home / "postgres" / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        assert not stop_stale(pid_file, postgres.STOP_SIGNALS)
        assert stranger.poll() is None
        pid_file.write_text("\n".join(lines) + "\n")
    finally:
        stranger.kill()
        stranger.wait()


def test_the_server_does_not_run_as_root_in_its_own_eyes(server: Service) -> None:
    identity = Path(f"/proc/{server.pid}/uid_map").read_text().split()
    if os.geteuid() == 0:
        assert identity == ["65534", "0", "1"]
    else:
        assert identity[0] == "0"


def test_a_signal_to_our_own_group_does_not_reach_the_server(server: Service) -> None:
    assert os.getpgid(server.pid) == server.pid
    assert os.getsid(server.pid) == os.getsid(0)


def test_a_port_in_use_is_one_line_that_names_it(home: Path, server: Service) -> None:
    other_home = home.parent / f"{home.name}-other"
    port = int(server.url.rsplit(":", 1)[1].split("/")[0])
    with pytest.raises(ConfigError) as refusal:
        postgres.start(other_home, port, options=FAST)
    assert str(port) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_server_that_ends_at_once_says_why(home: Path, server: Service) -> None:
    server.stop()
    with pytest.raises(ConfigError, match=r"did not start .*: unrecognized .*\"nonsense\" \("):
        postgres.start(home, free_port(), options=("nonsense=1",))


def test_a_missing_wheel_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="make install"):
        postgres.binary("postgres")


def test_a_first_start_that_was_interrupted_is_done_again(tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres" / "data.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server = postgres.start(tmp_path, free_port(), options=FAST)
    server.stop()
    assert not unfinished.exists()


def test_stop_ends_open_sessions(server: Service) -> None:
    async def with_open_session() -> None:
        connection = await asyncpg.connect(server.url)
        await connection.execute("BEGIN")
        await asyncio.to_thread(server.stop)
        connection.terminate()

    asyncio.run(with_open_session())
    assert not server.running


def test_the_extension_for_vectors_is_there(server: Service) -> None:
    names = run(server.url, lambda c: c.fetch("SELECT name FROM pg_available_extensions"))
    assert {"vector", "plpgsql"} <= {row["name"] for row in names}
    version = run(server.url, lambda c: c.fetchval("SHOW server_version_num"))
    assert int(version) >= 180_000
