"""Whatever address a user brings, no connection goes inside, no answer takes more than its due."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hub.providers.outgoing import Outgoing, OutgoingError, system_resolve
from tests.fixtures.authority import Authority
from tests.hub.providers.outside_world import ELSEWHERE, PUBLIC, World, opened, plain
from tests.hub.providers.test_outgoing_rules import SPECIAL

NOT_VERIFIED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
SECRETS = {
    "Authorization": "Bearer a-secret",
    "Cookie": "a-secret=1",
    "X-Vault-Token": "a-secret",
    "Accept": "text/html",
}


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    async with opened() as here:
        here.name("example.com", [PUBLIC])
        here.answers["/"] = plain("200 OK", body=b"hello")
        yield here


def client(world: World, reach: Any = "public", **more: Any) -> Outgoing:
    more = {"tls": NOT_VERIFIED, "resolve": world.resolve, "backend": world, **more}
    return Outgoing(reach, **more)


async def refusal(outgoing: Outgoing, url: str, **more: Any) -> str:
    with pytest.raises(OutgoingError) as refused:
        await outgoing.send("GET", url, **more)
    await outgoing.close()
    return refused.value.reason


async def test_a_public_address_is_asked_by_its_name(world: World) -> None:
    outgoing = client(world)
    answer = await outgoing.send("GET", "http://example.com", headers={"Accept": "text/html"})
    assert (answer.status, answer.body) == (200, b"hello")
    assert world.dialled == [(PUBLIC, 80)]
    (request,) = world.requests
    head = request.lower().split(b"\r\n")
    assert head[0] == b"get / http/1.1"
    assert {b"host: example.com", b"accept: text/html", b"accept-encoding: identity"} <= {*head}


HOSTILE = [
    *("http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f000001/"),
    *("http://0177.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::1%25lo]/"),
    *(
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/",
        "http://0/",
        "http://10.0.0.1",
    ),
    *("http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[fd00:ec2::254]/"),
    *("http://localhost/", "http://localhost.:80/", "http://example.com@127.0.0.1/"),
    *("http://127。0。0。1/", "gopher://127.0.0.1/", "file:///etc/passwd"),
    *("http://example.com:8080/", "http://example.com:6379/", "https://example.com:22/"),
]


@pytest.mark.parametrize("url", HOSTILE)
async def test_no_address_of_a_user_s_leads_inside(world: World, url: str) -> None:
    # As this machine resolves it, so that whatever is let through arrives.
    assert await refusal(client(world, resolve=system_resolve), url) == "address"
    assert (world.dialled, world.connections) == ([], 0)


@pytest.mark.parametrize("address", [text for text in SPECIAL if ":" in text or text[:1].isdigit()])
async def test_no_name_leads_inside_either(world: World, address: str) -> None:
    for answer in ([address], [PUBLIC, address], [address, PUBLIC]):
        world.name("rebound.example", answer)
        assert await refusal(client(world), "http://rebound.example/") == "address"
    assert (world.dialled, world.connections) == ([], 0)


async def test_a_name_that_changes_between_two_questions_is_asked_once(world: World) -> None:
    world.name("rebound.example", [PUBLIC], ["127.0.0.1"])
    outgoing = client(world)
    assert (await outgoing.send("GET", "http://rebound.example/")).status == 200
    assert (world.resolved, world.dialled) == (["rebound.example"], [(PUBLIC, 80)])
    # The next connection is judged anew: nothing is kept open or remembered.
    assert await refusal(outgoing, "http://rebound.example/") == "address"
    assert (len(world.resolved), world.connections) == (2, 1)


@pytest.mark.parametrize(
    "place",
    [
        *("http://127.0.0.1/", "//127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest"),
        *("http://2130706433/", "http://inside.example/", "http://example.com:6379/"),
        *("file:///etc/passwd", "gopher://127.0.0.1/", "http://u:p@example.com/"),
    ],
)
async def test_a_redirect_is_judged_like_a_first_address(world: World, place: str) -> None:
    world.name("inside.example", ["192.168.0.1"])
    world.answers["/"] = plain("302 Found", f"Location: {place}")
    assert await refusal(client(world), "http://example.com/", redirects_max=3) == "address"
    assert world.dialled == [(PUBLIC, 80)]


async def test_a_host_that_rebinds_at_its_own_redirect_is_refused(world: World) -> None:
    world.name("rebound.example", [PUBLIC], ["127.0.0.1"])
    world.answers["/"] = plain("302 Found", "Location: /again")
    assert await refusal(client(world), "http://rebound.example/", redirects_max=3) == "address"
    assert world.connections == 1


async def test_redirects_are_followed_so_far_and_no_further(world: World) -> None:
    world.answers["/"] = plain("302 Found", "Location: /next?a=b#c")
    world.answers["/next?a=b"] = plain("200 OK", body=b"here")
    outgoing = client(world)
    assert (await outgoing.send("GET", "http://example.com/", redirects_max=1)).body == b"here"
    assert (await outgoing.send("GET", "http://example.com/")).status == 302
    posted = await outgoing.send("POST", "http://example.com/", content=b"x", redirects_max=3)
    assert posted.status == 302
    world.answers["/"] = plain("302 Found", "Location: /")
    assert await refusal(outgoing, "http://example.com/", redirects_max=3) == "redirects"
    assert len(world.requests) == 2 + 1 + 1 + 4


async def test_secrets_go_to_the_origin_that_they_are_meant_for(world: World) -> None:
    world.name("other.example", [ELSEWHERE])
    world.answers["/"] = plain("307 Temporary Redirect", "Location: /same")
    world.answers["/same"] = plain("307 Temporary Redirect", "Location: http://other.example/x")
    world.answers["/x"] = plain("307 Temporary Redirect", "Location: http://example.com/back")
    world.answers["/back"] = plain("200 OK")
    await client(world).send("GET", "http://example.com/", headers=SECRETS, redirects_max=3)
    told = [request.count(b"a-secret") for request in world.requests]
    assert told == [3, 3, 0, 0]
    assert all(b"text/html" in request for request in world.requests)
    assert [address for address, _ in world.dialled] == [PUBLIC, PUBLIC, ELSEWHERE, PUBLIC]


async def test_the_environment_has_no_say(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ):
        monkeypatch.setenv(name, f"http://127.0.0.1:{world.port}")
    await client(world).send("GET", "http://example.com/")
    assert world.dialled == [(PUBLIC, 80)]
    assert b"GET / HTTP/1.1" in world.requests[0]


TOO_MUCH = {
    "a declared body": plain("200 OK", "Content-Length: 999999999") + bytes(2000),
    "an endless body": plain("200 OK") + bytes(400_000),
    "chunks": plain("200 OK", "Transfer-Encoding: chunked") + b"800\r\n%b\r\n" % bytes(2048) * 9,
}


@pytest.mark.parametrize("answer", TOO_MUCH.values(), ids=TOO_MUCH.keys())
async def test_a_body_is_read_so_far_and_no_further(world: World, answer: bytes) -> None:
    world.answers["/"] = answer
    reason = await refusal(client(world, body_max_bytes=1000), "http://example.com/")
    assert reason == "too_long"


async def test_what_is_compressed_is_not_opened(world: World) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    for name in ("gzip", "br", "identity, gzip"):
        world.answers["/"] = plain("200 OK", f"Content-Encoding: {name}", body=bomb)
        assert await refusal(client(world), "http://example.com/") == "encoded"


@pytest.mark.parametrize("part", [b"", b"x", b"X-More: yes\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_who_is_slow_is_given_up_whatever_comes(world: World, part: bytes) -> None:
    async def drip(_request: bytes, writer: asyncio.StreamWriter) -> None:
        if part == b"x":
            writer.write(plain("200 OK"))
        elif part.startswith(b"X"):
            writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)

    world.serve = drip
    outgoing = client(world, deadline_seconds=0.1)
    async with asyncio.timeout(20):
        assert await refusal(outgoing, "http://example.com/") == "too_slow"


ENDLESS = {
    "headers": b"HTTP/1.1 200 OK\r\n" + b"X: %b\r\n" % (b"x" * 1000) * 300,
    "a header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000,
    "a trailer": plain("200 OK", "Transfer-Encoding: chunked") + b"0\r\nX: " + b"x" * 300_000,
    "no HTTP": b"220 mail.example ESMTP\r\n",
    "nothing": b"",
    "a cut body": plain("200 OK", "Content-Length: 10", body=b"five5"),
}


@pytest.mark.parametrize("answer", ENDLESS.values(), ids=ENDLESS.keys())
async def test_what_is_no_answer_ends_as_one_failure(world: World, answer: bytes) -> None:
    world.answers["/"] = answer
    assert await refusal(client(world), "http://example.com/") == "unreachable"


async def test_a_name_without_a_reachable_address_is_one_failure_too(world: World) -> None:
    for answer in ([], [PUBLIC]):
        world.name("away.example", answer)
        world.port = 1
        assert await refusal(client(world), "http://away.example/") == "unreachable"


@pytest.mark.parametrize(
    "headers",
    [{"X": "a\r\nHost: inside"}, {"X\r\nY": "z"}, {"X": "a\0b"}, {"X": "→"}, {"host": "inside"}],
    ids=["value", "name", "nul", "no Latin", "host"],
)
async def test_no_header_becomes_two(world: World, headers: dict[str, str]) -> None:
    assert await refusal(client(world), "http://example.com/", headers=headers) == "unreachable"
    assert world.requests == []


async def test_hosts_of_the_settings_may_be_inside_and_nothing_else_is_asked(world: World) -> None:
    world.name("vault.internal", ["10.0.0.7"])
    outgoing = client(world, ("Vault.internal:8200", "[::1]", "idp.example:443"))
    assert (await outgoing.send("GET", "http://vault.internal:8200/")).status == 200
    assert (await outgoing.send("GET", "http://[::1]/")).status == 200
    assert world.dialled == [("10.0.0.7", 8200), ("::1", 80)]
    for other in (
        *("http://vault.internal/", "http://vault.internal:8201/", "http://10.0.0.7:8200/"),
        *("http://example.com/", "http://vault.internal:8200@example.com/", "http://127.0.0.1/"),
    ):
        assert await refusal(outgoing, other) == "address"
    world.answers["/"] = plain("302 Found", "Location: http://example.com/")
    url = "http://vault.internal:8200/"
    assert await refusal(outgoing, url, redirects_max=1) == "address"
    assert len(world.dialled) == 3


async def test_no_user_s_address_reaches_a_host_of_the_settings(world: World) -> None:
    world.name("vault.internal", ["10.0.0.7"])
    trusted, public = client(world, ("vault.internal",)), client(world)
    assert (await trusted.send("GET", "http://vault.internal/")).status == 200
    world.answers["/"] = plain("302 Found", "Location: http://vault.internal/")
    assert await refusal(public, "http://vault.internal/") == "address"
    assert await refusal(public, "http://example.com/", redirects_max=1) == "address"
    assert [address for address, _ in world.dialled] == ["10.0.0.7", PUBLIC]


async def test_tls_asks_for_the_name_although_the_connection_goes_to_an_address(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    identity = authority.issue("server", hosts=("example.com",))
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(identity.certificate_path, identity.key_path)
    asked_for: list[str | None] = []
    serving.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    async with opened(serving) as world:
        for name in ("example.com", "other.example"):
            world.name(name, [PUBLIC])
        world.answers["/"] = plain("200 OK", body=b"hello")
        outgoing = client(world, tls=authority.context())
        assert (await outgoing.send("GET", "https://example.com/")).body == b"hello"
        assert world.dialled == [(PUBLIC, 443)]
        # The certificate is not this one's, and strangers' certificates are none.
        assert await refusal(outgoing, "https://other.example/") == "unreachable"
        assert await refusal(client(world), "https://example.com/") == "unreachable"
        assert asked_for == ["example.com", "other.example", "example.com"]
        # Out of TLS leads no redirect.
        world.answers["/"] = plain("302 Found", "Location: http://example.com/next")
        outgoing = client(world, tls=authority.context())
        assert await refusal(outgoing, "https://example.com/", redirects_max=1) == "address"
        assert len(world.requests) == 2
