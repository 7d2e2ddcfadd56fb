"""Signing up and in with a passkey, and the passkeys of an account, over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from core import config
from core.db import Pool
from core.ids import new_id
from tests.fixtures.app import Running, count_rows
from tests.fixtures.authenticator import PRESENT, VERIFIED, Authenticator
from tests.hub.domains.passkeys.ceremonies import (
    SignUp,
    add,
    ask,
    hub,
    passkeys,
    refusal,
    sign_in,
    sign_up,
)

__all__ = ["hub", "sign_up"]


async def test_the_options_are_those_of_a_passkey_and_nothing_is_kept_of_them(
    anonymous, system_pool: Pool
):
    made = await ask(anonymous, "/v1/auth/passkeys/sign-up/options", {"full_name": "Ada"})
    assert made["rp"] == {"id": "localhost", "name": "localhost"}
    assert made["user"]["displayName"] == "Ada"
    assert made["attestation"] == "none"
    assert made["timeout"] == 300_000
    assert made["excludeCredentials"] == []
    assert made["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "preferred",
    }
    asked = await ask(anonymous, "/v1/auth/passkeys/sign-in/options")
    assert asked.pop("challenge") != made["challenge"]
    assert asked == {
        "rpId": "localhost",
        "timeout": 300_000,
        "allowCredentials": [],
        "userVerification": "preferred",
    }
    assert await count_rows(system_pool, "users") == 0


async def test_a_passkey_makes_an_account_and_signs_in_to_it_without_a_name(
    anonymous, sign_up: SignUp
):
    device, ada = await sign_up()
    me = (await ada.client.get("/v1/me")).json()
    assert (me["full_name"], me["email"]) == ("Ada Lovelace", None)
    again = await sign_in(anonymous, device)
    assert again.status_code == 200, again.text
    assert again.json()["user"]["id"] == me["id"]
    refreshed = await anonymous.post(
        "/v1/auth/refresh", json={"refresh_token": again.json()["refresh_token"]}
    )
    assert refreshed.status_code == 200
    (passkey,) = await passkeys(ada.client)
    assert passkey["last_used_at"] is not None
    assert passkey["is_user_verified"]
    assert passkey["suspected_at"] is None


async def test_a_passkey_is_one_of_the_logins_which_are_bounded_and_the_last_one_stays(
    sign_up: SignUp, system_pool: Pool
):
    _, ada = await sign_up()
    (first,) = await passkeys(ada.client)
    (login,) = (await ada.client.get("/v1/me/logins")).json()["items"]
    assert (login["id"], login["provider"], login["issuer"]) == (
        first["id"],
        "passkey",
        "localhost",
    )
    for path in ("passkeys", "logins"):
        answer = await ada.client.delete(f"/v1/me/{path}/{first['id']}")
        assert refusal(answer) == (409, "login.last")
    second = (await add(ada.client, Authenticator())).json()
    assert (await ada.client.delete(f"/v1/me/logins/{first['id']}")).status_code == 204
    assert [item["id"] for item in await passkeys(ada.client)] == [second["id"]]
    async with system_pool.connection() as connection:
        await connection.execute(
            """INSERT INTO user_logins (user_id, provider, issuer, subject)
            SELECT id, 'idp', 'https://idp.example', n::text
            FROM users, generate_series(1, 19) AS n"""
        )
    assert refusal(await add(ada.client, Authenticator())) == (409, "login.limit")


async def test_a_second_device_is_added_named_used_and_taken_away(anonymous, sign_up: SignUp):
    _, ada = await sign_up()
    options = await ask(ada.client, "/v1/me/passkeys/options")
    known = await passkeys(ada.client)
    assert [item["id"] for item in options["excludeCredentials"]] == [known[0]["credential_id"]]
    assert options["excludeCredentials"][0]["transports"] == ["internal", "hybrid"]
    key = Authenticator(flags=PRESENT | VERIFIED, counts=True)
    added = await add(ada.client, key, name="Key in the drawer")
    assert added.status_code == 201
    passkey = added.json()
    assert passkey["name"] == "Key in the drawer"
    assert not passkey["is_backup_eligible"]
    assert (await sign_in(anonymous, key)).json()["user"]["id"] == ada.id
    path = f"/v1/me/passkeys/{passkey['id']}"
    named = await ada.client.patch(path, json={"name": "Blue key"})
    assert named.json()["name"] == "Blue key"
    assert (await ada.client.get(path)).json() == named.json()
    assert (await ada.client.patch(path, json={"name": None})).json()["name"] is None
    assert (await ada.client.delete(path)).status_code == 204
    assert refusal(await sign_in(anonymous, key)) == (401, "passkey.refused")
    assert refusal(await ada.client.get(path)) == (404, "passkey.not_found")
    await add(ada.client, Authenticator())
    first = (await ada.client.get("/v1/me/passkeys?limit=1")).json()
    rest = await ada.client.get(f"/v1/me/passkeys?cursor={first['next_cursor']}")
    assert len(first["items"]) == len(rest.json()["items"]) == 1
    assert first["items"][0]["id"] < rest.json()["items"][0]["id"]


async def test_changes_are_audited_without_what_names_the_device(
    sign_up: SignUp, system_pool: Pool
):
    device, ada = await sign_up()
    second = (await add(ada.client, Authenticator(), name="Secret name")).json()["id"]
    await ada.client.delete(f"/v1/me/passkeys/{second}")
    async with system_pool.connection() as connection:
        rows = await connection.fetch(
            """SELECT action, endpoint, coalesce(old_values, new_values)::text AS said
            FROM audit_log WHERE resource_type = 'passkey_credentials' ORDER BY at, id"""
        )
    assert [(row["action"], row["endpoint"]) for row in rows] == [
        ("create", "POST /v1/auth/passkeys/sign-up"),
        ("create", "POST /v1/me/passkeys"),
        ("delete", "DELETE /v1/me/passkeys/{passkey_id}"),
    ]
    text = " ".join(row["said"] for row in rows)
    assert '"public_key"' in text
    assert "Secret name" not in text
    assert device.credentials[0].id.hex() not in text


async def test_passkeys_of_others_are_neither_seen_nor_changed(sign_up: SignUp, system_pool: Pool):
    _, ada = await sign_up()
    _, grace = await sign_up("Grace Hopper")
    (mine,) = await passkeys(ada.client)
    for passkey in (mine["id"], new_id()):
        path = f"/v1/me/passkeys/{passkey}"
        for answer in (
            await grace.client.get(path),
            await grace.client.patch(path, json={"name": "Mine"}),
            await grace.client.delete(path),
        ):
            assert refusal(answer) == (404, "passkey.not_found")
    assert await passkeys(ada.client) == [mine]
    # Nor is a login of another kind a passkey.
    async with system_pool.connection() as connection:
        login = await connection.fetchval(
            """INSERT INTO user_logins (user_id, provider, issuer, subject)
            VALUES ($1, 'idp', 'https://idp.example', 'ada') RETURNING id""",
            ada.id,
        )
    answer = await ada.client.delete(f"/v1/me/passkeys/{login}")
    assert refusal(answer) == (404, "passkey.not_found")
    assert await count_rows(system_pool, "user_logins") == 3


async def test_two_processes_share_the_challenges(
    start_app: Callable[[config.Settings], Awaitable[Running]],
    app_settings: config.Settings,
    anonymous,
):
    another = await start_app(app_settings)
    device = Authenticator()
    options = await ask(anonymous, "/v1/auth/passkeys/sign-up/options", {"full_name": "Ada"})
    async with another.client() as client:
        body = {"credential": device.create(options)}
        assert (await client.post("/v1/auth/passkeys/sign-up", json=body)).status_code == 200
        asked = await ask(client, "/v1/auth/passkeys/sign-in/options")
    body = {"credential": device.get(asked)}
    assert (await anonymous.post("/v1/auth/passkeys/sign-in", json=body)).status_code == 200


async def test_a_hub_that_takes_no_strangers_or_has_no_domain_says_so(anonymous, hub: Running):
    party = hub.resources.relying_party
    assert party is not None
    begun = await ask(anonymous, "/v1/auth/passkeys/sign-up/options", {"full_name": "Ada"})
    hub.resources.relying_party = replace(party, takes_sign_ups=False)
    options, end = "/v1/auth/passkeys/sign-up/options", "/v1/auth/passkeys/sign-up"
    answer = await anonymous.post(options, json={"full_name": "Ada"})
    assert refusal(answer) == (403, "passkey.sign_up_closed")
    body = {"credential": Authenticator().create(begun)}
    assert refusal(await anonymous.post(end, json=body)) == (403, "passkey.sign_up_closed")
    assert (await anonymous.post("/v1/auth/passkeys/sign-in/options")).status_code == 200
    hub.resources.relying_party = None
    answer = await anonymous.post("/v1/auth/passkeys/sign-in/options")
    assert refusal(answer) == (503, "passkey.unavailable")
    methods = (await anonymous.get("/v1/auth/methods")).json()
    assert methods == {"providers": [], "passkeys_of": None, "passkey_sign_up": False}


async def test_signing_in_while_another_login_goes_ends_with_both_done(anonymous, sign_up: SignUp):
    device, ada = await sign_up()
    await add(ada.client, device)
    first, second = await passkeys(ada.client)
    answers = await asyncio.gather(
        *(sign_in(anonymous, device, number=1) for _ in range(4)),
        ada.client.delete(f"/v1/me/passkeys/{second['id']}"),
        ada.client.delete(f"/v1/me/passkeys/{first['id']}"),
    )
    assert {answer.status_code for answer in answers[:4]} <= {200, 401}
    assert sorted(answer.status_code for answer in answers[4:]) == [204, 409]
    assert len(await passkeys(ada.client)) == 1
