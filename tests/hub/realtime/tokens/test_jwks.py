"""Keys from an endpoint: rotation, outages, and endpoints that misbehave."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from hub.realtime.tokens import jwks
from hub.realtime.tokens.claims import TokenInvalidError
from hub.realtime.tokens.jwks import AGE_MAX_SECONDS, REFRESH_SECONDS, RETRY_SECONDS, EndpointKeys
from hub.realtime.tokens.signatures import KeysUnavailableError, SignatureVerifier
from tests.hub.realtime.house import until
from tests.hub.realtime.jwt_maker import EC, ED, RSA, pem, signed, signed_by_hand

CLAIMS = {"sub": "ann"}


def public(key: RSAKey | ECKey | OKPKey, kid: str, **more: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": kid, **more}


def ok(*keys: dict[str, Any]) -> bytes:
    body = json.dumps({"keys": keys}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Endpoint:
    """A loopback server that gives the same answer to everybody."""

    def __init__(self) -> None:
        self.answer = ok(public(RSA, "one"))
        self.requests: list[bytes] = []
        self.hold: asyncio.Event | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        if self.hold:
            await self.hold.wait()
        writer.write(self.answer)
        writer.close()


class House:
    def __init__(self, endpoint: Endpoint, url: str) -> None:
        self.now = 1000.0
        self.endpoint = endpoint
        self.keys = EndpointKeys(url, now=lambda: self.now)
        self.verifier = SignatureVerifier(self.keys)

    async def verify(self, kid: str = "one", key: Any = RSA, algorithm: str = "RS256") -> bytes:
        return await self.verifier.payload(signed(CLAIMS, key, algorithm, kid=kid))


@asynccontextmanager
async def house(answer: bytes | None = None) -> AsyncGenerator[House]:
    endpoint = Endpoint()
    endpoint.answer = answer or endpoint.answer
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    opened = House(endpoint, f"http://user:hidden@127.0.0.1:{port}/.well-known/keys?v=1")
    try:
        yield opened
    finally:
        await opened.keys.close()
        server.close()
        await server.wait_closed()


@pytest.mark.req("RTM-05")
@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "RS256"), (RSA, "RS512"), (EC, "ES256"), (ED, "EdDSA")]
)
async def test_the_endpoints_keys_verify(key: Any, algorithm: str):
    async with house(ok(public(key, "one"))) as here:
        assert await here.verify(key=key, algorithm=algorithm) == b'{"sub": "ann"}'
        (request,) = here.endpoint.requests
        assert request.startswith(b"GET /.well-known/keys?v=1 HTTP/1.1\r\nHost: 127.0.0.1:")
        assert b"hidden" not in request


async def test_a_key_verifies_only_its_own_algorithm():
    async with house(ok(public(RSA, "one", alg="RS512"))) as here:
        await here.verify(algorithm="RS512")
        with pytest.raises(TokenInvalidError):
            await here.verify(algorithm="RS256")
        # The public key as a secret is the classic confusion.
        header = b'{"alg":"HS256","kid":"one"}'
        with pytest.raises(TokenInvalidError):
            await here.verifier.payload(signed_by_hand(header, b"{}", pem(RSA).encode()))


async def test_a_token_has_to_name_its_key():
    async with house() as here:
        with pytest.raises(TokenInvalidError):
            await here.verifier.payload(signed(CLAIMS, RSA, "RS256"))
        assert here.endpoint.requests == []


async def test_one_request_serves_everybody_who_waits():
    async with house() as here:
        here.endpoint.hold = asyncio.Event()
        waiting = [asyncio.create_task(here.verify()) for _ in range(50)]
        await until(lambda: here.endpoint.requests)
        waiting.pop().cancel()
        here.endpoint.hold.set()
        assert len(await asyncio.gather(*waiting)) == 49
        assert len(here.endpoint.requests) == 1


async def test_a_new_key_is_fetched_when_a_token_names_it():
    async with house() as here:
        await here.verify()
        here.endpoint.answer = ok(public(RSA, "one"), public(EC, "two"))
        here.now += RETRY_SECONDS
        await here.verify("two", EC, "ES256")
        await here.verify()
        assert len(here.endpoint.requests) == 2


async def test_invented_key_ids_do_not_make_a_storm_of_requests():
    async with house() as here:
        await here.verify()
        here.now += RETRY_SECONDS
        with pytest.raises(TokenInvalidError):
            await here.verify("invented")
        for number in range(20):
            # Asked a moment ago: that the key is not there now, nobody can know.
            with pytest.raises(KeysUnavailableError):
                await here.verify(f"invented {number}")
        assert len(here.endpoint.requests) == 2


async def test_a_key_that_is_withdrawn_stops_verifying_also_what_is_remembered():
    async with house() as here:
        await here.verify()
        here.endpoint.answer = ok(public(EC, "two"))
        here.now += REFRESH_SECONDS + 1
        await here.verify()  # starts the refresh in the background
        await until(lambda: here.keys.generation == 2)
        here.now += RETRY_SECONDS
        with pytest.raises(TokenInvalidError):
            await here.verify()


async def test_another_key_under_the_same_id_replaces_it():
    async with house() as here:
        await here.verify()
        here.endpoint.answer = ok(public(EC, "one"))
        here.now += REFRESH_SECONDS + 1
        await here.verify()
        await until(lambda: here.keys.generation == 2)
        with pytest.raises(TokenInvalidError):
            await here.verify()
        await here.verify("one", EC, "ES256")


async def test_an_outage_leaves_the_last_keys_in_force_for_a_day():
    async with house() as here:
        await here.verify()
        here.endpoint.answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
        here.now += REFRESH_SECONDS + 1
        await here.verify()
        await until(lambda: len(here.endpoint.requests) == 2)
        here.now += AGE_MAX_SECONDS - REFRESH_SECONDS - 2
        await here.verify()
        here.now += 2
        with pytest.raises(KeysUnavailableError):
            await here.verify()
        here.endpoint.answer = ok(public(RSA, "one"))
        here.now += RETRY_SECONDS
        await here.verify()


async def test_during_an_outage_nobody_knows_about_a_new_key():
    async with house() as here:
        await here.verify()
        here.endpoint.answer = b""
        here.now += RETRY_SECONDS
        with pytest.raises(KeysUnavailableError):
            await here.verify("two")


BAD_ANSWERS: dict[str, bytes] = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0\r\n\r\n",
    "moved": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "no JSON": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n<>",
    "a list": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "cut": ok(public(RSA, "one"))[:-5],
    "huge": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 300_000,
    "endless header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000,
    "no keys": ok(),
    "secrets alone": ok({"kty": "oct", "kid": "one", "k": "YQ"}),
    "for encryption": ok(public(RSA, "one", use="enc")),
    "without ids": ok(RSA.as_dict(private=False)),
    "another algorithm": ok(public(RSA, "one", alg="PS256")),
    "numbers": ok({"kty": "RSA", "kid": "one", "n": 5, "e": "AQAB"}),
    "no number": ok({"kty": "RSA", "kid": "one", "n": "!", "e": "AQAB"}),
    "off the curve": ok({"kty": "EC", "crv": "P-256", "kid": "one", "x": "AQ", "y": "AQ"}),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
async def test_an_endpoint_that_misbehaves_gives_no_keys(answer: bytes):
    async with house(answer) as here:
        if not answer:
            here.endpoint.answer = b""
        with pytest.raises(KeysUnavailableError):
            await here.verify()


async def test_a_body_may_end_with_the_connection_or_come_in_chunks():
    body = ok(public(RSA, "one")).partition(b"\r\n\r\n")[2]
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    for answer in (b"HTTP/1.0 200 OK\r\n\r\n" + body, chunked % (len(body), body)):
        async with house(answer) as here:
            await here.verify()


async def test_unusable_keys_do_not_spoil_the_others():
    strange = {"kty": "OKP", "crv": "X25519", "kid": "x", "x": "AQ"}
    async with house(ok(strange, {"kty": "new"}, public(RSA, "one", x5c=["AA"]))) as here:
        await here.verify()


async def test_private_parts_are_not_read():
    async with house(ok({**RSA.as_dict(private=True), "kid": "one"})) as here:
        await here.verify()
        (key,) = await here.keys.find("RS256", "one")
        assert not key.value.is_private


async def test_an_endpoint_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jwks, "FETCH_SECONDS", 0.05)
    async with house() as here:
        here.endpoint.hold = asyncio.Event()
        with pytest.raises(KeysUnavailableError):
            await here.verify()
        here.endpoint.hold.set()


async def test_an_endpoint_that_is_not_there_gives_no_keys():
    keys = EndpointKeys("http://127.0.0.1:1/keys")
    with pytest.raises(KeysUnavailableError):
        await keys.find("RS256", "one")


@pytest.mark.parametrize(
    "url", ["", "keys.json", "file:///etc/passwd", "ftp://x/", "https://", "https://{{t}}.x/keys"]
)
def test_only_plain_web_addresses_are_endpoints(url: str):
    with pytest.raises(ValueError, match="address"):
        EndpointKeys(url)


@pytest.mark.parametrize("host", ["keys.example", "10.0.0.7", "localhost.example", "[fd00::1]"])
def test_keys_come_over_tls_or_from_this_machine(host: str):
    with pytest.raises(ValueError, match="has to be https"):
        EndpointKeys(f"http://{host}/keys")
    assert EndpointKeys(f"https://{host}/keys")
    for here in ("localhost", "127.0.0.2:8080", "[::1]:8080"):
        assert EndpointKeys(f"http://{here}/keys")
