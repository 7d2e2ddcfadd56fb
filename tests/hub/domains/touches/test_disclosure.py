"""A half tells nobody anything: every row, event, channel and answer that either side can see."""

from typing import Any

import asyncpg
import pytest

from core import clock
from core.actor import SYSTEM
from core.db import begin
from hub.domains.touches import service
from hub.realtime.tokens.claims import ConnectClaims
from hub.wiring.channels import authorizer
from tests.fixtures.app import User
from tests.fixtures.postgres import Database
from tests.fixtures.touching import Meetings, Wearer

Worn = tuple[Wearer, Wearer]
PATHS = (
    "/v1/touches",
    "/v1/friends",
    "/v1/blocks",
    "/v1/rings",
    "/v1/rings/taps",
    "/v1/conversations",
    "/v1/me",
    "/v1/me/card",
)


async def visible_rows(database: Database, login: str, user: User) -> str:
    """Return everything that a login shows in a user's name, of every table and column."""
    superuser = await asyncpg.connect(database.superuser_url)
    tables = await superuser.fetch(
        """SELECT attrelid::regclass::text AS name, array_agg(attname::text) AS columns
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relkind IN ('r', 'p') AND NOT relispartition AND attnum > 0 AND NOT attisdropped
        AND relnamespace = 'public'::regnamespace
        AND has_column_privilege($1, attrelid, attnum, 'SELECT')
        GROUP BY attrelid""",
        f"ping_{login}",
    )
    await superuser.close()
    assert {"touches", "ring_taps", "events", "profiles"} <= {row["name"] for row in tables}
    # One statement, as text: bytes are shown in hex, which is how traces of them are looked for.
    everything = " UNION ALL ".join(
        f"SELECT '{table['name']} ' || to_jsonb(shown)::text FROM"
        f" (SELECT {', '.join(map(quoted, table['columns']))} FROM {table['name']}) AS shown"
        for table in tables
    )
    connection = await asyncpg.connect(getattr(database, f"{login}_url"))
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.user_id', $1, true)", str(user.id))
            rows = await connection.fetch(everything)
    finally:
        await connection.close()
    return "\n".join(row[0] for row in rows)


def quoted(name: str) -> str:
    return f'"{name}"'


async def answers(user: User, touches: list[dict[str, Any]]) -> str:
    """Return every answer of REST that could tell of the other."""
    paths = [*PATHS, *(f"/v1/touches/{touch['id']}" for touch in touches)]
    paths += [f"/v1/touches/{touch['id']}/card" for touch in touches]
    return "\n".join([(await user.client.get(path)).text for path in paths])


def traces(wearer: Wearer) -> list[str]:
    """Return by what a person could be recognised."""
    return [
        str(wearer.user.id),
        wearer.user.id.hex,
        wearer.user.full_name,
        str(wearer.ring_id),
        str(wearer.gateway_id),
        wearer.device_id.hex(),
    ]


async def everything(meetings: Meetings, database: Database, wearer: Wearer) -> str:
    touches = await meetings.touches(wearer.user)
    seen = [await answers(wearer.user, touches)]
    seen += [await visible_rows(database, login, wearer.user) for login in ("api", "worker")]
    published = await meetings.admin.fetch(
        "SELECT payload::text, actor_id::text FROM events WHERE user_id = $1", wearer.user.id
    )
    return "\n".join([*seen, *(str(dict(row)) for row in published)])


def assert_strangers(seen: str, other: Wearer) -> None:
    for trace in traces(other):
        assert trace not in seen


@pytest.mark.req("RNG-04")
@pytest.mark.parametrize("setting", ["always", "ask"])
async def test_a_half_tells_neither_side_of_the_other(
    meetings: Meetings, database: Database, worn: Worn, setting: str
) -> None:
    ada, grace = worn
    for wearer in worn:
        await meetings.share(wearer.user, setting)
    mine, _ = meetings.touch(ada, grace)
    await meetings.meet(mine)
    for _ in range(2):  # before and after the other was asked
        assert_strangers(await everything(meetings, database, ada), grace)
        assert_strangers(await everything(meetings, database, grace), ada)
        await meetings.admin.execute("UPDATE touches SET created_at = now() - interval '1 minute'")
        async with begin(meetings.hub.resources.system, SYSTEM) as tx:
            await service.ask_owners(tx, meetings.hub.resources.cipher)
    assert await meetings.told(grace.user) == ["touch.asked"]


async def test_who_asks_cannot_tell_whether_anybody_was_asked(
    meetings: Meetings, database: Database, worn: Worn
) -> None:
    ada, grace = worn
    await meetings.meet(meetings.sign(ada, peer_eid=grace.shows(clock.unix_ms()), peer_ctr=5))
    [before] = await meetings.touches(ada.user)
    await meetings.admin.execute("UPDATE touches SET created_at = created_at - interval '1 minute'")
    async with begin(meetings.hub.resources.system, SYSTEM) as tx:
        await service.ask_owners(tx, meetings.hub.resources.cipher)
    [after] = await meetings.touches(ada.user)
    assert before | {"created_at": ""} == after | {"created_at": ""}
    [asked] = await meetings.touches(grace.user)
    await grace.user.client.post(f"/v1/touches/{asked['id']}/decline")
    assert (await meetings.touches(ada.user)) == [after]
    assert_strangers(await everything(meetings, database, ada), grace)


@pytest.mark.parametrize("answers_of", [(), (0,), (1,)])
async def test_a_mutual_touch_tells_nothing_before_both_have_agreed(
    meetings: Meetings, database: Database, worn: Worn, answers_of: tuple[int, ...]
) -> None:
    await meetings.meet(*meetings.touch(*worn))
    for number in answers_of:
        [touch] = await meetings.touches(worn[number].user)
        await worn[number].user.client.post(f"/v1/touches/{touch['id']}/confirm")
    for one, other in (worn, worn[::-1]):
        assert_strangers(await everything(meetings, database, one), other)


async def test_nobody_joins_a_channel_of_the_other_by_a_touch(
    meetings: Meetings, worn: Worn
) -> None:
    ada, grace = worn
    await meetings.meet(*meetings.touch(ada, grace))
    may_join = authorizer(meetings.hub.resources.api)
    claims = ConnectClaims(user=str(ada.user.id), session_id="s")
    for channel in (f"taps:{grace.user.id}", f"messages:{grace.user.id}", "touches:1"):
        assert not await may_join(claims, channel)


async def test_after_the_exchange_each_sees_who_the_other_is_and_no_more(
    meetings: Meetings, database: Database, worn: Worn
) -> None:
    for wearer in worn:
        await meetings.share(wearer.user, "always")
    await meetings.meet(*meetings.touch(*worn, lat=48.1, lon=11.5))
    for one, other in (worn, worn[::-1]):
        seen = await everything(meetings, database, one)
        assert str(other.user.id) in seen
        for trace in (str(other.ring_id), str(other.gateway_id), other.device_id.hex()):
            assert trace not in seen
