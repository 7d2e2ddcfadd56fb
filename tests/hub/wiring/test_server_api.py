"""The server API of the product: behind its own keys, past what REST asks of requests."""

from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from core.config import Settings
from tests.fixtures.app import Running, User

Start = Callable[[Settings], Awaitable[Running]]


@pytest.fixture
async def hub(start_app: Start, app_settings: Settings) -> Running:
    realtime = replace(app_settings.realtime, api_keys="first,second")
    return await start_app(replace(app_settings, realtime=realtime))


async def test_an_application_server_publishes_with_any_content_type(
    hub: Running, ada: User
) -> None:
    channel = f"taps:{ada.id}"
    for key, headers in [("first", {}), ("second", {"content-type": "text/plain"})]:
        async with hub.client(**{"x-api-key": key}, **headers) as client:
            body = b'{"channel":"%b","data":{"n":1}}' % channel.encode()
            answer = await client.post("/api/publish", content=body)
            assert answer.status_code == 200
    history = await hub.app.state.realtime.broker.history(channel)
    assert [item.offset for item in history.publications] == [1, 2]


async def test_the_older_form_is_at_the_bare_address(hub: Running) -> None:
    async with hub.client(**{"x-api-key": "first"}) as client:
        answer = await client.post("/api", content=b'{"method":"info"}')
        assert answer.json()["result"]["nodes"][0]["uid"] == hub.app.state.realtime.node_id
        assert (await client.post("/apipublish", content=b"{}")).status_code == 404


async def test_tokens_of_users_open_nothing_and_keys_do_not_open_rest(
    hub: Running, ada: User
) -> None:
    assert (await ada.client.post("/api/info", json={})).status_code == 401
    async with hub.client(**{"x-api-key": "first"}) as client:
        assert (await client.get("/v1/me")).status_code == 401


async def test_without_keys_nobody_comes_in(start_app: Start, app_settings: Settings) -> None:
    closed = await start_app(app_settings)
    for key in ("", "first"):
        async with closed.client(**{"x-api-key": key}) as client:
            assert (await client.post("/api/info", json={})).status_code == 401


async def test_the_diagnosis_of_a_user_can_be_called(hub: Running, ada: User) -> None:
    call = {"method": "realtime.diagnose", "params": {"user": str(ada.id)}}
    async with hub.client(**{"x-api-key": "first"}) as client:
        answer = (await client.post("/api/rpc", json=call)).json()
        assert answer["result"]["data"]["findings"][0]["code"] == "no_connection"
        for params in ({}, {"user": ""}, {"user": 7}, None):
            answer = (await client.post("/api/rpc", json=call | {"params": params})).json()
            assert answer == {"error": {"code": 107, "message": "bad request"}}
