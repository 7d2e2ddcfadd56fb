"""A role is believed when a token of the hub's own claims it and the database still has it."""

import asyncio
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from core import clock
from core.actor import SYSTEM, Actor
from core.db import Pool, begin, command, query
from core.ids import UserId, new_id
from hub.domains.accounts import service as accounts
from hub.http.tokens import TokenKeys, new_key
from tests.fixtures.administrator import WithRole
from tests.fixtures.app import Running, User

AUDIT = "/v1/admin/audit"
SEEN = query(int, "SELECT count(*)::int FROM audit_log")
BECOME_ADMIN = command("SELECT set_config('role', 'ping_admin', true)")


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def with_token(hub: Running, token: str) -> tuple[int, str]:
    async with hub.client(authorization=f"Bearer {token}") as client:
        return refusal(await client.get(AUDIT))


@pytest.mark.req("ACC-14")
async def test_a_role_of_a_token_minted_elsewhere_is_worth_nothing(
    hub: Running, admin_user: User
) -> None:
    elsewhere = TokenKeys(
        [new_key(0)], issuer=hub.settings.auth.issuer, lifetime_seconds=600
    ).issue(admin_user.id, new_id(), "admin")
    assert await with_token(hub, elsewhere) == (401, "auth.token_invalid")
    # The right key id over another key.
    ours = hub.resources.token_keys.signing_key.key
    now = clock.unix_seconds()
    claims = {
        "sub": str(admin_user.id),
        "sid": str(new_id()),
        "role": "admin",
        "iat": now,
        "exp": now + 300,
        "iss": hub.settings.auth.issuer,
        "aud": "pinghub",
    }
    forger = OKPKey.generate_key("Ed25519")
    header = {"alg": "EdDSA", "kid": ours.kid, "typ": "at+jwt"}
    forged = jwt.encode(header, claims, forger, algorithms=["EdDSA"])
    assert await with_token(hub, forged) == (401, "auth.token_invalid")
    head, _, rest = forged.partition(".")
    unsigned = f"{head}.{rest.partition('.')[0]}."
    assert await with_token(hub, unsigned) == (401, "auth.token_invalid")


@pytest.mark.req("ACC-14")
async def test_a_claim_that_the_database_does_not_have_opens_nothing(
    hub: Running, ada: User
) -> None:
    # As if a key of the hub had leaked, or a role had been taken away a moment ago.
    now = clock.unix_seconds()
    token = hub.resources.token_keys.issue(ada.id, new_id(), "admin", authenticated_at=now)
    assert await with_token(hub, token) == (403, "auth.forbidden")
    async with hub.client(authorization=f"Bearer {token}") as client:
        for method, path, body in (
            ("GET", "/v1/service-accounts", None),
            ("POST", "/v1/service-accounts", {"name": "Mine"}),
            ("DELETE", f"/v1/service-accounts/{new_id()}", None),
        ):
            answer = await client.request(method, path, json=body)
            assert refusal(answer) == (403, "auth.forbidden"), (method, path)


@pytest.mark.req("ACC-14")
async def test_policies_ask_for_the_claim_and_for_the_row(
    api_pool: Pool, admin_user: User, ada: User
) -> None:
    async def seen(user: User, claim: Any, kind: Any = "user") -> int:
        actor = Actor(kind=kind, user_id=UserId(user.id), role=claim)
        async with begin(api_pool, actor) as tx:
            await BECOME_ADMIN.run(tx)
            return await SEEN.one(tx)

    assert await seen(admin_user, "admin") > 0
    assert await seen(admin_user, "moderator") == 0
    assert await seen(admin_user, "user") == 0
    assert await seen(admin_user, "admin", "api_key") == 0
    assert await seen(admin_user, "admin", "system") == 0
    assert await seen(ada, "admin") == 0


@pytest.mark.req("ACC-14", "SEC-04")
async def test_a_role_that_is_taken_away_is_gone_within_a_second_with_its_sessions(
    hub: Running, admin_user: User
) -> None:
    assert (await admin_user.client.get(AUDIT)).status_code == 200
    async with begin(hub.resources.system, SYSTEM) as tx:
        await accounts.set_role(tx, admin_user.id, "user")
    # At once for what an administrator may, and soon for all that the token opens.
    answer = await admin_user.client.get(AUDIT)
    assert refusal(answer) in ((403, "auth.forbidden"), (401, "auth.token_invalid"))
    async with asyncio.timeout(1 + 4):  # beside the second what a busy machine needs to ask
        while (await admin_user.client.get("/v1/me")).status_code != 401:
            pass
    async with hub.client() as client:
        body = {"refresh_token": admin_user.refresh_token}
        assert refusal(await client.post("/v1/auth/refresh", json=body)) == (
            401,
            "auth.token_invalid",
        )
    async with hub.resources.system.connection() as connection:
        assert await connection.fetch(
            "SELECT DISTINCT revoked_because FROM sessions WHERE user_id = $1", admin_user.id
        ) == [("role_changed",)]


@pytest.mark.req("ACC-14")
async def test_a_role_that_is_given_is_there_after_the_next_sign_in(
    hub: Running, ada: User, with_role: WithRole
) -> None:
    promoted = await with_role("Barbara Liskov", "admin")
    assert (await promoted.client.get("/v1/me")).json()["role"] == "admin"
    assert (await promoted.client.get(AUDIT)).status_code == 200
    # A change of another kind, or to the same role, ends nobody's sessions.
    async with begin(hub.resources.system, SYSTEM) as tx:
        await accounts.set_role(tx, ada.id, "user")
        await accounts.set_subscription(tx, ada.id, "pro", "active")
    me = (await ada.client.get("/v1/me")).json()
    assert (me["role"], me["subscription_tier"]) == ("user", "pro")
