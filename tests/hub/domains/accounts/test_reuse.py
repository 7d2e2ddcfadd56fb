"""After a refresh token was used twice: its owner is told what may have been added by another."""

import httpx
import msgspec

from core.db import Pool, begin
from core.ids import new_id
from hub.domains.accounts import service as accounts
from hub.domains.accounts.events import SessionReused
from tests.fixtures.app import Running, User, user_actor

A_KEY = {"name": "backend", "scopes": ["taps:read"]}


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/v1/auth/refresh", json={"refresh_token": token})


async def make_key(client: httpx.AsyncClient, access_token: str | None = None) -> str:
    headers = {"authorization": f"Bearer {access_token}"} if access_token else {}
    answer = await client.post("/v1/api-keys", json=A_KEY, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def pass_grace(pool: Pool) -> None:
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE sessions SET revoked_at = revoked_at - interval '10 s'"
            " WHERE revoked_because = 'exchanged'"
        )


async def reports(pool: Pool) -> list[SessionReused]:
    async with pool.connection() as connection:
        rows = await connection.fetch(
            "SELECT payload FROM events WHERE type = 'session.reused' ORDER BY id"
        )
    return [msgspec.json.decode(row["payload"], type=SessionReused) for row in rows]


async def test_the_owner_is_told_what_was_added_since_the_copied_token_was_handed_out(
    hub: Running, ada: User, grace: User, anonymous: httpx.AsyncClient, system_pool: Pool
):
    await make_key(ada.client)
    copied = (await refresh(anonymous, ada.refresh_token)).json()["refresh_token"]
    # Whoever has the copy is the first to use it, soon after the sign-in.
    thief = (await refresh(anonymous, copied)).json()
    added = await make_key(anonymous, thief["access_token"])
    gone = await make_key(anonymous, thief["access_token"])
    await ada.client.delete(f"/v1/api-keys/{gone}")
    await make_key(grace.client)
    async with begin(hub.resources.api, user_actor(ada.id)) as tx:
        elsewhere = await accounts.open_session(tx, lifetime_seconds=3600)
    await pass_grace(system_pool)
    for _ in range(2):
        assert (await refresh(anonymous, copied)).status_code == 401
    (report,) = await reports(system_pool)
    assert [(item.kind, str(item.id)) for item in report.added] == [
        ("api_key", added),
        ("session", str(elsewhere.family_id)),
    ]
    async with system_pool.connection() as connection:
        row = await connection.fetchrow(
            "SELECT family_id, created_at FROM sessions WHERE revoked_because = 'reused'"
            " ORDER BY generation"
        )
    assert (report.session_id, report.since) == (row["family_id"], row["created_at"])
    token = (await refresh(anonymous, elsewhere.refresh_token)).json()["access_token"]
    log = await anonymous.get("/v1/me/audit", headers={"authorization": f"Bearer {token}"})
    told = [item for item in log.json()["items"] if "added" in (item["new_values"] or {})]
    assert [item["resource_id"] for item in told] == [str(report.session_id)]
    said = {**told[0]["new_values"], "session_id": str(report.session_id)}
    assert msgspec.convert({**said, "type": "session.reused"}, SessionReused) == report


async def test_nobody_marks_the_tokens_of_somebody_else(
    hub: Running, ada: User, grace: User, anonymous: httpx.AsyncClient, system_pool: Pool
):
    await refresh(anonymous, ada.refresh_token)
    async with begin(hub.resources.api, user_actor(ada.id)) as tx:
        session = await accounts.find_session(tx, ada.refresh_token)
    async with hub.resources.api.connection() as connection, connection.transaction():
        await connection.execute("SELECT set_config('app.user_id', $1, true)", str(grace.id))
        for marked in (session.id, new_id()):
            await connection.execute("SELECT app.note_reuse($1)", marked)
    assert await reports(system_pool) == []
