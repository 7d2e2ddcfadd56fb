"""The official JS SDK in a real browser, on a page of another origin than the hub."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from hub.realtime import codes
from hub.realtime.broker_memory import MemoryBroker
from tests.fixtures.chromium import CHROMIUM, FLAGS
from tests.fixtures.ports import missing
from tests.hub.realtime.desk import Way, transports
from tests.hub.realtime.house import House, open_house, until

PAGE = b"<!doctype html><title>app</title>"
DIST = Path("node_modules/centrifuge/dist")
APP = """
(address, emulationEndpoint, isBinary) => {
  const read = (data) => (isBinary ? JSON.parse(new TextDecoder().decode(data)) : data)
  const write = (data) => (isBinary ? new TextEncoder().encode(JSON.stringify(data)) : data)
  window.seen = []
  window.told = []
  const client = new Centrifuge(address, {
    emulationEndpoint, token: 'ann', minReconnectDelay: 10, maxReconnectDelay: 100,
  })
  client.on('connected', (context) => told.push(context.transport))
  client.on('error', (context) => told.push(context.type))
  const room = client.newSubscription('room:a')
  room.on('publication', (context) => seen.push(read(context.data)))
  room.on('subscribed', (context) => told.push(context.recovered ? 'recovered' : 'subscribed'))
  room.subscribe()
  client.connect()
  window.publish = (data) => room.publish(write(data))
}
"""


@pytest.fixture
async def page() -> AsyncGenerator[Page]:
    if not CHROMIUM.exists():
        missing("chromium (apt-get install chromium)")
    if not DIST.exists():  # noqa: ASYNC240  # once, before anything runs
        missing("node_modules/centrifuge: run `make up` or npm ci once")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield await chromium.new_page()
        await chromium.close()


@pytest.fixture
async def origin() -> AsyncGenerator[str]:
    """Serve an empty page on a port of its own: another origin than any hub's."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
        writer.write(head + PAGE)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def open_app(page: Page, house: House, way: Way, origin: str) -> None:
    await page.goto(f"{origin}/")
    is_binary = way.format == "protobuf"
    build = "centrifuge.protobuf.js" if is_binary else "centrifuge.js"
    await page.add_script_tag(path=DIST / build)
    arguments = [transports(house.http_url, way), f"{house.http_url}/emulation", is_binary]
    await page.evaluate(f"(given) => ({APP})(...given)", arguments)


async def wait_for(page: Page, condition: str) -> None:
    await page.wait_for_function(condition, timeout=10_000)


async def test_pages_of_allowed_origins_use_every_transport(page: Page, origin: str):
    async with open_house(MemoryBroker, allowed_origins=(origin,)) as house:
        for way in (Way("sse", "json"), Way("http_stream", "json"), Way("http_stream", "protobuf")):
            await open_app(page, house, way, origin)
            await wait_for(page, "told.includes('subscribed')")
            assert way.transport in await page.evaluate("told")
            await page.evaluate("publish({ n: 1 })")
            await house.publish("room:a", {"n": 2})
            await wait_for(page, "seen.length === 2")
            (connection,) = house.hub.connections
            connection.close(codes.CLOSE_FORCE_RECONNECT)
            await house.publish("room:a", {"n": 3})
            await wait_for(page, "told.includes('recovered') && seen.length === 3")
            assert await page.evaluate("seen") == [{"n": 1}, {"n": 2}, {"n": 3}]
            await page.goto("about:blank")
            # A page that is left is noticed at once.
            await until(lambda: not house.hub.connections, "the page's end", 2)


async def test_pages_of_other_origins_get_nothing(page: Page, origin: str):
    async with open_house(MemoryBroker, allowed_origins=("http://127.0.0.1:1",)) as house:
        for way in (Way("sse", "json"), Way("http_stream", "json")):
            await open_app(page, house, way, origin)
            await wait_for(page, "told.includes('transport')")
            assert not house.hub.connections
            assert "subscribed" not in await page.evaluate("told")
            await page.goto("about:blank")
