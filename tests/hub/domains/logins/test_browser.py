"""Signing in through a browser, at a real identity provider."""

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt

from core import clock, config
from core.crypto import blind_index
from core.db import Pool
from core.ids import new_token
from hub.providers.oidc_settings import apple_secret
from tests.fixtures.app import Running, User, count_rows
from tests.fixtures.identity_provider import (
    APP,
    APPLE_ID,
    Browser,
    IdentityProvider,
    landed,
    with_providers,
)

Open = Callable[[Running], Browser]


@pytest_asyncio.fixture
async def hub(
    start_app: Callable[[config.Settings], Awaitable[Running]],
    app_settings: config.Settings,
    identity_provider: IdentityProvider,
) -> Running:
    """Return a hub whose provider is the one of this test."""
    providers = {
        "idp": identity_provider.settings(),
        "other": identity_provider.settings(),
        "public": identity_provider.settings(client_id="public", client_secret=""),
        "apple": identity_provider.apple(),
    }
    running = await start_app(with_providers(app_settings, **providers))
    # One address signs in here more often than a minute allows.
    running.resources.limiter.take = AsyncMock(return_value=None)
    return running


@pytest.fixture
def browser(hub: Running, open_browser: Open) -> Browser:
    return open_browser(hub)


async def me(browser: Browser, tokens: httpx.Response) -> dict:
    assert tokens.status_code == 200, tokens.text
    headers = {"Authorization": f"Bearer {tokens.json()['access_token']}"}
    return (await browser.hub.get("/v1/me", headers=headers)).json()


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.req("ACC-03")
@pytest.mark.req("ACC-09")
async def test_a_first_sign_in_makes_an_account_and_the_next_one_finds_it(browser: Browser):
    told = await browser.sign_in()
    assert told.keys() == {"from", "code", "state"}
    assert (told["from"], told["state"]) == ("hub", "the-app's-own")
    tokens = await browser.exchange(told)
    account = await me(browser, tokens)
    assert (account["full_name"], account["email"], account["locale"]) == (
        "Ada Lovelace",
        "Ada@Example.org",
        "en-GB",
    )
    again = await me(browser, await browser.exchange(await browser.sign_in()))
    assert again["id"] == account["id"]
    refreshed = await browser.hub.post(
        "/v1/auth/refresh", json={"refresh_token": tokens.json()["refresh_token"]}
    )
    assert refreshed.status_code == 200


async def test_who_is_signed_in_at_the_provider_is_asked_anew_where_the_app_wants_it(
    browser: Browser, identity_provider: IdentityProvider
):
    tokens = (await browser.exchange(await browser.sign_in())).json()
    start = await browser.start(max_age="600")
    assert "max_age=600" in start.headers["location"]
    back = await browser.authorize(start)
    told = landed(await browser.come_back(back.headers["location"]))
    again = await browser.exchange(told, refresh_token=tokens["refresh_token"])
    assert again.status_code == 200, again.text
    assert again.json()["refresh_token"] != tokens["refresh_token"]
    assert session_of(again.json()) == session_of(tokens)
    # A provider that did not ask, or says nothing of it, is not believed.
    for lie in ({"claims": {"auth_time": clock.unix_seconds() - 700}}, {"drop": ["auth_time"]}):
        await identity_provider.tamper(**lie)
        back = await browser.authorize(await browser.start(max_age="600"))
        assert landed(await browser.come_back(back.headers["location"]))["error"] == "login.refused"


def session_of(tokens: dict[str, Any]) -> str:
    payload = tokens["access_token"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=="))["sid"]


async def test_a_client_without_a_secret_signs_in_by_pkce_alone(browser: Browser):
    assert (await browser.exchange(await browser.sign_in(provider="public"))).status_code == 200


@pytest.mark.req("ACC-02")
async def test_apple_posts_a_form_and_takes_a_secret_that_its_key_signed(browser: Browser):
    start = await browser.start("apple")
    assert "response_mode=form_post" in start.headers["location"]
    (cookie,) = start.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-ping_login_")
    for attribute in ("SameSite=none", "Secure", "HttpOnly", "Path=/"):
        assert attribute.lower() in cookie.lower()
    page = await browser.authorize(start, "idp-relay")
    fields = dict(form_fields(page.text))
    answer = await browser.hub.post(
        "/v1/auth/apple/callback", data=fields, headers=browser.cookie_header()
    )
    account = await me(browser, await browser.exchange(landed(answer)))
    assert account["email"] == "x7y8@privaterelay.appleid.com"


def form_fields(text: str) -> list[tuple[str, str]]:
    return re.findall(r'name="(\w+)" value="([^"]*)"', text)


async def test_the_secret_for_apple_is_of_today_and_for_apple_alone(
    identity_provider: IdentityProvider,
):
    secret = apple_secret(identity_provider.apple())
    claims = jwt.decode(secret, identity_provider.apple_key, algorithms=["ES256"]).claims
    assert claims["sub"] == APPLE_ID
    assert claims["exp"] - claims["iat"] == 300


async def test_nothing_that_opens_anything_is_in_an_address(browser: Browser, hub: Running):
    start = await browser.start()
    back = await browser.authorize(start)
    final = await browser.come_back(back.headers["location"])
    urls = start.headers["location"] + back.headers["location"] + final.headers["location"]
    assert browser.verifier not in urls
    # Whoever reads all addresses and not the app's verifier has nothing.
    stolen = {"code": landed(final)["code"], "code_verifier": new_token()}
    answer = await browser.hub.post("/v1/auth/token", json=stolen)
    assert refusal(answer) == (401, "login.code_invalid")
    keys = await hub.resources.redis.keys(f"{hub.settings.redis.key_prefix}:once:*")
    assert keys == []


async def test_a_code_works_once_however_many_ask_at_once(browser: Browser, system_pool: Pool):
    told = await browser.sign_in()
    answers = await asyncio.gather(*(browser.exchange(told) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
    assert await count_rows(system_pool, "sessions") == 1


async def test_a_code_lives_a_minute_and_redis_shows_nothing_of_it(browser: Browser, hub: Running):
    told = await browser.sign_in()
    redis = hub.resources.redis
    (key,) = await redis.keys(f"{hub.settings.redis.key_prefix}:once:*")
    assert 50 <= await redis.ttl(key) <= 60
    stored = key + await redis.get(key)
    for secret in (told["code"], "idp-ada", "Ada", browser.verifier):
        assert secret.encode() not in stored


async def test_parallel_first_sign_ins_make_one_account(
    hub: Running, open_browser: Open, system_pool: Pool
):
    browsers = [open_browser(hub) for _ in range(3)]
    told = [await browser.sign_in() for browser in browsers]
    answers = await asyncio.gather(
        *(browser.exchange(item) for browser, item in zip(browsers, told, strict=True))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert await count_rows(system_pool, "users") == 1


HOSTILE = [
    "https://evil.example/",
    "https://app.example/signed-in",
    APP + "/",
    APP + "#x",
    APP.replace("https", "http"),
    "https://app.example.evil.example/signed-in?from=hub",
    "https://app.example@evil.example/signed-in?from=hub",
    "//app.example/signed-in?from=hub",
    "https://APP.example/signed-in?from=hub",
    "https://app.example\\@evil.example/signed-in?from=hub",
    "https://app.example/signed-in?from=hub\r\nSet-Cookie: a=b",
    "javascript:alert(1)",
]


async def test_a_sign_in_ends_nowhere_but_where_the_settings_say(browser: Browser):
    for hostile in HOSTILE:
        answer = await browser.start(redirect_uri=hostile)
        assert refusal(answer) == (422, "login.redirect_refused"), hostile
        assert "location" not in answer.headers
        assert "set-cookie" not in answer.headers


async def test_the_hub_s_own_console_may_always_be_come_back_to(browser: Browser, hub: Running):
    own = hub.settings.server.public_url
    for page in ("/console", "/console/account"):
        assert (await browser.start(redirect_uri=own + page)).status_code == 303
    for hostile in ("/console/other", "/console?next=//evil.example", "/console/../t"):
        answer = await browser.start(redirect_uri=own + hostile)
        assert refusal(answer) == (422, "login.redirect_refused"), hostile


async def test_a_sign_in_page_learns_what_it_may_offer(anonymous):
    answer = await anonymous.get("/v1/auth/methods")
    offered = answer.json()
    assert {item["name"]: item["kind"] for item in offered["providers"]}["idp"] == "oidc"
    assert (offered["passkeys_of"], offered["passkey_sign_up"]) == ("localhost", False)
    assert "client" not in answer.text


async def test_a_sign_in_without_the_app_s_challenge_does_not_begin(browser: Browser):
    for challenge in ["", "short", "x" * 44, "x" * 42 + "+", "x" * 43 + "\n"]:
        answer = await browser.start(code_challenge=challenge)
        assert refusal(answer) == (422, "request.invalid"), challenge


async def test_unknown_providers_are_refused(browser: Browser):
    assert refusal(await browser.start("nobody")) == (404, "login.provider_unknown")
    body = {"id_token": "x" * 20, "nonce": "x" * 20}
    answer = await browser.hub.post("/v1/auth/nobody/id-token", json=body)
    assert refusal(answer) == (404, "login.provider_unknown")


async def test_another_browser_cannot_finish_a_sign_in(
    hub: Running, browser: Browser, open_browser: Open
):
    back = await browser.authorize(await browser.start())
    for cookies in ({}, {"ping_login_": "x"}, (await other_cookies(hub, open_browser))):
        browser.cookies, own = cookies, browser.cookies
        answer = await browser.come_back(back.headers["location"])
        assert answer.status_code == 400
        assert "Sign-in not under way" in answer.text
        assert "location" not in answer.headers
        browser.cookies = own
    assert "code" in landed(await browser.come_back(back.headers["location"]))


async def other_cookies(hub: Running, open_browser: Open) -> dict[str, str]:
    other = open_browser(hub)
    await other.start()
    return other.cookies


async def test_a_cookie_of_another_sign_in_does_not_fit(hub: Running, browser: Browser):
    first = await browser.authorize(await browser.start())
    ((name, _),) = browser.cookies.items()
    browser.cookies = {}
    await browser.start()
    ((_, other),) = browser.cookies.items()
    browser.cookies = {name: other}
    answer = await browser.come_back(first.headers["location"])
    assert answer.status_code == 400


async def test_a_wrong_state_ends_nowhere(browser: Browser):
    back = await browser.authorize(await browser.start())
    for state in [None, "", "x", "x" * 43, "x" * 5000]:
        answer = await browser.come_back(back.headers["location"], state=state)
        assert (answer.status_code, "location" in answer.headers) == (400, False), state


async def test_apps_that_ask_for_json_get_the_problem(browser: Browser):
    answer = await browser.hub.get(
        "/v1/auth/idp/callback?state=x&code=y", headers={"Accept": "application/json"}
    )
    assert refusal(answer) == (400, "login.state_invalid")


async def test_a_sign_in_ends_after_ten_minutes(browser: Browser, monkeypatch: pytest.MonkeyPatch):
    back = await browser.authorize(await browser.start())
    now = clock.unix_seconds()
    monkeypatch.setattr(clock, "unix_seconds", lambda: now + 601)
    assert (await browser.come_back(back.headers["location"])).status_code == 400


async def test_a_sign_in_at_one_provider_is_not_finished_at_another(browser: Browser):
    back = await browser.authorize(await browser.start())
    url = back.headers["location"].replace("/idp/", "/other/")
    assert (await browser.come_back(url)).status_code == 400


INVENTED: list[dict[str, str | None]] = [
    {"iss": "https://evil.example"},
    {"iss": None},
    {"iss": ""},
    {"code": "invented"},
    {"code": None},
    {"code": "x" * 5000},
]


async def test_what_the_provider_did_not_say_is_refused(browser: Browser, system_pool: Pool):
    for changes in INVENTED:
        back = await browser.authorize(await browser.start())
        told = landed(await browser.come_back(back.headers["location"], **changes))
        assert told.get("error") == "login.refused", changes
        assert "code" not in told
    assert await count_rows(system_pool, "users") == 0


async def test_a_parameter_that_stands_twice_is_refused(browser: Browser):
    back = await browser.authorize(await browser.start())
    url = back.headers["location"].removeprefix("http://127.0.0.1:8000") + "&code=other"
    answer = await browser.hub.get(url, headers=browser.cookie_header())
    assert landed(answer)["error"] == "login.refused"


async def test_whoever_declines_comes_back_without_a_code(browser: Browser):
    start = await browser.start()
    key = dict(httpx.URL(start.headers["location"]).params)["state"]
    url = f"/v1/auth/idp/callback?error=access_denied&state={key}"
    answer = await browser.hub.get(url, headers=browser.cookie_header())
    told = landed(answer)
    assert (told["error"], told["state"]) == ("login.declined", "the-app's-own")


async def test_the_provider_s_code_works_once(browser: Browser, open_browser: Open, hub: Running):
    start = await browser.start()
    kept = dict(browser.cookies)
    back = await browser.authorize(start)
    assert "code" in landed(await browser.come_back(back.headers["location"]))
    browser.cookies = kept
    assert landed(await browser.come_back(back.headers["location"]))["error"] == "login.refused"


STRANGE = [
    ({"nonce": "another"}, {}),
    ({"aud": "another"}, {}),
    ({"aud": ["pinghub", "another"]}, {}),
    ({"aud": ["pinghub", "another"], "azp": "pinghub"}, {}),
    ({"aud": []}, {}),
    ({"azp": "another"}, {}),
    ({"iss": "https://evil.example"}, {}),
    ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, {}),
    ({"at_hash": 7}, {}),
    ({"exp": 1}, {}),
    ({"exp": 1e18}, {}),
    ({"exp": -1}, {}),
    ({"exp": "2999999999"}, {}),
    ({"iat": 4_000_000_000}, {}),
    ({"nbf": 4_000_000_000}, {}),
    ({"sub": ""}, {}),
    ({"sub": "x" * 256}, {}),
    ({"sub": "somebody else"}, {}),
    ({}, {"kid": "unknown"}),
    ({}, {"kid": "key-1"}),
    ({}, {"kid": "../../etc/passwd"}),
]


async def test_an_id_token_that_is_not_of_this_sign_in_is_refused(
    browser: Browser, identity_provider: IdentityProvider, system_pool: Pool
):
    for claims, header in STRANGE:
        back = await browser.authorize(await browser.start())
        await identity_provider.tamper(claims=claims, header=header)
        told = landed(await browser.come_back(back.headers["location"]))
        assert told.get("error") == "login.refused", (claims, header)
    assert await count_rows(system_pool, "users") == 0


async def test_an_id_token_without_a_claim_is_refused(
    browser: Browser, identity_provider: IdentityProvider
):
    for claim in ["iss", "aud", "exp", "iat", "nonce", "sub"]:
        back = await browser.authorize(await browser.start())
        await identity_provider.tamper(drop=[claim])
        told = landed(await browser.come_back(back.headers["location"]))
        assert told.get("error") == "login.refused", claim


async def test_without_at_hash_a_token_is_taken_as_the_standard_allows(
    browser: Browser, identity_provider: IdentityProvider
):
    back = await browser.authorize(await browser.start())
    await identity_provider.tamper(drop=["at_hash"])
    assert "code" in landed(await browser.come_back(back.headers["location"]))


async def test_an_access_token_that_was_swapped_is_noticed(
    browser: Browser, identity_provider: IdentityProvider
):
    back = await browser.authorize(await browser.start())
    await identity_provider.tamper(answer={"access_token": "of somebody else"})
    assert landed(await browser.come_back(back.headers["location"]))["error"] == "login.refused"


@pytest.mark.req("ACC-04")
async def test_an_unverified_address_leads_to_no_account_and_is_not_kept(
    browser: Browser, hub: Running, open_browser: Open
):
    ada = await me(browser, await browser.exchange(await browser.sign_in()))
    mallory = open_browser(hub)
    account = await me(mallory, await mallory.exchange(await mallory.sign_in("idp-mallory")))
    assert account["id"] != ada["id"]
    assert account["email"] is None


async def test_a_verified_address_of_an_account_asks_to_add_the_login_there(
    browser: Browser, hub: Running, open_browser: Open, system_pool: Pool
):
    assert (await browser.exchange(await browser.sign_in())).status_code == 200
    twin = open_browser(hub)
    answer = await twin.exchange(await twin.sign_in("idp-twin"))
    assert refusal(answer) == (409, "login.link_required")
    assert await count_rows(system_pool, "users") == 1
    assert await count_rows(system_pool, "user_logins") == 1


async def test_a_development_user_s_address_is_not_taken_either(
    browser: Browser, new_user: Callable[[str], Awaitable[User]], system_pool: Pool, hub: Running
):
    user = await new_user("Ada Lovelace")
    index = blind_index(hub.resources.index_key, "email", "ada@example.org")
    async with system_pool.connection() as connection:
        await connection.execute("UPDATE users SET email_hash = $2 WHERE id = $1", user.id, index)
    answer = await browser.exchange(await browser.sign_in())
    assert refusal(answer) == (409, "login.link_required")


async def test_whoever_says_nothing_gets_an_account_all_the_same(browser: Browser):
    account = await me(browser, await browser.exchange(await browser.sign_in("idp-nameless")))
    assert (account["full_name"], account["email"]) == ("New user", None)


async def test_a_closed_account_opens_to_nobody(browser: Browser, system_pool: Pool):
    await browser.exchange(await browser.sign_in())
    async with system_pool.connection() as connection:
        await connection.execute("UPDATE users SET deleted_at = now()")
    answer = await browser.exchange(await browser.sign_in())
    assert refusal(answer) == (401, "login.refused")
