"""Reads that may be old go to a standby that keeps up, else to the primary; nobody notices."""

import pytest

from core import clock
from core.actor import ANONYMOUS
from core.db import Pool, Replica, begin, query, replica
from core.db.replica import replica_address
from core.errors import ConfigError
from tests.fixtures.postgres import Database

WHERE = query(str, "SELECT current_setting('application_name')")
LAG = query(float, replica._LAG)


async def opened(database: Database, standby_url: str, **settings: float) -> Replica:
    """Return a replica beside a primary whose connections say which they are."""
    primary = await Pool.open(database.api_url + "?application_name=primary")
    standby = await Pool.open(standby_url) if standby_url else None
    return Replica(primary, standby, settings.get("max_lag_seconds", 10.0))


async def closed(found: Replica) -> None:
    await found.close()
    await found._primary.close()


async def answered_by(found: Replica) -> str:
    async with found.begin(ANONYMOUS) as tx:
        return await WHERE.one(tx)


def standby(database: Database) -> str:
    return database.api_url + "?application_name=standby"


async def test_a_standby_that_keeps_up_answers(database: Database) -> None:
    found = await opened(database, standby(database))
    assert await answered_by(found) == "standby"
    await closed(found)


async def test_without_one_the_primary_answers(database: Database) -> None:
    found = await opened(database, "")
    assert await answered_by(found) == "primary"
    await closed(found)


async def test_one_that_is_away_is_spared_and_asked_again_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(clock, "monotonic_seconds", lambda: now)
    found = await opened(database, "postgresql://ping_api@127.0.0.1:1/away")
    assert [await answered_by(found) for _ in range(2)] == ["primary", "primary"]
    found._standby = await Pool.open(standby(database))
    assert await answered_by(found) == "primary"
    now += 6
    assert await answered_by(found) == "standby"
    await closed(found)


async def test_one_that_goes_between_two_looks_fails_no_request(database: Database) -> None:
    found = await opened(database, standby(database))
    assert await answered_by(found) == "standby"
    await found.close()
    assert await answered_by(found) == "primary"
    await closed(found)


async def test_one_that_is_late_is_spared(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "_LAG", "SELECT 11::float8")
    found = await opened(database, standby(database))
    assert await answered_by(found) == "primary"
    await closed(found)


async def test_a_server_that_is_no_standby_is_not_late(api_pool: Pool) -> None:
    async with begin(api_pool, ANONYMOUS) as tx:
        assert await LAG.one(tx) == 0


async def test_its_transactions_change_nothing(database: Database) -> None:
    rename = query(str, "SELECT current_setting('transaction_read_only')")
    found = await opened(database, standby(database))
    async with found.begin(ANONYMOUS) as tx:
        assert await rename.one(tx) == "on"
    await closed(found)


def test_each_process_uses_its_own_login() -> None:
    address = replica_address("postgresql://replica:5433/pinghub?ssl=on", "postgresql://a:b%2F@h/d")
    assert address == "postgresql://a:b%2F@replica:5433/pinghub?ssl=on"
    with pytest.raises(ConfigError, match="without a login"):
        replica_address("postgresql://a:b@replica/pinghub", "postgresql://a:b@h/d")
