"""Proving anew, within a session, who one is; no copy of its tokens has a part in that."""

from typing import Any

import httpx

from core.db import Pool
from tests.fixtures.app import Running
from tests.fixtures.authenticator import Authenticator
from tests.hub.domains.passkeys.ceremonies import SignUp, ask, hub, passkeys, refusal, sign_up

__all__ = ["hub", "sign_up"]
RECENT_REQUIRED = (401, "auth.recent_sign_in_required")


async def age(pool: Pool) -> None:
    """Let all sign-ins be of a while ago."""
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE sessions SET authenticated_at = authenticated_at - interval '11 min'"
        )


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/v1/auth/refresh", json={"refresh_token": token})


async def prove(client: httpx.AsyncClient, device: Authenticator, token: str) -> httpx.Response:
    options = await ask(client, "/v1/auth/passkeys/sign-in/options")
    body = {"credential": device.get(options), "refresh_token": token}
    return await client.post("/v1/auth/passkeys/sign-in", json=body)


async def make_key(hub: Running, tokens: httpx.Response) -> httpx.Response:
    assert tokens.status_code == 200, tokens.text
    async with hub.client(authorization=f"Bearer {tokens.json()['access_token']}") as client:
        body = {"name": "backend", "scopes": ["taps:read"]}
        return await client.post("/v1/api-keys", json=body)


async def sessions(hub: Running, tokens: dict[str, Any]) -> list[str]:
    async with hub.client(authorization=f"Bearer {tokens['access_token']}") as client:
        return [item["id"] for item in (await client.get("/v1/me/sessions")).json()["items"]]


async def test_who_proves_it_anew_goes_on_in_the_same_session(
    hub: Running, anonymous: httpx.AsyncClient, sign_up: SignUp, system_pool: Pool
):
    device, ada = await sign_up()
    (session,) = [item["id"] for item in (await ada.client.get("/v1/me/sessions")).json()["items"]]
    await age(system_pool)
    stale = await refresh(anonymous, ada.refresh_token)
    assert refusal(await make_key(hub, stale)) == RECENT_REQUIRED
    proved = await prove(anonymous, device, stale.json()["refresh_token"])
    assert (await make_key(hub, proved)).status_code == 201
    assert await sessions(hub, proved.json()) == [session]
    # Later refreshes keep what was proved; the one before is spent.
    renewed = await refresh(anonymous, proved.json()["refresh_token"])
    assert (await make_key(hub, renewed)).status_code == 201


async def test_somebody_else_s_passkey_proves_nothing_and_ends_nothing(
    anonymous: httpx.AsyncClient, sign_up: SignUp
):
    _, ada = await sign_up()
    device, grace = await sign_up("Grace Hopper")
    answer = await prove(anonymous, device, ada.refresh_token)
    assert refusal(answer) == (403, "auth.other_account")
    assert (await refresh(anonymous, ada.refresh_token)).status_code == 200
    assert len(await passkeys(grace.client)) == 1


async def test_a_copy_of_the_token_from_before_gets_nothing_of_what_was_proved(
    hub: Running, anonymous: httpx.AsyncClient, sign_up: SignUp
):
    device, ada = await sign_up()
    proved = await prove(anonymous, device, ada.refresh_token)
    # Within the moment in which a lost answer may be asked for again.
    assert refusal(await refresh(anonymous, ada.refresh_token)) == (401, "auth.token_invalid")
    # Two held the same token: the session has ended for both.
    assert refusal(await make_key(hub, proved)) == (401, "auth.token_invalid")


async def test_who_was_overtaken_by_a_copy_proves_nothing_for_it(
    hub: Running, anonymous: httpx.AsyncClient, sign_up: SignUp, system_pool: Pool
):
    device, ada = await sign_up()
    await age(system_pool)
    stolen = await refresh(anonymous, ada.refresh_token)
    answer = await prove(anonymous, device, ada.refresh_token)
    assert refusal(answer) == (401, "auth.token_invalid")
    assert refusal(await make_key(hub, stolen)) == RECENT_REQUIRED
    again = await refresh(anonymous, stolen.json()["refresh_token"])
    assert refusal(await make_key(hub, again)) == RECENT_REQUIRED
