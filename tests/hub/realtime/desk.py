"""The official JS SDK as a test's own app, over any of its transports and in both formats."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import ConfigError
from hub.embedded import node
from tests.fixtures.ports import missing

PROGRAM = Path(__file__).parent / "desk.mjs"
SDK = Path("node_modules/centrifuge/package.json")


class Way(NamedTuple):
    """A transport and a format."""

    transport: str
    format: str

    def __str__(self) -> str:
        return "-".join(self)


WAYS = [
    Way("websocket", "json"),
    Way("websocket", "protobuf"),
    Way("http_stream", "json"),
    Way("http_stream", "protobuf"),
    Way("sse", "json"),
]


class RefusedError(Exception):
    """The SDK rejected a call."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code


class Desk:
    """A running SDK, and what the app that is open has printed so far."""

    def __init__(self, process: Process) -> None:
        self.events: list[dict[str, Any]] = []
        self._process = process
        self._app = 0
        self._calls = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def open(
        self, address: Any, framing: str = "json", *tokens: str, emulation: str = ""
    ) -> None:
        """Open an app that connects, in place of the one before."""
        self._app += 1
        self.events.clear()
        await self.call(
            "open",
            app=self._app,
            format=framing,
            transports=address,
            emulation=emulation,
            tokens=list(tokens or ("ann",)),
        )

    def of(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            item
            for item in self.events
            if item["event"] == event and fields.items() <= item.items()
        ]

    def seen(self, channel: str) -> list[Any]:
        return [item["data"] for item in self.of("publication", channel=channel)]

    async def wait(self, event: str, count: int = 1, **fields: Any) -> dict[str, Any]:
        """Wait until so many such events were printed; return the last of them."""
        await self._wait(lambda: len(self.of(event, **fields)) >= count, f"{event} {fields}")
        return self.of(event, **fields)[-1]

    async def wait_seen(self, channel: str, wanted: Sequence[Any]) -> None:
        """Wait for as many publications; they must be these, in this order."""
        await self.wait("publication", len(wanted), channel=channel)
        assert self.seen(channel) == list(wanted)

    async def call(self, call: str, channel: str = "", **arguments: Any) -> Any:
        """Call a method of the SDK; return its result or raise RefusedError."""
        self._calls += 1
        number = self._calls
        line = {"id": number, "call": call, "channel": channel, **arguments}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        await self._wait(lambda: number in self._answers, f"the answer to {call}")
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RefusedError(answer["error"].get("code", 0), answer["error"]["message"])
        return answer.get("result")

    async def hang_up(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        await asyncio.wait_for(self._process.wait(), 10)
        await self._reader

    async def _wait(self, condition: Callable[[], object], what: str) -> None:
        try:
            async with asyncio.timeout(10), self._news:
                await self._news.wait_for(condition)
        except TimeoutError:
            raise AssertionError(f"waited for {what}; events: {self.events}") from None

    async def _read(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            item = json.loads(line)
            async with self._news:
                if "id" in item:
                    self._answers[item["id"]] = item
                elif item["app"] == self._app:
                    self.events.append(item)
                self._news.notify_all()


def transports(http_url: str, way: Way, *more: Way) -> Any:
    """Return what the SDK is given as its address: one websocket, or a list to fall back in."""
    listed = [
        {"transport": name, "endpoint": _endpoint(http_url, name, framing)}
        for name, framing in (way, *more)
    ]
    return listed[0]["endpoint"] if way.transport == "websocket" and not more else listed


def _endpoint(http_url: str, transport: str, framing: str) -> str:
    if transport != "websocket":
        return f"{http_url}/connection/{transport}"
    query = "?format=protobuf" if framing == "protobuf" else ""
    return f"ws{http_url.removeprefix('http')}/connection/websocket{query}"


@asynccontextmanager
async def furnish() -> AsyncGenerator[Desk]:
    """Start the process in which apps are opened."""
    try:
        program = node.find()
    except ConfigError as error:
        missing(str(error))
    if not SDK.exists():  # noqa: ASYNC240  # once, before anything runs
        missing("node_modules/centrifuge: run `make up` or npm ci once")
    process = await asyncio.create_subprocess_exec(
        *(str(program), "--experimental-eventsource", "--no-warnings", str(PROGRAM)),
        stdin=PIPE,
        stdout=PIPE,
    )
    desk = Desk(process)
    yield desk
    await desk.hang_up()
