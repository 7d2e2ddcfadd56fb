"""Thousands of phones come back at once to the whole product: nobody asks the database."""

from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from core.db.bootstrap import at_database
from hub.embedded.generated import DATABASE_NAME
from hub.http.tokens import load_keys
from tests.bench.realtime import machine
from tests.bench.realtime.arena import settle
from tests.bench.realtime.load import Load, Plan, compiled, write_plan
from tests.fixtures.stack import Stack

PHONES = 5_000
_PARALLEL = 500
# The load generator fills in a connection's number.
_USER = "00000000-0000-7000-8000-00000{}"
_CONNECT = '{"id":1,"connect":{"token":"$t"'
_POSITION = '{"recover":true,"epoch":"$e","offset":$o}'
_RECOVER = f',"subs":{{"taps:{_USER.format("$n")}":{_POSITION}}}'


@pytest.mark.bench
async def test_a_storm_of_reconnects_asks_the_database_nothing(
    measured: Stack, tmp_path: Path
) -> None:
    keys = load_keys(measured.settings.auth)
    users = [UUID(_USER.format(f"{number:07}")) for number in range(PHONES)]
    plan = Plan(
        request="/connection/websocket",
        dialog=[("send", _CONNECT + "}}"), ("wait", '"taps:')],
        again=[("send", _CONNECT + _RECOVER + "}}"), ("wait", '"recovered":true')],
        ping="{}",
        pong="{}",
        publication=b"PING\r\n",
    )
    machine.allow_files(2 * PHONES)
    path = write_plan(
        plan,
        tmp_path,
        server_port=measured.system.ports.hub,
        redis_port=measured.system.ports.redis,
        channels=1,
        tokens=[keys.issue(user, user, "user") for user in users],
    )
    database = await asyncpg.connect(
        at_database(measured.settings.database.superuser_url, DATABASE_NAME)
    )
    with Load("serve", compiled("load", tmp_path), path, machine.LOAD_CORE) as load:
        connected = load.ask(f"open {PHONES} {_PARALLEL}")
        settle()
        before = await _last_query(database)
        storm = load.ask(f"drop {PHONES} {_PARALLEL}")
        after = await _last_query(database)
    await database.close()
    print(
        f"\n{PHONES:,} connect in {connected['seconds']:.1f} s, again in {storm['seconds']:.1f} s"
    )
    assert before is not None
    assert before == after


async def _last_query(database: asyncpg.Connection) -> object:
    """Return when a process that serves requests last asked anything."""
    return await database.fetchval(
        "SELECT max(query_start) FROM pg_stat_activity WHERE usename = 'ping_api'"
    )
