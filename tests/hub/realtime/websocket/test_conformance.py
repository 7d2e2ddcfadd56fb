"""RFC 6455 against the running server in both carriers, family by family as conformance suites do.

Each case is what a client sends and what an echo has to answer until the connection ends.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator
from typing import NamedTuple

import pytest
import uvicorn
from websockets.frames import Frame
from websockets.protocol import CLIENT, OPEN, Protocol

from hub.realtime.carriers.echo import echo_endpoint
from hub.realtime.carriers.fast_websocket import FastWebSocket
from tests.hub.realtime.websocket.test_frames import masked

LIMIT = 65_536
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GOODBYE = masked(CLOSE, struct.pack("!H", 1000))
UPGRADE = (
    b"GET /autobahn HTTP/1.1\r\nHost: hub.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

Echoed = list[tuple[int, bytes]]


class Case(NamedTuple):
    """What is sent, what comes back, what is sent then, and the code of the close frame."""

    name: str
    sent: bytes
    echoed: Echoed
    then: bytes
    code: int | None
    fast_only: bool = False


def say(name: str, sent: bytes, *echoed: tuple[int, bytes]) -> Case:
    """A case that ends with an orderly goodbye."""
    return Case(name, sent, list(echoed), GOODBYE, 1000)


def fail(name: str, sent: bytes, code: int) -> Case:
    """A case in which the server has to end the connection itself, though all was well before."""
    return Case(name, masked(TEXT, b"well"), [(TEXT, b"well")], sent, code)


def closes(name: str, payload: bytes, code: int | None) -> Case:
    return Case(name, b"", [], masked(CLOSE, payload), code)


def closes_then(name: str, late: bytes) -> Case:
    return Case(name, b"", [], GOODBYE + late, 1000)


def coded(code: int, reason: bytes = b"") -> bytes:
    return struct.pack("!H", code) + reason


def fragments(opcode: int, *parts: bytes) -> bytes:
    return b"".join(
        masked(0 if number else opcode, part, fin=number == len(parts) - 1)
        for number, part in enumerate(parts)
    )


_SIZES = (0, 1, 125, 126, 127, 128, 65_535, 65_536)
_ODD = "κόσμε 𝄞 你好".encode()
_INVALID_TEXTS = {
    "a lone continuation byte": b"\x80",
    "a start without its continuation": b"a\xce",
    "an overlong slash": b"\xc0\xaf",
    "an overlong NUL": b"\xf0\x80\x80\x80",
    "a surrogate": b"\xed\xa0\x80",
    "beyond the last code point": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "impossible bytes": b"\xfe\xff",
    "invalid in its middle": _ODD + b"\xed\xa0\x80" + b"edited",
}
_VALID_TEXTS = {
    "the last of two bytes": b"\xdf\xbf",
    "the last of three bytes": b"\xef\xbf\xbf",
    "the last code point": b"\xf4\x8f\xbf\xbf",
    "before the surrogates": b"\xed\x9f\xbf",
    "after the surrogates": b"\xee\x80\x80",
    "a NUL": b"\x00",
    "several scripts": _ODD,
}

FRAMING = [
    say(f"{kind} of {size} bytes", masked(opcode, b"*" * size), (opcode, b"*" * size))
    for kind, opcode in (("text", TEXT), ("binary", BINARY))
    for size in _SIZES
]
PINGS = [
    say("a ping without payload", masked(PING), (PONG, b"")),
    say("a ping with payload", masked(PING, b"Hello"), (PONG, b"Hello")),
    say("a ping of bytes that are no text", masked(PING, b"\xfe\x00"), (PONG, b"\xfe\x00")),
    say("the longest ping", masked(PING, b"x" * 125), (PONG, b"x" * 125)),
    fail("a ping that is too long", masked(PING, b"x" * 126), 1002),
    say("pongs that nobody asked for", masked(PONG) + masked(PONG, b"hi")),
    say(
        "ten pings at once",
        b"".join(masked(PING, b"%d" % number) for number in range(10)),
        *((PONG, b"%d" % number) for number in range(10)),
    ),
]
RESERVED = [
    fail(f"reserved bits {bits:03b} on opcode {opcode}", masked(opcode, reserved=bits << 4), 1002)
    for bits in range(1, 8)
    for opcode in (TEXT, BINARY, PING, CLOSE)
] + [
    fail("a frame without mask", masked(TEXT, b"a", mask=False), 1002),
]
OPCODES = [
    fail(f"opcode {opcode}", masked(opcode, b"b"), 1002)
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
]
FRAGMENTATION = [
    fail("a fragmented ping", masked(PING, b"a", fin=False) + masked(0, b"b"), 1002),
    fail("a fragmented pong", masked(PONG, b"a", fin=False) + masked(0, b"b"), 1002),
    say("two fragments", fragments(TEXT, b"one", b"two"), (TEXT, b"onetwo")),
    say("empty fragments", fragments(TEXT, b"", b"", b""), (TEXT, b"")),
    say("empty at both ends", fragments(BINARY, b"", b"mid", b""), (BINARY, b"mid")),
    say(
        "a ping between fragments",
        masked(TEXT, b"one", fin=False) + masked(PING, b"p") + masked(0, b"two"),
        (PONG, b"p"),
        (TEXT, b"onetwo"),
    ),
    fail("a continuation of nothing", masked(0, b"a"), 1002),
    fail("an unfinished continuation of nothing", masked(0, b"a", fin=False), 1002),
    fail("a message inside a message", masked(TEXT, b"a", fin=False) + masked(TEXT, b"b"), 1002),
    fail("a message too big", masked(BINARY, b"x" * (LIMIT + 1)), 1009),
    fail("fragments too big together", fragments(BINARY, b"x" * LIMIT, b"x"), 1009),
]
UTF8 = [
    *(say(name, masked(TEXT, text), (TEXT, text)) for name, text in _VALID_TEXTS.items()),
    *(
        say(
            f"{name}, byte by byte",
            fragments(TEXT, *(text[i : i + 1] for i in range(len(text)))),
            (TEXT, text),
        )
        for name, text in _VALID_TEXTS.items()
    ),
    *(fail(name, masked(TEXT, text), 1007) for name, text in _INVALID_TEXTS.items()),
    *(
        fail(
            f"{name}, byte by byte",
            fragments(TEXT, *(text[i : i + 1] for i in range(len(text)))),
            1007,
        )
        for name, text in _INVALID_TEXTS.items()
    ),
    say("the same bytes as binary", masked(BINARY, b"\xfe\xff"), (BINARY, b"\xfe\xff")),
]
CLOSING = [
    closes("nothing", b"", None),
    closes("one byte", b"\x03", 1002),
    *(
        closes(f"code {code}", coded(code), code)
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)
    ),
    *(closes(f"code {code}", coded(code), code) for code in (3000, 3999, 4000, 4999)),
    *(
        closes(f"code {code}", coded(code), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
    ),
    closes("the longest reason", coded(1000, b"r" * 123), 1000),
    closes("a reason that is too long", coded(1000, b"r" * 124), 1002),
    closes("a reason that is no text", coded(1000, b"\xed\xa0\x80"), 1007),
    closes_then("a message after the close", masked(TEXT, b"late")),
    closes_then("a ping after the close", masked(PING, b"late")),
    closes_then("two closes", masked(CLOSE, coded(1001))),
    # uvicorn's own class, below the portable carrier, passes on the message that had begun.
    Case(
        "a close inside a message",
        b"",
        [],
        masked(TEXT, b"one", fin=False) + GOODBYE + masked(0, b"two"),
        1000,
        fast_only=True,
    ),
]


@pytest.fixture(scope="module", params=["fast", "portable"])
def carrier(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def port(carrier: str) -> AsyncGenerator[int]:
    config = uvicorn.Config(
        echo_endpoint(max_message_bytes=LIMIT, max_waiting_bytes=1_000_000),
        port=0,
        log_level="critical",
        lifespan="off",
        ws=FastWebSocket if carrier == "fast" else "websockets-sansio",
        ws_max_size=LIMIT,
        ws_per_message_deflate=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield server.servers[0].sockets[0].getsockname()[1]
    server.servers[0].close()
    for protocol in list(server.server_state.connections):
        protocol.transport.abort()  # pyright: ignore[reportAttributeAccessIssue]
    await asyncio.gather(*server.server_state.tasks)


async def ask(port: int, case: Case, pieces: int, *, at_once: bool) -> tuple[Echoed, int | None]:
    """Send a case in pieces of so many bytes; return what came back and the code of the close."""
    loop = asyncio.get_running_loop()
    client = Protocol(CLIENT, state=OPEN, max_size=None)
    received: Echoed = []

    async def send(data: bytes) -> None:
        for start in range(0, len(data), pieces):
            await loop.sock_sendall(end, data[start : start + pieces])

    async def receive() -> bool:
        data = await asyncio.wait_for(loop.sock_recv(end, 65_536), 5)
        client.receive_data(data) if data else client.receive_eof()
        received.extend(
            (int(frame.opcode), bytes(frame.data))
            for frame in client.events_received()
            if isinstance(frame, Frame)
        )
        return bool(data)

    with socket.socket() as end:
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(end, ("127.0.0.1", port))
        await loop.sock_sendall(end, UPGRADE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await asyncio.wait_for(loop.sock_recv(end, 4096), 5)
        assert head.startswith(b"HTTP/1.1 101 ")
        await send(case.sent)
        while not at_once and len(received) < len(case.echoed) and await receive():
            pass
        # It may have had enough of us already; what it said before still counts.
        with contextlib.suppress(ConnectionError):
            await send(case.then)
        with contextlib.suppress(ConnectionError):
            while await receive():
                pass
    assert received, f"{case.name}: the connection ended without a close frame"
    *echoed, (opcode, payload) = received
    assert opcode == CLOSE
    return echoed, struct.unpack("!H", payload[:2])[0] if payload else None


@pytest.mark.parametrize(
    "family",
    [FRAMING, PINGS, RESERVED, OPCODES, FRAGMENTATION, UTF8, CLOSING],
    ids=["framing", "pings", "reserved bits", "opcodes", "fragmentation", "UTF-8", "closing"],
)
async def test_every_case_of_a_family_is_answered_as_the_standard_says(
    port: int, carrier: str, family: list[Case]
):
    wrong: list[str] = []
    for case in family:
        if case.fast_only and carrier != "fast":
            continue
        whole = len(case.sent) + len(case.then)
        for pieces in (whole, 1 if whole < 400 else 997):
            # Only the fast carrier answers in the turn of the loop in which it reads.
            for at_once in (False, True) if carrier == "fast" else (False,):
                answer = await ask(port, case, pieces, at_once=at_once)
                if answer != (case.echoed, case.code):
                    wrong.append(f"{case.name}, {pieces=}, {at_once=}: {str(answer)[:80]}")
    assert not wrong, "\n".join(wrong)
