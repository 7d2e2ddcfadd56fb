"""Every function that acts for users, called by a stranger with ids of Ada's."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from tests.fixtures.postgres import Database
from tests.rls.people import World, make_world

CALLERS = ("ping_api", "ping_worker", "ping_admin", "ping_reader")


@dataclass(frozen=True)
class Call:
    """What a stranger passes, by the name of what is Ada's, and what comes back."""

    arguments: tuple[Any, ...] = ()
    returns: object = None
    raises: str = ""


OWN = Call()
"""Says who the caller is."""

CALLS = {
    "app.user_id()": OWN,
    "app.role()": Call(returns="user"),
    "app.request_id()": OWN,
    "app.in_conversation(uuid)": Call(("conversations",), returns=False),
    "app.can_see_profile(uuid)": Call(("users",), returns=False),
    "app.lock_conversation(uuid)": Call(("conversations",)),
    "app.new_gateway_code(uuid,bytea,integer)": Call(
        ("gateways", b"hash", 60), raises="ping:gateway.not_found"
    ),
    "app.revoke_gateway(uuid)": Call(("gateways",), raises="ping:gateway.not_found"),
    "app.unfriend(uuid)": Call(("users",), returns=False),
    "app.note_reuse(uuid)": Call(("sessions",)),
    "app.allows(uuid,text)": Call(("users", "location"), returns=False),
    "app.shortest_path(uuid[],integer)": Call((["contacts"], 6)),
    "app.read_path(bytea)": Call((b"guessed",)),
    "app.is_admin()": Call(returns=False),
    "app.search_contacts(text,boolean,uuid,integer)": Call(("Kept of Ada", False, None, 9)),
    "app.link_matched(uuid[],uuid[])": Call((["contacts"], ["users"])),
    # With tables of contacts: tests/hub/domains/contact_merges/test_undo.py.
    "app.move_contact_rows(text,text,text[],uuid,uuid,jsonb)": Call(
        ("nobodys", "contact_id", ["id"], "contacts", "contacts", None),
        raises="no table of contacts",
    ),
    "app.plain_text(text)": Call(("Ádá",), returns="ada"),
    "app.typed_text(text)": Call(("Strauß-Møller",), returns="strauss-moller"),
    "app.plain_words(text)": Call(("Lovelace, Ádá",), returns=["ada", "lovelace"]),
    "app.set_primary_circle(uuid,uuid)": Call(("circles", "contacts")),
    "app.match_identities(integer[],text[],bytea[],integer)": Call(([0], ["email"], [b"Ada"], 1)),
    (
        "app.search_interactions(text,timestamp with time zone,timestamp with time zone,uuid,text,"
        "text,timestamp with time zone,uuid,integer)"
    ): Call(("Ada", None, None, None, None, None, None, None, 9)),
    # Nobody fills the log of somebody whom they cannot see.
    "app.audit_view(text,text,text,uuid,jsonb)": Call(
        ("view", "x", "1", "users", None), raises="ping:auth.forbidden"
    ),
    # Before an actor is known: by what only who it belongs to can know.
    "app.find_session(bytea)": Call((b"guessed",)),
    "app.find_login(text,text)": Call(("https://accounts.google.com", "guessed")),
    "app.find_api_key(bytea)": Call((b"guessed",)),
}
"""Functions by signature; one that is not listed fails."""

# Opens a new conversation with whoever it names: that a user is there is no secret to who has the
# id. What is Ada's already is neither returned nor changed.
OPENS = "app.open_direct_conversation(uuid)"
# The same for everybody.
FLAGS = "app.read_flags()"


@pytest_asyncio.fixture
async def world(database: Database) -> World:
    return await make_world(database)


async def callable_functions(connection: asyncpg.Connection) -> set[str]:
    """Return what the logins that act for users may call."""
    found = await connection.fetch(
        """SELECT f.oid::regprocedure::text FROM pg_proc AS f
        WHERE f.pronamespace IN ('app'::regnamespace, 'public'::regnamespace)
        AND NOT EXISTS (
          SELECT FROM pg_depend WHERE objid = f.oid AND deptype = 'e'
        )
        AND EXISTS (
          SELECT FROM unnest($1::text[]) AS r WHERE has_function_privilege(r, f.oid, 'EXECUTE')
        )""",
        list(CALLERS),
    )
    return {row[0] for row in found}


@pytest.mark.req("DBR-08")
async def test_a_function_that_acts_for_users_is_listed_here(world: World) -> None:
    connection = await asyncpg.connect(world.database.superuser_url)
    try:
        assert await callable_functions(connection) == {*CALLS, OPENS, FLAGS}
        await connection.execute(
            """CREATE FUNCTION app.all_names() RETURNS SETOF text LANGUAGE sql
            SECURITY DEFINER AS 'SELECT full_name FROM public.users'"""
        )
        assert "app.all_names()" in await callable_functions(connection)
    finally:
        await connection.close()


@pytest.mark.req("DBR-08")
async def test_a_stranger_learns_and_changes_nothing(world: World) -> None:
    superuser = await asyncpg.connect(world.database.superuser_url)
    stranger = await asyncpg.connect(world.database.api_url)
    try:
        before = await everything(superuser)
        eve = world.people["eve"]
        own = {"app.user_id()": eve}
        for signature, call in CALLS.items():
            arguments = [await _hers(superuser, world, item) for item in call.arguments]
            told = await _called(stranger, signature, arguments, eve)
            assert told == own.get(signature, call.raises or call.returns), signature
            assert await everything(superuser) == before, signature
    finally:
        await superuser.close()
        await stranger.close()


async def _called(
    stranger: asyncpg.Connection, signature: str, arguments: list[Any], user: UUID
) -> object:
    """Call a function as a user; return its first value, or what it raises."""
    name = signature.partition("(")[0]
    marks = ", ".join(f"${n}" for n in range(1, len(arguments) + 1))
    try:
        async with stranger.transaction():
            await stranger.execute("SELECT set_config('app.user_id', $1, true)", str(user))
            return await stranger.fetchval(f"SELECT * FROM {name}({marks})", *arguments)
    except asyncpg.RaiseError as refusal:
        return str(refusal)


async def test_what_is_added_leaves_everything_of_adas_as_it_is(world: World) -> None:
    ada = world.people["ada"]
    superuser = await asyncpg.connect(world.database.superuser_url)
    stranger = await asyncpg.connect(world.database.api_url)
    try:
        before = await everything(superuser)
        async with stranger.transaction():
            await stranger.execute(
                "SELECT set_config('app.user_id', $1, true)", str(world.people["eve"])
            )
            opened = await stranger.fetchval(
                "SELECT created FROM app.open_direct_conversation($1)", ada
            )
            await stranger.execute(
                "SELECT app.audit_view('view', 'profiles', $1, $2, '{}')", "1", ada
            )
        assert opened
        assert before < await everything(superuser)
    finally:
        await superuser.close()
        await stranger.close()


async def _hers(superuser: asyncpg.Connection, world: World, item: Any) -> Any:
    """Return an id of Ada's out of a table; anything else as it is."""
    if isinstance(item, list):
        return [await _hers(superuser, world, each) for each in item]
    if not isinstance(item, str) or item not in world.rows:
        return item
    place = (world.rows[item].get("own") or world.rows[item]["shared"])[0]
    return await superuser.fetchval(
        f"SELECT id FROM {item} WHERE tableoid::text || ':' || ctid::text = $1", place
    )


async def everything(superuser: asyncpg.Connection) -> set[str]:
    tables = await superuser.fetch(
        """SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
        AND relnamespace = 'public'::regnamespace"""
    )
    each = (f"SELECT '{name} ' || t::text FROM {name} AS t" for (name,) in tables)
    return {row[0] for row in await superuser.fetch(" UNION ALL ".join(each))}
