"""What must not sign anybody in, nor become a passkey: refused in one word, without effect."""

import asyncio
import json
from typing import Any
from unittest.mock import AsyncMock

from prometheus_client import REGISTRY
from redis.exceptions import ConnectionError as RedisGone
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from core.db import Pool
from tests.fixtures.app import Running, User, count_rows
from tests.fixtures.authenticator import (
    PRESENT,
    VERIFIED,
    Authenticator,
    encoded,
)
from tests.hub.domains.passkeys.ceremonies import (
    SignUp,
    add,
    ask,
    end_sign_up,
    hub,
    passkeys,
    refusal,
    sign_in,
    sign_up,
)

__all__ = ["hub", "sign_up"]
REFUSED = (401, "passkey.refused")
INVALID = (422, "passkey.invalid")
SIGN_UP, SIGN_IN = "/v1/auth/passkeys/sign-up", "/v1/auth/passkeys/sign-in"


def counted(reason: str) -> float:
    return REGISTRY.get_sample_value("pinghub_refused_passkey_total", {"reason": reason}) or 0


NO_SIGNATURES: tuple[dict[str, Any], ...] = (
    {"said": {"origin": "https://evil.example"}},
    {"said": {"type": "webauthn.create"}},
    {"said": {"crossOrigin": True}},
    {"rp_id": "evil.example"},
    {"flags": PRESENT},
    {"signature": b"no signature"},
    {"id": b"of nobody"},
    {"handle": None},
    {"handle": encoded(bytes(16))},
    {"said": {"challenge": "x" * 43}},
    {"raw": b"{}"},
)


async def test_a_sign_in_that_proves_nothing_is_refused_with_one_word(
    anonymous, sign_up: SignUp, system_pool: Pool
):
    device, _ = await sign_up()
    sessions = await count_rows(system_pool, "sessions")
    for lies in NO_SIGNATURES:
        answer = await sign_in(anonymous, device, **lies)
        assert refusal(answer) == REFUSED, lies
        told = answer.json()
        assert (told["title"], told.get("errors")) == ("Passkey refused", None)
    assert await count_rows(system_pool, "sessions") == sessions
    # An id that is no number of bytes.
    options = await ask(anonymous, f"{SIGN_IN}/options")
    body = {"credential": device.get(options) | {"id": "AAAAA"}}
    assert refusal(await anonymous.post(SIGN_IN, json=body)) == REFUSED
    assert (await sign_in(anonymous, device)).status_code == 200


async def test_unknown_passkeys_closed_accounts_and_forgeries_look_alike(
    anonymous, sign_up: SignUp, system_pool: Pool
):
    device, _ = await sign_up()
    unknown = await sign_in(anonymous, device, id=b"of nobody")
    forged = await sign_in(anonymous, device, signature=b"no signature")
    async with system_pool.connection() as connection:
        await connection.execute("UPDATE users SET deleted_at = now()")
    closed = await sign_in(anonymous, device)
    told = [
        {**answer.json(), "request_id": None, "instance": None}
        for answer in (unknown, forged, closed)
    ]
    assert told[0] == told[1] == told[2]
    headers = [
        {name for name in answer.headers if name != "x-request-id"}
        for answer in (unknown, forged, closed)
    ]
    assert headers[0] == headers[1] == headers[2]


async def test_a_challenge_works_once_however_many_ask_at_once_and_whatever_comes_of_it(
    anonymous, sign_up: SignUp, system_pool: Pool
):
    device, _ = await sign_up()
    options = await ask(anonymous, f"{SIGN_IN}/options")
    body = {"credential": device.get(options)}
    before = counted("challenge")
    answers = await asyncio.gather(*(anonymous.post(SIGN_IN, json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
    assert refusal(await anonymous.post(SIGN_IN, json=body)) == REFUSED
    assert counted("challenge") == before + 5
    options = await ask(anonymous, f"{SIGN_IN}/options")
    forged = {"credential": device.get(options, signature=b"no signature")}
    assert refusal(await anonymous.post(SIGN_IN, json=forged)) == REFUSED
    right = {"credential": device.get(options)}
    assert refusal(await anonymous.post(SIGN_IN, json=right)) == REFUSED
    options = await ask(anonymous, f"{SIGN_UP}/options", {"full_name": "Ada"})
    body = {"credential": Authenticator().create(options)}
    answers = await asyncio.gather(*(anonymous.post(SIGN_UP, json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 422, 422, 422, 422]
    assert await count_rows(system_pool, "users") == 2


async def test_a_challenge_is_for_one_ceremony_and_one_user(anonymous, sign_up: SignUp):
    device, ada = await sign_up()
    to_sign_up = await ask(anonymous, f"{SIGN_UP}/options", {"full_name": "Eve"})
    to_sign_in = await ask(anonymous, f"{SIGN_IN}/options")
    to_add = await ask(ada.client, "/v1/me/passkeys/options")
    assert to_sign_in["challenge"] not in {to_sign_up["challenge"], to_add["challenge"]}
    for options in (to_sign_up, to_add):
        body = {"credential": device.get(options)}
        assert refusal(await anonymous.post(SIGN_IN, json=body)) == REFUSED
    for options in (to_add, to_sign_up | {"challenge": to_sign_in["challenge"]}):
        body = {"credential": Authenticator().create(options)}
        assert refusal(await anonymous.post(SIGN_UP, json=body)) == INVALID
    for challenge in (to_sign_up["challenge"], to_sign_in["challenge"]):
        body = {"credential": Authenticator().create(to_add | {"challenge": challenge})}
        assert refusal(await ada.client.post("/v1/me/passkeys", json=body)) == INVALID
    # Nor is it the code of a sign-in with a provider.
    code = {"code": to_add["challenge"], "code_verifier": "v" * 43}
    answer = await anonymous.post("/v1/auth/token", json=code)
    assert refusal(answer) == (401, "login.code_invalid")
    # What was offered elsewhere is not spent by that.
    body = {"credential": Authenticator().create(to_add)}
    assert (await ada.client.post("/v1/me/passkeys", json=body)).status_code == 201
    _, grace = await sign_up("Grace Hopper")
    options = await ask(ada.client, "/v1/me/passkeys/options")
    body = {"credential": Authenticator().create(options)}
    assert refusal(await grace.client.post("/v1/me/passkeys", json=body)) == INVALID
    assert len(await passkeys(grace.client)) == 1
    assert len(await passkeys(ada.client)) == 2


async def test_a_challenge_lives_five_minutes_in_redis_which_does_not_show_it(
    anonymous, hub: Running
):
    options = await ask(anonymous, f"{SIGN_UP}/options", {"full_name": "Ada"})
    redis = hub.resources.redis
    (key,) = await redis.keys(f"{hub.settings.redis.key_prefix}:once:*")
    assert 290 < await redis.ttl(key) <= 300
    assert options["challenge"].encode() not in key
    assert b"Ada" not in await redis.get(key)
    await redis.delete(key)
    body = {"credential": Authenticator().create(options)}
    assert refusal(await anonymous.post(SIGN_UP, json=body)) == INVALID
    # Without Redis nobody is let in.
    device = Authenticator()
    device.create(options)
    options = await ask(anonymous, f"{SIGN_IN}/options")
    gone = AsyncMock()
    gone.set.side_effect = gone.getdel.side_effect = RedisGone("gone")
    hub.resources.one_time._redis = gone
    body = {"credential": device.get(options)}
    for answer in (
        await anonymous.post(SIGN_IN, json=body),
        await anonymous.post(f"{SIGN_IN}/options"),
    ):
        assert refusal(answer) == (503, "service.unavailable")


NOT_MADE_HERE: tuple[dict[str, Any], ...] = (
    {"said": {"origin": "https://evil.example"}},
    {"said": {"crossOrigin": True}},
    {"rp_id": "evil.example"},
    {"flags": VERIFIED},
    {"attestation": b"\x81" * 6000},
    {"statement": {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"", "x5c": [b"x"]}}},
)


async def test_what_was_not_made_here_becomes_no_passkey_and_no_account(
    anonymous, system_pool: Pool
):
    for lies in NOT_MADE_HERE:
        assert refusal(await end_sign_up(anonymous, Authenticator(), **lies)) == INVALID, lies
    assert await count_rows(system_pool, "users") == 0
    assert await count_rows(system_pool, "passkey_credentials") == 0


async def test_a_credential_that_somebody_has_is_not_taken_again(
    anonymous, sign_up: SignUp, system_pool: Pool
):
    device, ada = await sign_up()
    known = device.credentials[0]

    class Copier(Authenticator):
        """Claims the id of another's passkey, with a key of its own."""

        def create(self, options: dict[str, Any], **lies: Any) -> dict[str, Any]:
            answer = super().create(options, named=known.id, **lies)
            return answer | {"id": encoded(known.id), "rawId": encoded(known.id)}

    assert refusal(await end_sign_up(anonymous, Copier())) == (409, "login.taken")
    _, grace = await sign_up("Grace Hopper")
    assert refusal(await add(grace.client, Copier())) == (409, "login.taken")
    assert refusal(await add(ada.client, Copier())) == (409, "request.conflict")
    assert await count_rows(system_pool, "users") == 2
    assert (await sign_in(anonymous, device)).json()["user"]["id"] == ada.id


async def test_a_counter_that_goes_back_is_refused_noted_and_shown(anonymous, sign_up: SignUp):
    device, ada = await sign_up(flags=PRESENT | VERIFIED, counts=True)
    for _ in range(2):
        assert (await sign_in(anonymous, device)).status_code == 200
    before = counted("counter")
    # Forged ones do not count: anybody could cast suspicion.
    forged = await sign_in(anonymous, device, count=1, signature=b"no signature")
    assert refusal(forged) == REFUSED
    assert (await passkeys(ada.client))[0]["suspected_at"] is None
    for count in (2, 1, 0):
        assert refusal(await sign_in(anonymous, device, count=count)) == REFUSED
    (passkey,) = await passkeys(ada.client)
    assert passkey["suspected_at"] is not None
    assert counted("counter") == before + 3
    # Whichever has counted further goes on.
    assert (await sign_in(anonymous, device)).status_code == 200
    # Two at once with one count are one.
    answers = await asyncio.gather(*(sign_in(anonymous, device, count=17) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]


async def test_nothing_that_names_a_device_is_in_the_log(anonymous, sign_up: SignUp):
    with capture_logs([format_exc_info]) as lines:
        device, _ = await sign_up("Very Private Name", flags=PRESENT | VERIFIED, counts=True)
        await sign_in(anonymous, device)
        await sign_in(anonymous, device, count=1)
        await sign_in(anonymous, device, said={"origin": "https://evil.example"})
    said = json.dumps(lines, default=str)
    assert "request_finished" in said
    for secret in ("Very Private", encoded(device.credentials[0].id), "evil.example"):
        assert secret not in said


OTHER_SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"credential": None},
    {"credential": {}},
    {"credential": {"id": "AA", "type": "password", "response": {}}},
    {"credential": {"id": "A" * 1365, "type": "public-key", "response": {}}},
    {"credential": {"id": "AA\n", "type": "public-key", "response": {}}},
    {"credential": [], "extra": 1},
)


async def test_bodies_of_another_shape_are_named_and_change_nothing(anonymous, sign_up: SignUp):
    device, ada = await sign_up()
    places = ((anonymous, SIGN_UP), (anonymous, SIGN_IN), (ada.client, "/v1/me/passkeys"))
    for body in OTHER_SHAPES:
        for client, path in places:
            answer = await client.post(path, json=body)
            assert refusal(answer) in {(422, "request.invalid"), (400, "request.malformed")}, body
    options = await ask(anonymous, f"{SIGN_IN}/options")
    for field in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
        credential = device.get(options)
        credential["response"][field] = "A" * 10_000
        answer = await anonymous.post(SIGN_IN, json={"credential": credential})
        assert refusal(answer) == (422, "request.invalid"), field
    headers = {"content-type": "application/json"}
    nested = '{"credential":' * 5_000
    answer = await anonymous.post(SIGN_IN, content=nested, headers=headers)
    assert refusal(answer) == (400, "request.malformed")
    huge = b'{"credential": "' + b"A" * 200_000 + b'"}'
    answer = await anonymous.post(SIGN_IN, content=huge, headers=headers)
    assert refusal(answer) == (413, "request.too_large")
    # None of it has spent the challenge.
    body = {"credential": device.get(options)}
    assert (await anonymous.post(SIGN_IN, json=body)).status_code == 200
    # Fields of later versions are passed over.
    options = await ask(anonymous, f"{SIGN_IN}/options")
    credential = device.get(options) | {"laterExtension": {"a": [1]}}
    credential["response"]["laterField"] = "x"
    answer = await anonymous.post(SIGN_IN, json={"credential": credential})
    assert answer.status_code == 200


async def test_each_step_is_counted_as_the_other_sign_ins_are(hub: Running, ada: User):
    for path, policy in (
        (f"{SIGN_UP}/options", "login"),
        (f"{SIGN_IN}/options", "login"),
        (SIGN_UP, "auth"),
        (SIGN_IN, "auth"),
        ("/v1/me/passkeys/options", "login"),
        ("/v1/me/passkeys", "auth"),
    ):
        take = AsyncMock(return_value=None)
        hub.resources.limiter.take = take
        await ada.client.post(path, json={})
        assert [call.args[0] for call in take.await_args_list] == [policy], path
