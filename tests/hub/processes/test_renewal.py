"""Certificates are renewed over MQTT, once, whatever dies on the way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509

from core import edge
from core.db import Pool
from core.edge import CertificateReply, CertificateRequest
from core.ids import new_id
from hub.domains.gateways.schemas import Message
from tests.fixtures.gateway_identity import PKI, age, claimed
from tests.fixtures.hub_process import HubProcess, environment
from tests.fixtures.mqtt_gateway import MqttGateway
from tests.fixtures.postgres import Database
from tests.fixtures.requests import der, new_key, request_of
from tests.fixtures.waiting import wait_until
from tests.fixtures.world import World

# Ends the process like a power cut after the commit, before the gateway is answered.
_DIES_AFTER_COMMIT = """
import os
from core import config
from hub.processes import ingest
from hub.providers.mqtt import MqttLink

MqttLink.publish = lambda *_: os._exit(9)
ingest.run(config.load())
"""


@pytest.fixture
def start_ingest(tmp_path: Path, database: Database, mqtt_server: Any) -> Callable[..., HubProcess]:
    """Start ingest with an authority on the session's services."""
    return lambda script="", **more: HubProcess(
        "ingest",
        {
            **environment(tmp_path, database, mqtt_url=mqtt_server.url),
            "PINGHUB_PKI__CA_KEY": PKI.ca_key,
            "PINGHUB_PKI__CA_CERTIFICATE": PKI.ca_certificate,
            **more,
        },
        tmp_path / "ingest.log",
        script=script,
    )


@pytest_asyncio.fixture
async def world(api_pool: Pool, system_pool: Pool, world: World) -> World:
    """Return the world after a device has claimed its gateway."""
    await claimed(api_pool, system_pool, world, new_key())
    return world


class Asking:
    """A gateway that asks for its next certificate."""

    def __init__(self, gateway: MqttGateway) -> None:
        self._gateway = gateway
        self._topic = edge.crt_topic(gateway.gateway)
        gateway.subscribe(self._topic)

    def ask(self, csr: bytes, *, about: str = "") -> None:
        """Publish a request, on another gateway's topic if told so."""
        self._gateway.payloads.pop(self._topic, None)
        payload = edge.encode(CertificateRequest(id=b"\7", csr=csr))
        self._gateway.send(Message(about or edge.csr_topic(self._gateway.gateway), payload, 0))

    def reply(self) -> CertificateReply:
        """Wait for the hub's answer."""
        wait_until(lambda: self._topic in self._gateway.payloads, "the hub's answer", 10)
        reply = edge.decode(self._gateway.payloads[self._topic], CertificateReply)
        assert reply.id == b"\7"
        return reply


async def test_a_gateway_renews_its_certificate_and_bad_requests_stop_nobodys_taps(
    admin: Any,
    world: World,
    mqtt_server: Any,
    start_ingest: Callable[..., HubProcess],
) -> None:
    key = new_key()
    csr = der(request_of(key, name="somebody-else", claims_authority=True))
    with (
        start_ingest() as ingest,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        ingest.ready()
        asking = Asking(gateway)
        asking.ask(csr)
        assert asking.reply().code == "not_due"
        await age(admin, 61)
        asking.ask(b"\x30\x82\xff\xff" + b"\0" * 2000)
        assert asking.reply().code == "malformed"
        gateway.send(
            Message(edge.csr_topic(world.gateway_id), b"\xff no CBOR", 0), world.message(1)
        )
        gateway.wait_for(1)
        asking.ask(csr)
        reply = asking.reply()
        assert reply.ca.decode() == PKI.ca_certificate
        made = x509.load_pem_x509_certificate(reply.certificate)
        assert made.public_key() == key.public_key()
        assert made.subject.rfc4514_string() == f"CN={world.gateway_id}"
        assert ingest.stop() == 0
    log = ingest.log.read_text()
    assert "PRIVATE KEY" not in log
    assert "Traceback" not in log


async def test_a_crash_between_commit_and_answer_makes_no_second_certificate(
    admin: Any,
    world: World,
    mqtt_server: Any,
    start_ingest: Callable[..., HubProcess],
) -> None:
    await age(admin, 61)
    csr = der(request_of())
    with MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway:
        asking = Asking(gateway)
        with start_ingest(_DIES_AFTER_COMMIT) as ingest:
            ingest.ready()
            asking.ask(csr)
            assert ingest.wait() == 9
        kept = await admin.fetch("SELECT serial FROM gateway_certificates ORDER BY id")
        assert len(kept) == 2
        with start_ingest() as ingest:
            ingest.ready()
            asking.ask(csr)
            made = x509.load_pem_x509_certificate(asking.reply().certificate)
    assert f"{made.serial_number:x}" == kept[1]["serial"]
    assert await admin.fetchval("SELECT count(*) FROM gateway_certificates") == 2


async def test_no_gateway_can_ask_in_the_name_of_another(
    admin: Any,
    world: World,
    mqtt_server: Any,
    start_ingest: Callable[..., HubProcess],
) -> None:
    await age(admin, 61)
    stranger = new_id()
    with (
        start_ingest() as ingest,
        MqttGateway(mqtt_server.gateway_url(str(stranger)), stranger) as gateway,
    ):
        ingest.ready()
        asking = Asking(gateway)
        asking.ask(der(request_of()), about=edge.csr_topic(world.gateway_id))
        asking.ask(der(request_of()))
        assert asking.reply().code == "revoked", "what came after the foreign request was judged"
    assert await admin.fetchval("SELECT count(*) FROM gateway_certificates") == 1


async def test_without_an_authority_gateways_are_told_so(
    world: World, mqtt_server: Any, start_ingest: Callable[..., HubProcess]
) -> None:
    with (
        start_ingest(PINGHUB_PKI__CA_KEY="") as ingest,
        MqttGateway(mqtt_server.gateway_url(str(world.gateway_id)), world.gateway_id) as gateway,
    ):
        ingest.ready()
        asking = Asking(gateway)
        asking.ask(der(request_of()))
        assert asking.reply().code == "unavailable"
        gateway.send(world.message(1))
        gateway.wait_for(1)
