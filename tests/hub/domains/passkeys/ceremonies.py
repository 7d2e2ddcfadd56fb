"""Ceremonies with passkeys over HTTP, by devices in software."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock

import httpx
import pytest_asyncio

from core import config
from tests.fixtures.app import Running, User
from tests.fixtures.authenticator import Authenticator

SignUp = Callable[..., Awaitable[tuple[Authenticator, User]]]


@pytest_asyncio.fixture
async def hub(
    start_app: Callable[[config.Settings], Awaitable[Running]], app_settings: config.Settings
) -> Running:
    """Return a hub that does not count requests."""
    running = await start_app(app_settings)
    # One address signs in here more often than a minute allows.
    running.resources.limiter.take = AsyncMock(return_value=None)
    return running


@pytest_asyncio.fixture
async def sign_up(hub: Running, anonymous: httpx.AsyncClient) -> AsyncIterator[SignUp]:
    """Make an account on a new device, and a client that is signed in to it."""
    clients: list[httpx.AsyncClient] = []

    async def make(full_name: str = "Ada Lovelace", **device: Any) -> tuple[Authenticator, User]:
        authenticator = Authenticator(**device)
        answer = await end_sign_up(anonymous, authenticator, full_name)
        assert answer.status_code == 200, answer.text
        given = answer.json()
        clients.append(hub.client(authorization=f"Bearer {given['access_token']}"))
        return authenticator, User(
            given["user"]["id"], full_name, clients[-1], given["refresh_token"]
        )

    yield make
    for client in clients:
        await client.aclose()


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return what a refusal is told by."""
    return answer.status_code, answer.json()["code"]


async def ask(client: httpx.AsyncClient, path: str, body: Any = None) -> dict[str, Any]:
    """Return the options that a ceremony begins with."""
    answer = await client.post(path, json=body) if body else await client.post(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def end_sign_up(
    client: httpx.AsyncClient, device: Authenticator, full_name: str = "Ada Lovelace", **lies: Any
) -> httpx.Response:
    """Begin and end a sign-up on a device."""
    options = await ask(client, "/v1/auth/passkeys/sign-up/options", {"full_name": full_name})
    body = {"credential": device.create(options, **lies)}
    return await client.post("/v1/auth/passkeys/sign-up", json=body)


async def sign_in(client: httpx.AsyncClient, device: Authenticator, **lies: Any) -> httpx.Response:
    """Begin and end a sign-in on a device."""
    options = await ask(client, "/v1/auth/passkeys/sign-in/options")
    body = {"credential": device.get(options, **lies)}
    return await client.post("/v1/auth/passkeys/sign-in", json=body)


async def add(client: httpx.AsyncClient, device: Authenticator, **more: Any) -> httpx.Response:
    """Add a passkey on a device to a signed-in account."""
    options = await ask(client, "/v1/me/passkeys/options")
    body = {"credential": device.create(options), **more}
    return await client.post("/v1/me/passkeys", json=body)


async def passkeys(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Return the passkeys of an account."""
    return (await client.get("/v1/me/passkeys")).json()["items"]
