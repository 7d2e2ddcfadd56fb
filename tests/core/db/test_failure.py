"""PostgreSQL lost in any form is one error, and comes back by itself."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from core.actor import ANONYMOUS, SYSTEM
from core.db import Conflict, Pool, begin, query
from core.db.failure import translated
from core.errors import DomainError
from hub.embedded import postgres as embedded
from hub.embedded.child import free_port
from tests.fixtures.postgres import FAST, Database
from tests.fixtures.waiting import running_seconds

ONE = query(int, "SELECT 1")
SLEEP = query(int, "SELECT 1 FROM pg_sleep(30)")
ACTIVE = """
SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(30)'
"""
RECOVERY_SECONDS = 2.0


class Server:
    """A server of this test's own, to be killed."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.start()

    def start(self) -> None:
        self.process = embedded.start(self.home, self.port, options=FAST)

    @property
    def url(self) -> str:
        return self.process.url

    def backends(self) -> list[int]:
        """Return the processes that serve clients."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [
            int(pid)
            for pid in children.split()
            if b"postgres: postgres postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own")


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    running = Server(folder)
    yield running
    running.process.stop()


@pytest_asyncio.fixture
async def pool(server: Server) -> AsyncIterator[Pool]:
    opened = await Pool.open(server.url, max_size=4, connect_timeout_seconds=1.0)
    yield opened
    await opened.close()


async def ask(pool: Pool) -> int:
    async with begin(pool, ANONYMOUS) as tx:
        return await ONE.one(tx)


async def sleep(pool: Pool) -> int:
    async with begin(pool, ANONYMOUS) as tx:
        return await SLEEP.one(tx)


@contextmanager
def suppress_unavailable() -> Iterator[None]:
    try:
        yield
    except DomainError as error:
        if error.code != "service.unavailable":
            raise


async def until_recovered(pool: Pool) -> float:
    """Return the seconds until the pool answers; only the one error is seen meanwhile."""
    started = running_seconds()
    while running_seconds() - started < 10:
        with suppress_unavailable():
            await ask(pool)
            return running_seconds() - started
        await asyncio.sleep(0.02)
    pytest.fail("the pool did not recover")


async def assert_unavailable(work: Awaitable[object]) -> None:
    with pytest.raises(DomainError) as refusal:
        await work
    assert refusal.value.code == "service.unavailable"
    assert refusal.value.status == 503
    assert refusal.value.retry_after_seconds


async def busy(server: Server, count: int) -> None:
    """Return when so many queries are running."""
    async with asyncio.timeout(10):
        connection = await asyncpg.connect(server.url)
        while await connection.fetchval(ACTIVE) < count:  # noqa: ASYNC110  # another process's state
            await asyncio.sleep(0.01)
        await connection.close()


def kill_postmaster(server: Server) -> None:
    server.process.kill()


def kill_a_backend(server: Server) -> None:
    os.kill(server.backends()[0], signal.SIGKILL)


def stop_fast(server: Server) -> None:
    server.process.stop()


@pytest.mark.parametrize("crash", [kill_postmaster, kill_a_backend, stop_fast])
async def test_a_crash_during_queries_is_unavailable_and_the_pool_recovers_in_time(
    server: Server, pool: Pool, crash: Callable[[Server], None]
) -> None:
    queries = [asyncio.create_task(sleep(pool)) for _ in range(3)]
    await busy(server, 3)
    crash(server)
    for work in queries:
        await assert_unavailable(work)
    if not server.process.running:
        await assert_unavailable(ask(pool))
        server.start()
    assert await until_recovered(pool) < RECOVERY_SECONDS


async def test_idle_connections_that_the_server_cut_are_replaced(
    server: Server, pool: Pool
) -> None:
    await asyncio.gather(*(ask(pool) for _ in range(4)))
    connection = await asyncpg.connect(server.url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    )
    await connection.close()
    assert await until_recovered(pool) < RECOVERY_SECONDS


async def test_a_session_ended_inside_a_transaction_is_unavailable(
    server: Server, pool: Pool
) -> None:
    async def work() -> None:
        async with begin(pool, ANONYMOUS) as tx:
            pid = await query(int, "SELECT pg_backend_pid()").one(tx)
            other = await asyncpg.connect(server.url)
            await other.execute("SELECT pg_terminate_backend($1, 5000)", pid)
            await other.close()
            await ONE.one(tx)

    await assert_unavailable(work())
    assert await ask(pool) == 1


async def test_a_session_lost_before_its_commit_is_no_success(server: Server, pool: Pool) -> None:
    async def work() -> None:
        async with begin(pool, ANONYMOUS) as tx:
            pid = await query(int, "SELECT pg_backend_pid()").one(tx)
            other = await asyncpg.connect(server.url)
            await other.execute("SELECT pg_terminate_backend($1, 5000)", pid)
            await other.close()

    await assert_unavailable(work())
    assert await ask(pool) == 1


async def test_the_callers_own_error_survives_a_failing_rollback(
    server: Server, pool: Pool
) -> None:
    async def fail() -> None:
        async with begin(pool, ANONYMOUS) as tx:
            await ONE.one(tx)
            server.process.kill()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    server.start()
    assert await until_recovered(pool) < RECOVERY_SECONDS


async def test_a_pool_opens_without_a_server_and_works_once_there_is_one(server: Server) -> None:
    server.process.stop()
    pool = await Pool.open(server.url, connect_timeout_seconds=1.0)
    try:
        await assert_unavailable(ask(pool))
        await assert_unavailable(pool.ping())
        server.start()
        assert await until_recovered(pool) < RECOVERY_SECONDS
        await pool.ping()
    finally:
        await pool.close()


async def test_a_server_that_accepts_and_says_nothing_is_unavailable_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        pool = await Pool.open(f"postgresql://a:b@127.0.0.1:{port}/c", connect_timeout_seconds=0.3)
        started = running_seconds()
        await assert_unavailable(pool.ping())
        assert running_seconds() - started < 1.5
        await pool.close()


async def test_connections_that_are_reset_are_unavailable(server: Server) -> None:
    """A proxy that resets every connection after the first bytes of a query."""
    resets = 0

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal resets
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", server.port)

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            nonlocal resets
            while data := await source.read(65536):
                if b"pg_sleep" in data:
                    resets += 1
                    sock = writer.get_extra_info("socket")
                    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    writer.transport.abort()
                    up_writer.transport.abort()
                    return
                target.write(data)

        await asyncio.gather(
            copy(reader, up_writer), copy(up_reader, writer), return_exceptions=True
        )

    proxy = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    pool = await Pool.open(server.url.replace(f":{server.port}/", f":{port}/"), max_size=2)
    try:
        for _ in range(8):
            await assert_unavailable(sleep(pool))
            assert await ask(pool) == 1
        assert resets == 8
    finally:
        await pool.close()
        proxy.close()


async def test_a_statement_that_takes_too_long_is_ended(server: Server) -> None:
    pool = await Pool.open(server.url, statement_timeout_seconds=0.1)
    try:
        await assert_unavailable(sleep(pool))
        assert await ask(pool) == 1
    finally:
        await pool.close()


@pytest.mark.req("DBR-10")
async def test_all_connections_in_use_is_unavailable_not_an_endless_wait(server: Server) -> None:
    pool = await Pool.open(server.url, max_size=1, connect_timeout_seconds=1.5)
    try:
        async with begin(pool, ANONYMOUS) as tx:
            await ONE.one(tx)
            await assert_unavailable(ask(pool))
        assert await ask(pool) == 1
    finally:
        await pool.close()


async def test_a_closed_pool_is_unavailable(server: Server) -> None:
    pool = await Pool.open(server.url)
    await ask(pool)
    await pool.close()
    await assert_unavailable(ask(pool))


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.AdminShutdownError("bye"),
        asyncpg.CrashShutdownError("crash"),
        asyncpg.TooManyConnectionsError("full"),
        asyncpg.DiskFullError("full"),
        asyncpg.DeadlockDetectedError("deadlock"),
        asyncpg.SerializationError("again"),
        asyncpg.InvalidPasswordError("wrong"),
        asyncpg.InvalidCatalogNameError("no such database"),
        asyncpg.InternalClientError("cannot switch to state 12"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InterfaceError("the underlying connection is closed"),
        asyncpg.InterfaceError("pool is closing"),
    ],
)
def test_every_form_of_loss_has_one_name(error: Exception) -> None:
    with pytest.raises(DomainError) as refusal, translated():
        raise error
    assert refusal.value.code == "service.unavailable"


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InterfaceError("the server expects 1 argument for this query, 2 were passed"),
        asyncpg.PostgresSyntaxError("syntax error"),
        asyncpg.UndefinedColumnError("no such column"),
        ValueError("mine"),
    ],
)
def test_mistakes_of_ours_stay_visible(error: Exception) -> None:
    with pytest.raises(type(error)), translated():
        raise error


async def test_errors_carry_no_sql_and_no_values(system_pool: Pool, database: Database) -> None:
    with pytest.raises(Conflict) as conflict:
        async with begin(system_pool, SYSTEM) as tx:
            await query(
                int, "INSERT INTO users (full_name, role) VALUES ('x', $1) RETURNING 1"
            ).one(tx, "emperor")
    assert str(conflict.value) == "users_role_check"
