"""Keys of access tokens rotate under requests, and nobody is refused."""

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from centrifuge import Client, ClientEventHandler

from core import clock, config
from core.errors import DomainError
from hub.http.tokens import load_keys
from hub.processes import signing_keys
from tests.fixtures.app import User, with_server
from tests.fixtures.ports import free_port
from tests.fixtures.served import Served


@pytest.fixture
def two(app_settings: config.Settings, tmp_path: Path) -> Iterator[list[Served]]:
    """Two serving processes that read one key file."""
    started: list[Served] = []
    for name in ("first", "second"):
        folder, port = tmp_path / name, free_port()
        folder.mkdir()
        url = f"http://127.0.0.1:{port}"
        started.append(Served(with_server(app_settings, port=port, public_url=url), folder))
    for served in started:
        served.wait_ready()
    yield started
    for served in started:
        served.process.kill()
        served.process.wait()


def kid_of(token: str) -> str:
    return json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))["kid"]


class Connected(ClientEventHandler):
    """Remembers how the connection went."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def on_connected(self, ctx: Any) -> None:
        del ctx
        self.outcome.set_result(0)

    async def on_disconnected(self, ctx: Any) -> None:
        if not self.outcome.done():
            self.outcome.set_result(ctx.code)


async def connect(served: Served, token: str) -> int:
    """Open a socket with a token; return 0, or the code of the refusal."""
    events = Connected()
    address = f"ws://127.0.0.1:{served.port}/connection/websocket"
    client = Client(address, events=events, token=token, proxy=None)
    await client.connect()
    outcome = await asyncio.wait_for(events.outcome, 10)
    await client.disconnect()
    return outcome


async def test_a_rotation_refuses_no_valid_token_on_either_process_nor_on_sockets(
    two: list[Served], ada: User, app_settings: config.Settings
) -> None:
    statuses: list[int] = []
    signed: dict[Served, str] = {}

    async def sign_in_here_and_ask_there(here: Served, there: Served) -> None:
        async with httpx.AsyncClient() as client:
            body = {"user_id": str(ada.id)}
            answer = await client.post(f"{here.url}/v1/auth/development/sign-in", json=body)
            statuses.append(answer.status_code)
            token = answer.json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            for served in (here, there):
                statuses.append(
                    (await client.get(f"{served.url}/v1/me", headers=headers)).status_code
                )
                # The first token of all is tried to the end.
                old = {"Authorization": ada.client.headers["authorization"]}
                statuses.append((await client.get(f"{served.url}/v1/me", headers=old)).status_code)
        assert await connect(there, token) == 0
        signed[here] = kid_of(token)

    await sign_in_here_and_ask_there(*two)
    made, retired = signing_keys.add_key(app_settings.auth, 3)
    assert retired == []
    assert made.key.kid not in signed.values()
    async with asyncio.timeout(20), httpx.AsyncClient() as client:
        while set(signed.values()) != {made.key.kid} or len(signed) < 2:
            await sign_in_here_and_ask_there(*two)
            await sign_in_here_and_ask_there(*reversed(two))
        published = (await client.get(f"{two[0].url}/.well-known/jwks.json")).json()["keys"]
    assert set(statuses) == {200}
    assert made.key.kid in {key["kid"] for key in published}
    assert len(published) == 2


@pytest.fixture
def auth(app_settings: config.Settings) -> config.Auth:
    return app_settings.auth


def test_one_key_is_announced_at_a_time(auth: config.Auth) -> None:
    before = Path(auth.signing_keys).stat().st_mode
    made, _ = signing_keys.add_key(auth, 100)
    assert Path(auth.signing_keys).stat().st_mode == before
    with pytest.raises(DomainError, match="announced already"):
        signing_keys.add_key(auth, 100)
    assert next((item.kid, item.state) for item in signing_keys.listed(auth)) == (
        made.key.kid,
        "announced",
    )
    assert [item.state for item in signing_keys.listed(auth)] == ["announced", "signing"]


def test_a_rotation_retires_what_has_signed_nothing_that_still_lives(
    auth: config.Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.unix_seconds()
    first = load_keys(auth).signing_key.key.kid
    second, _ = signing_keys.add_key(auth, 10)
    monkeypatch.setattr(clock, "unix_seconds", lambda: now + 20)
    assert [item.state for item in signing_keys.listed(auth)] == ["signing", "verifying"]
    monkeypatch.setattr(clock, "unix_seconds", lambda: now + 700)
    third, retired = signing_keys.add_key(auth, 10)
    assert retired == [first]
    assert [item.kid for item in signing_keys.listed(auth)] == [third.key.kid, second.key.kid]


def test_the_commands_say_what_they_did_and_no_secret(
    app_settings: config.Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(config, "load", lambda: app_settings)
    signing_keys.rotate(announce_seconds=60, as_json=True)
    told = json.loads(capsys.readouterr().out)
    signing_keys.list_keys(as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["kid"] == told["kid"]
    signing_keys.list_keys()
    lines = capsys.readouterr().out.splitlines()
    assert "announced" in lines[0]
    assert lines[1].endswith("signing, signs from ever")
