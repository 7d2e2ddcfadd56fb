"""Server libraries for the original, unmodified: what they send is understood, and back."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from cent import (
    AsyncClient,
    BatchRequest,
    BroadcastRequest,
    CentApiResponseError,
    CentTransportError,
    CentUnauthorizedError,
    ChannelOptionsOverride,
    Client,
    DisconnectRequest,
    HistoryRemoveRequest,
    HistoryRequest,
    InfoRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RefreshRequest,
    StreamPosition,
    SubscribeRequest,
    UnsubscribeRequest,
)
from cent import Disconnect as CentDisconnect
from cent import dto as cent_dto

from hub.realtime.cluster.messages import Disconnect, Refresh, Subscribe, Unsubscribe
from hub.realtime.protocol.messages import ClientInfo
from tests.fixtures.ports import missing
from tests.hub.realtime.server_api.house import KEY, Api, open_api, served

PROJECT = Path(__file__).parents[4]
JAVASCRIPT = Path(__file__).parent / "cent.mjs"


@pytest.fixture
async def api() -> AsyncGenerator[Api]:
    async with open_api() as api:
        yield api


@pytest.fixture
async def url(api: Api) -> AsyncGenerator[str]:
    async with served(api) as url:
        yield url


@pytest.fixture
async def cent(url: str) -> AsyncGenerator[AsyncClient]:
    client = AsyncClient(url, KEY)
    yield client
    await client.close()


async def test_cent_publishes_reads_and_forgets(api: Api, cent: AsyncClient) -> None:
    request = PublishRequest(channel="room:a", data={"n": 1}, tags={"a": "b"}, idempotency_key="k")
    first = await cent.publish(request)
    assert (await cent.publish(request)) == first
    assert first.offset == 1
    in_base64 = PublishRequest(channel="room:a", data=None, b64data="eyJuIjoyfQ==")
    assert (await cent.publish(in_base64)).offset == 2
    several = BroadcastRequest(channels=["room:b", "nowhere:c"], data=[])
    good, unknown = (await cent.broadcast(several)).responses
    assert good.result is not None
    assert good.result.offset == 1
    assert unknown.error is not None
    assert unknown.error.code == 102
    since = StreamPosition(offset=1, epoch=first.epoch)
    page = await cent.history(HistoryRequest(channel="room:a", limit=5, since=since))
    assert [(item.offset, item.data) for item in page.publications] == [(2, {"n": 2})]
    both = await cent.history(HistoryRequest(channel="room:a", limit=1, reverse=True))
    assert (both.publications[0].offset, both.offset, both.epoch) == (2, 2, first.epoch)
    await cent.history_remove(HistoryRemoveRequest(channel="room:a"))
    assert await api.stored("room:a") == []


async def test_cent_moves_connections(api: Api, cent: AsyncClient) -> None:
    override = ChannelOptionsOverride(presence=cent_dto.BoolValue(value=True))
    await cent.subscribe(
        SubscribeRequest(user="ann", channel="room:a", info={"x": 1}, override=override)
    )
    await cent.unsubscribe(UnsubscribeRequest(user="ann", channel="room:a", client="c"))
    terminal = CentDisconnect(code=4500, reason="bye")
    await cent.disconnect(DisconnectRequest(user="ann", whitelist=["c"], disconnect=terminal))
    await cent.refresh(RefreshRequest(user="ann", expired=True))
    assert api.node.orders == [
        Subscribe(user="ann", channel="room:a", info=b'{"x": 1}', presence=True),
        Unsubscribe(user="ann", channel="room:a", client="c"),
        Disconnect(user="ann", whitelist=("c",), code=4500, reason="bye"),
        Refresh(user="ann", expired=True),
    ]


async def test_cent_sees_who_is_there(api: Api, cent: AsyncClient) -> None:
    await api.parts.presence.add("room:a", ClientInfo(user="ann", client="c-1"))
    present = (await cent.presence(PresenceRequest(channel="room:a"))).presence
    assert {client: info.user for client, info in present.items()} == {"c-1": "ann"}
    stats = await cent.presence_stats(PresenceStatsRequest(channel="room:a"))
    assert (stats.num_clients, stats.num_users) == (1, 1)
    channels = (await cent.channels(cent_dto.ChannelsRequest())).channels
    assert {name: item.num_clients for name, item in channels.items()} == {
        "room:a": 2,
        "plain:b": 1,
    }
    [node] = (await cent.info(InfoRequest())).nodes
    assert (node.uid, node.num_clients) == ("node-1", 3)


async def test_cent_sends_batches(api: Api, cent: AsyncClient) -> None:
    requests = [PublishRequest(channel="room:a", data=number) for number in range(3)]
    for parallel in (False, True):
        batch = BatchRequest(requests=[*requests, InfoRequest()], parallel=parallel)
        assert len((await cent.batch(batch)).replies) == 4
    assert [item["data"] for item in await api.stored("room:a")][:3] == [0, 1, 2]


async def test_cent_tells_refusals_apart(url: str, cent: AsyncClient) -> None:
    with pytest.raises(CentApiResponseError) as refused:
        await cent.publish(PublishRequest(channel="nowhere:x", data=1))
    assert (refused.value.code, refused.value.message) == (102, "unknown channel")
    with pytest.raises(CentTransportError) as too_large:
        await cent.publish(PublishRequest(channel="room:a", data="x" * 20_000))
    assert too_large.value.status_code == 413
    stranger = AsyncClient(url, "wrong")
    with pytest.raises(CentUnauthorizedError):
        await stranger.publish(PublishRequest(channel="room:a", data=1))
    await stranger.close()


async def test_cent_without_asyncio(url: str) -> None:
    def publish() -> int:
        client = Client(url, KEY)
        try:
            return client.publish(PublishRequest(channel="room:a", data=1)).offset
        finally:
            client.close()

    assert await asyncio.to_thread(publish) == 1


async def test_cent_js(api: Api, url: str) -> None:
    if not (PROJECT / "node_modules/cent.js").exists():
        missing("the npm packages of package.json")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "hub.embedded.node", str(JAVASCRIPT), url, KEY),
        stdout=asyncio.subprocess.PIPE,
        cwd=PROJECT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    answers = json.loads(out)
    assert answers["published"]["offset"] == 1
    assert answers["history"]["publications"][0]["data"] == {"n": 1}
    assert answers["channels"]["channels"]["room:a"] == {"num_clients": 2}
    assert answers["refused"] == "CentException"
    assert [item["offset"] for item in answers["pipeline"]] == [2, 3]
    assert api.node.orders == [Disconnect(user="ann", client="c")]
