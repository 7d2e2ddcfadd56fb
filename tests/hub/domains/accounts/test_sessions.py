"""Where a user is signed in: listed, named, ended from another device."""

from typing import Any

import httpx
import pytest

from core.ids import new_id
from tests.fixtures.app import Running, User

SIGN_IN = "/v1/auth/development/sign-in"
SESSIONS = "/v1/me/sessions"


class Device:
    """A client that signed in on its own, and remembers its refresh token."""

    def __init__(self, client: httpx.AsyncClient, signed_in: dict[str, Any]) -> None:
        self.client = client
        self.refresh_token: str = signed_in["refresh_token"]
        client.headers["authorization"] = f"Bearer {signed_in['access_token']}"

    async def sessions(self) -> list[dict[str, Any]]:
        answer = await self.client.get(SESSIONS)
        assert answer.status_code == 200
        return answer.json()["items"]

    async def refresh(self) -> int:
        answer = await self.client.post(
            "/v1/auth/refresh", json={"refresh_token": self.refresh_token}
        )
        if answer.status_code == 200:
            self.refresh_token = answer.json()["refresh_token"]
        return answer.status_code

    async def is_signed_in(self) -> bool:
        return (await self.client.get("/v1/me")).status_code == 200


@pytest.fixture
async def phone(hub: Running, ada: User):
    async with hub.client(peer="192.0.2.1", **{"user-agent": "Phone/1"}) as client:
        yield await sign_in(hub, ada, client)


@pytest.fixture
async def tablet(hub: Running, ada: User):
    async with hub.client(peer="192.0.2.2", **{"user-agent": "Tablet/2"}) as client:
        yield await sign_in(hub, ada, client)


async def sign_in(hub: Running, user: User, client: httpx.AsyncClient) -> Device:
    async with hub.client(**{"user-agent": client.headers["user-agent"]}) as local:
        answer = await local.post(SIGN_IN, json={"user_id": str(user.id)})
    return Device(client, answer.json())


@pytest.mark.req("ACC-09")
async def test_each_sign_in_is_listed_with_where_and_when(phone: Device, tablet: Device):
    first, second, third = await phone.sessions()
    assert [first["user_agent"], second["user_agent"]] == ["Tablet/2", "Phone/1"]
    assert [item["is_current"] for item in (first, second, third)] == [False, True, False]
    assert second["created_at"] == second["last_used_at"]
    assert second["device_name"] is None
    [current] = [item for item in await tablet.sessions() if item["is_current"]]
    assert current["id"] == first["id"]


async def test_an_exchange_of_tokens_keeps_the_session_and_shows_its_use(phone: Device):
    before = (await phone.sessions())[0]
    await phone.client.patch(f"{SESSIONS}/{before['id']}", json={"device_name": "My phone"})
    assert await phone.refresh() == 200
    after = (await phone.sessions())[0]
    assert after == {
        **before,
        "device_name": "My phone",
        "ip": "192.0.2.1",
        "last_used_at": after["last_used_at"],
    }
    assert after["last_used_at"] > before["last_used_at"]


async def test_the_list_pages(phone: Device, tablet: Device):
    page = (await phone.client.get(SESSIONS, params={"limit": 2})).json()
    cursor = page["next_cursor"]
    rest = (await phone.client.get(SESSIONS, params={"limit": 2, "cursor": cursor})).json()
    listed = page["items"] + rest["items"]
    assert (len(listed), rest["has_more"]) == (3, False)
    assert listed == await phone.sessions()
    assert await tablet.sessions()


async def test_a_session_is_named_and_loses_its_name(phone: Device):
    path = f"{SESSIONS}/{(await phone.sessions())[0]['id']}"
    for name in ("Kitchen 🍳", None):
        answer = await phone.client.patch(path, json={"device_name": name})
        assert (answer.status_code, answer.json()["device_name"]) == (200, name)
        assert answer.json() == (await phone.sessions())[0]


async def test_bad_names_change_nothing(phone: Device):
    before = await phone.sessions()
    for body in (
        {},
        {"device_name": ""},
        {"device_name": "x" * 121},
        {"device_name": "a\nb"},
        {"device_name": 1},
        {"device_name": "x", "is_current": True},
    ):
        answer = await phone.client.patch(f"{SESSIONS}/{before[0]['id']}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert await phone.sessions() == before


async def test_a_lost_device_is_signed_out_from_another_one(phone: Device, tablet: Device):
    [lost] = [item for item in await phone.sessions() if item["user_agent"] == "Tablet/2"]
    answer = await phone.client.delete(f"{SESSIONS}/{lost['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not await tablet.is_signed_in()
    assert await tablet.refresh() == 401
    assert await phone.is_signed_in()
    again = await phone.client.delete(f"{SESSIONS}/{lost['id']}")
    assert (again.status_code, again.json()["code"]) == (404, "session.not_found")


async def test_all_others_are_signed_out_at_once(phone: Device, tablet: Device, ada: User):
    assert (await phone.client.delete(SESSIONS)).status_code == 204
    assert [item["is_current"] for item in await phone.sessions()] == [True]
    assert not await tablet.is_signed_in()
    assert (await ada.client.get("/v1/me")).status_code == 401
    assert await phone.refresh() == 200


async def test_sessions_of_others_do_not_exist(phone: Device, grace: User):
    own = (await grace.client.get(SESSIONS)).json()["items"]
    for session_id in (own[0]["id"], str(new_id())):
        path = f"{SESSIONS}/{session_id}"
        for answer in (
            await phone.client.patch(path, json={"device_name": "Mine"}),
            await phone.client.delete(path),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "session.not_found")
    await phone.client.delete(SESSIONS)
    assert (await grace.client.get(SESSIONS)).json()["items"] == own
