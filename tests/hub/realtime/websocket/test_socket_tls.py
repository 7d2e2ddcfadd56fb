"""Sockets behind TLS, whose bytes never go around it."""

import datetime as dt
import ssl
import struct
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hub.realtime.delivery.outbox import write_to_all
from hub.realtime.websocket import frames
from hub.realtime.websocket import socket as websocket
from tests.hub.realtime.house import until
from tests.hub.realtime.websocket.peer import fill, listening, numbered
from tests.hub.realtime.websocket.test_frames import masked


@pytest.fixture
def certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's side of TLS; the client never says its own goodbye."""
    monkeypatch.setattr(websocket, "CLOSE_SECONDS", 0.2)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub.example")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hub.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "pair.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))


async def test_tls_keeps_its_bytes_off_the_descriptor_and_order_as_ever(
    certificate: tuple[ssl.SSLContext, ssl.SSLContext],
):
    async with listening(*certificate) as connect:
        ours, peer = await connect()
        assert ours.descriptor == -1
        write_to_all([ours], numbered(0))
        await peer.read_until(lambda: peer.frames)
        peer.frames.clear()
        count = fill(ours)
        ours.close(3000, "bye")
        await peer.read_until(lambda: peer.frames and peer.frames[-1][0] == 8)
        numbers = [data[:4] for opcode, data in peer.frames if opcode == 2]
        assert numbers == [struct.pack("!I", number) for number in range(count)]
        await peer.send(masked(8, b"\x03\xe8"))
        await until(lambda: ours.losses)


async def test_tls_ends_after_a_broken_frame_too(
    certificate: tuple[ssl.SSLContext, ssl.SSLContext],
):
    async with listening(*certificate) as connect:
        ours, peer = await connect()
        await peer.send(masked(3))
        await peer.read_until(lambda: peer.frames)
        assert frames.parse_close(peer.frames[0][1])[0] == 1002
        await until(lambda: ours.losses)
