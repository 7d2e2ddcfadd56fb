"""The opening handshake: what `websockets` says as a client, and what nobody should say."""

import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from hub.realtime.websocket import handshake
from hub.realtime.websocket.handshake import RefusedError

GOOD = {
    "Host": "hub.example",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def head(line: str = "GET /a?b=c HTTP/1.1", **changes: str | None) -> bytes:
    """A good request with some headers changed (underscores for hyphens) or left out."""
    fields = GOOD | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def test_a_client_of_another_make_accepts_our_answer():
    client = ClientProtocol(
        parse_uri("ws://hub.example/connection/websocket?format=json"),
        subprotocols=[Subprotocol("centrifuge-json")],
        extensions=[ClientPerMessageDeflateFactory()],
    )
    client.send_request(client.connect())
    request = handshake.read_request(b"".join(client.data_to_send()))
    assert request.target == b"/connection/websocket?format=json"
    assert request.subprotocols == ["centrifuge-json"]
    assert request.offers_deflate
    client.receive_data(handshake.accept(request, "centrifuge-json", deflate=True))
    (response,) = client.events_received()
    assert isinstance(response, Response)
    assert client.handshake_exc is None
    assert client.subprotocol == "centrifuge-json"
    assert [extension.name for extension in client.extensions] == ["permessage-deflate"]


def test_the_example_of_the_standard_is_answered_as_printed_there():
    answer = handshake.accept(handshake.read_request(head()), headers=[(b"x-more", b"1")])
    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert answer.endswith(b"x-more: 1\r\n\r\n")
    assert b"extensions" not in answer


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (head("POST / HTTP/1.1"), 400),
        (head("GET / HTTP/1.0"), 400),
        (head("GET http://other/ HTTP/1.1"), 400),
        (head("GET /a b HTTP/1.1"), 400),
        (head("GET /\xe4 HTTP/1.1"), 400),
        (head("GET"), 400),
        (head(Upgrade="h2c"), 426),
        (head(Connection="close"), 400),
        (head(Sec_WebSocket_Version="8"), 426),
        (head(Sec_WebSocket_Version=None), 426),
        (head(Sec_WebSocket_Key=None), 400),
        (head(Sec_WebSocket_Key="c2hvcnQ="), 400),
        (head(Sec_WebSocket_Key="not base64!"), 400),
        (
            head().replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"),
            400,
        ),
    ],
)
def test_what_is_no_handshake_is_refused_with_a_status(request_head: bytes, status: int):
    with pytest.raises(RefusedError) as refused:
        handshake.read_request(request_head)
    answer = refused.value.response
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in answer


def test_an_old_client_is_told_the_version():
    with pytest.raises(RefusedError) as refused:
        handshake.read_request(head(Sec_WebSocket_Version="8"))
    assert b"sec-websocket-version: 13\r\n" in refused.value.response


@pytest.mark.parametrize(
    ("offer", "usable"),
    [
        ("permessage-deflate", True),
        ("permessage-deflate; client_max_window_bits", True),
        ("permessage-deflate; server_max_window_bits=15; server_no_context_takeover", True),
        ('permessage-deflate; server_max_window_bits="15"', True),
        ("permessage-deflate; server_max_window_bits=10", False),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", True),
        ("permessage-deflate; unheard", False),
        ("x-webkit-deflate-frame", False),
        ("", False),
    ],
)
def test_compression_is_taken_up_where_one_frame_can_serve_all(offer: str, usable: bool):
    request = handshake.read_request(head(Sec_WebSocket_Extensions=offer))
    assert request.offers_deflate is usable


def test_subprotocols_may_be_spread_over_several_headers():
    request = handshake.read_request(
        head(Sec_WebSocket_Protocol="a, b").replace(
            b"\r\n\r\n", b"\r\nsec-websocket-protocol: c\r\n\r\n"
        )
    )
    assert request.subprotocols == ["a", "b", "c"]
