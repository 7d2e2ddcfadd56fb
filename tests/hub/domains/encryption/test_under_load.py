"""Keys change while two hubs are used: no read and no write fails."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from unittest.mock import AsyncMock

import httpx
import pytest
from msgspec.structs import replace

from core import config
from core.crypto import FieldCipher, KeyRing
from core.data_keys import INDEX_SCOPE, DataKeys
from core.db import Pool
from hub.domains.encryption import service
from hub.providers.key_wrapping import open_wrapping
from tests.fixtures.app import Running, User
from tests.fixtures.hub_process import HubProcess
from tests.fixtures.identity_provider import with_providers
from tests.fixtures.ports import free_port
from tests.fixtures.world import FIELD_KEYS, INDEX_KEY
from tests.hub.domains.encryption.processes import unheard
from tests.hub.domains.encryption.rotation_load import (
    PROVIDER,
    Load,
    for_serving,
    make_tag,
    use,
)
from tests.hub.processes.test_keys import run

REFRESH_SECONDS = 2.0
SOAK_ROTATIONS = 8


async def test_the_first_requests_after_a_hub_stood_still_find_its_keys(
    hub: Running, ada: User
) -> None:
    data_keys = hub.resources.cipher.data_keys
    assert data_keys
    now = data_keys.now
    data_keys.now = lambda: now() + 7200
    answers = await asyncio.gather(*(ada.client.get("/v1/me") for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5


@pytest.mark.req("SEC-01", "ACC-15")
async def test_no_request_fails_while_data_keys_and_index_keys_change(
    start_app: Callable[[config.Settings], Awaitable[Running]], app_settings: config.Settings
) -> None:
    settings = with_providers(app_settings, supabase=PROVIDER)
    settings = replace(settings, keys=replace(settings.keys, refresh_seconds=REFRESH_SECONDS))
    hubs = [await start_app(settings) for _ in range(2)]
    for hub in hubs:
        hub.resources.limiter.take = AsyncMock(return_value=None)
    house = hubs[0].resources
    uid = await make_tag(house.system, house.cipher, house.index_key)
    # The rotation is another process's, with keys of its own.
    ring = house.cipher.ring
    cipher = FieldCipher(ring, DataKeys(cache_seconds=3600, announce_seconds=3 * REFRESH_SECONDS))

    async def rotate() -> None:
        for _ in range(2):
            done = await service.rotate(
                house.system,
                cipher,
                open_wrapping(settings.keys, ring),
                with_new_keys=True,
                with_new_index_key=True,
                progress=unheard,
            )
            assert done.resealed > 0
            assert done.reindexed > 0
            assert done.unreadable == 0

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(hub.client()) for hub in hubs]
        load = Load(clients, pace_seconds=0.3)
        await use(load, 2, [uid], rotate())
    assert load.failures == []
    kinds = ("read", "write", "signed up", "refused by address", "matched", "tapped")
    assert all(load.done[kind] for kind in kinds), load.done
    status = await service.read_status(house.system)
    # What hubs have written under the old keys in their last moments is the next run's.
    assert status.unknown_values == 0
    assert {key.number for key in status.data_keys if key.scope == INDEX_SCOPE} == {1, 2}


@pytest.mark.soak
async def test_two_hub_processes_are_used_while_keys_change_again_and_again(
    process_settings: dict[str, str],
    system_pool: Pool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment = {
        **for_serving(process_settings, tmp_path),
        "PINGHUB_KEYS__REFRESH_SECONDS": "2",
    }
    keys = config.Keys(field_keys=FIELD_KEYS, refresh_seconds=2)
    cipher = FieldCipher(
        KeyRing.parse(FIELD_KEYS), DataKeys(cache_seconds=3600, announce_seconds=6)
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(service.kept(system_pool, cipher, keys))
        uids = [await make_tag(system_pool, cipher, INDEX_KEY) for _ in range(2)]
        clients: list[httpx.AsyncClient] = []
        for name in ("one", "two"):
            port = str(free_port())
            hub = HubProcess(
                "serve", {**environment, "PINGHUB_SERVER__PORT": port}, tmp_path / f"{name}.log"
            )
            stack.enter_context(hub)
            await asyncio.to_thread(hub.ready)
            client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20)
            clients.append(await stack.enter_async_context(client))
        load = Load(clients, pace_seconds=1.0)
        rotated: list[dict[str, object]] = []

        async def rotate() -> None:
            for _ in range(SOAK_ROTATIONS):
                rotated.append(
                    await run(environment, "keys", "rotate", "--data-keys", "--index-keys")
                )
                await asyncio.sleep(5)

        await use(load, 12, uids, rotate())
    with capsys.disabled():
        print(f"\n{dict(load.done)}\n{rotated}")
    assert load.failures == []
    assert sum(int(str(done["unreadable"])) for done in rotated) == 0
