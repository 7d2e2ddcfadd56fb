"""Ingest's link and the sender over TLS, by login and by the hub's own certificate."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from core.config import Mqtt
from core.errors import ConfigError, DomainError
from core.ids import new_id
from hub.providers import mqtt_sender
from hub.providers.mqtt import MqttLink
from hub.providers.mqtt_sender import MqttSender
from hub.providers.mqtt_tls import tls_context
from tests.fixtures.authority import Authority
from tests.fixtures.mqtt_peer import connected
from tests.fixtures.tls_mqtt import TlsMosquitto

Start = Callable[..., TlsMosquitto]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up soon; a broker that lets us in needs a twentieth of it."""
    monkeypatch.setattr(mqtt_sender, "_BROKER_SECONDS", 1.0)


async def hears(broker: TlsMosquitto, settings: Mqtt) -> None:
    """Carry one message from a gateway to ingest's link, and one back to it."""
    gateway = broker.authority.issue(str(new_id()))
    await asyncio.to_thread(broker.admit, gateway.name)
    link = MqttLink(settings, filters=["$share/group/ping/v1/gw/+/tap"], in_flight_max=10)
    link.start()
    try:
        async with asyncio.timeout(5):
            await link.subscribed.wait()
        with connected(broker.gateway_port, broker.authority.context(gateway)) as peer:
            peer.subscribe(f"ping/v1/cmd/gw/{gateway.name}/#")
            assert peer.publish(f"ping/v1/gw/{gateway.name}/tap", b"a tap") == "Success"
            async with asyncio.timeout(5):
                [delivery] = await link.receive(1, 0)
            assert delivery.payload == b"a tap"
            link.acknowledge([delivery])
            link.publish(f"ping/v1/cmd/gw/{gateway.name}/ack", b"an answer")
            message = await asyncio.to_thread(peer.next_message)
            assert message.payload == b"an answer"
    finally:
        await link.close()


async def test_ingest_speaks_tls_with_its_login(tls_mosquitto: TlsMosquitto):
    await hears(tls_mosquitto, tls_mosquitto.settings())


@pytest.mark.usefixtures("impatient")
async def test_ingest_shows_its_own_certificate_where_the_broker_asks_for_one(
    authority: Authority, start_tls_mosquitto: Start
):
    broker = start_tls_mosquitto(authority, hub_certificate=True)
    await hears(broker, broker.settings())
    without = MqttSender(
        msgspec.structs.replace(broker.settings(), certificate_file="", key_file="")
    )
    try:
        with pytest.raises(DomainError):
            await without.publish("ping/v1/cmd/gw/a/ack", b"")
    finally:
        await without.close()


@pytest.mark.usefixtures("impatient")
async def test_a_broker_of_another_authority_is_not_believed(
    tls_mosquitto: TlsMosquitto, tmp_path: Path
):
    stranger = Authority(tmp_path / "stranger")
    settings = msgspec.structs.replace(tls_mosquitto.settings(), ca_file=str(stranger.ca_path))
    sender = MqttSender(settings)
    try:
        with pytest.raises(DomainError) as raised:
            await sender.publish("ping/v1/cmd/gw/a/ack", b"")
    finally:
        await sender.close()
    assert raised.value.code == "service.unavailable"


def test_files_that_are_none_are_named_with_their_setting(tmp_path: Path, authority: Authority):
    nothing = tmp_path / "nothing.pem"
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no certificate")
    own, other = authority.issue("hub"), authority.issue("other")
    ca_file = str(authority.ca_path)
    for path in (nothing, rubbish):
        with pytest.raises(ConfigError, match=r"mqtt\.ca_file"):
            tls_context(Mqtt(ca_file=str(path)))
        with pytest.raises(ConfigError, match=r"mqtt\.certificate_file"):
            tls_context(Mqtt(ca_file=ca_file, certificate_file=str(path)))
    with pytest.raises(ConfigError, match=r"mqtt\.key_file"):
        tls_context(
            Mqtt(
                ca_file=ca_file,
                certificate_file=str(own.certificate_path),
                key_file=str(other.key_path),
            )
        )
