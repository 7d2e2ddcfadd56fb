"""The way from the spool to the hub over a real MQTT broker, whatever breaks on it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import cbor2
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from core import config, config_shown, edge, mqtt_address
from gateway.delivery import WINDOW
from tests.fixtures.mqtt import RestartableMqtt
from tests.fixtures.rings import eventually, ring_id
from tests.gateway.hub_double import HubDouble, Key, is_genuine
from tests.gateway.processes import running_gateway, tap_by

RING = ring_id(1)


def keys(*seqs: int) -> set[Key]:
    return {(RING, 1, seq) for seq in seqs}


@pytest.fixture
async def hub_on() -> AsyncIterator[Callable[..., HubDouble]]:
    hubs: list[HubDouble] = []

    def start(server: RestartableMqtt, **options: bool) -> HubDouble:
        hubs.append(HubDouble(server.url, **options))
        return hubs[-1]

    yield start
    for hub in hubs:
        hub.close()


async def spooled(gateway) -> int:
    stats = await gateway.spool.stats()
    return stats.pending + stats.sent


async def emptied(gateway, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while await spooled(gateway):  # each look waits for the spool's thread
            pass


@pytest.mark.req("RNG-03", "RNG-05")
async def test_a_tap_reaches_the_hub_and_leaves_the_spool_by_the_hubs_word(
    start_mqtt, hub_on, tmp_path
):
    server = start_mqtt()
    hub = hub_on(server)
    options = {"latitude": 52.5, "longitude": 13.4}
    async with running_gateway(server.gateway_url("gw-1"), tmp_path, **options) as gateway:
        assert await tap_by(gateway, 1)
        await eventually(lambda: keys(1) <= hub.rows.keys(), "the tap")
        await emptied(gateway)
    (event,) = hub.rows.values()
    assert is_genuine(event)
    assert (event.lat, event.lon, event.rssi) == (52.5, 13.4, -40)
    assert event.t is not None
    assert abs(event.t - event.rx_ms) < 100


@pytest.mark.req("RNG-05")
async def test_a_puback_alone_deletes_nothing(start_mqtt, hub_on, tmp_path):
    server = start_mqtt()
    hub = hub_on(server, acknowledging=False)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        for seq in (1, 2, 3):
            await tap_by(gateway, seq)
        await eventually(lambda: len(hub.arrivals) >= 3, "the taps")
        # The second arrival of each shows that the broker's answers have not settled them.
        await eventually(lambda: len(hub.arrivals) >= 6, "the repetition", 8)
        assert await spooled(gateway) == 3
        hub.acknowledge_all()
        await emptied(gateway)
        assert gateway.delivery.resends >= 3


@pytest.mark.req("RNG-05")
async def test_taps_that_nobody_subscribed_to_are_held_until_somebody_does(
    start_mqtt, hub_on, tmp_path
):
    server = start_mqtt()
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        await tap_by(gateway, 1)
        await eventually(lambda: gateway.delivery.alarm == "no_subscribers", "the alarm")
        assert await spooled(gateway) == 1
        hub = hub_on(server)
        await eventually(lambda: keys(1) <= hub.rows.keys(), "the tap")
        await emptied(gateway)


async def test_taps_under_a_foreign_name_are_refused_by_the_broker_and_held(
    start_mqtt, hub_on, tmp_path
):
    server = start_mqtt()
    hub = hub_on(server)
    url = server.gateway_url("gw-1")
    async with running_gateway(url, tmp_path, id="gw-2") as gateway:
        await tap_by(gateway, 1)
        # One broker refuses the subscription, another each tap.
        await eventually(
            lambda: (
                gateway.delivery.alarm == "not_authorized"
                or "Not authorized" in gateway.uplink.problem
            ),
            "the alarm",
        )
        assert await spooled(gateway) == 1
    assert not hub.arrivals


async def test_a_gateway_cannot_be_pushed_out_by_another_that_takes_its_name(
    start_mqtt, hub_on, tmp_path
):
    server = start_mqtt()
    hub = hub_on(server)
    other = mqtt_address.parse(server.gateway_url("gw-2"), "gateway.mqtt_url")
    intruder = paho.Client(CallbackAPIVersion.VERSION2, client_id="gw-gw-1")
    intruder.username_pw_set(other.username, other.password)
    connected = asyncio.Event()
    loop = asyncio.get_running_loop()
    intruder.on_connect = lambda *_: loop.call_soon_threadsafe(connected.set)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        await eventually(lambda: gateway.uplink.is_up, "the connection")
        intruder.connect(other.host, other.port)
        intruder.loop_start()
        try:
            async with asyncio.timeout(5):
                await connected.wait()
            await tap_by(gateway, 1)
            await eventually(lambda: keys(1) <= hub.rows.keys(), "the tap")
            assert gateway.uplink.connects == 1
        finally:
            intruder.disconnect()
            intruder.loop_stop()


@pytest.mark.req("RNG-05")
async def test_taps_made_while_the_broker_is_away_all_arrive_afterwards(
    start_mqtt, hub_on, tmp_path
):
    server = start_mqtt()
    hub = hub_on(server)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        await tap_by(gateway, 1)
        await eventually(lambda: keys(1) <= hub.rows.keys(), "the first tap")
        server.kill()
        await eventually(lambda: not gateway.uplink.is_up, "the loss")
        for seq in range(2, 202):
            assert await tap_by(gateway, seq)
        assert await spooled(gateway) >= 200
        server.restart()
        await eventually(lambda: keys(*range(1, 202)) <= hub.rows.keys(), "all taps", 15)
        await emptied(gateway)
        assert gateway.uplink.connects >= 2


@pytest.mark.req("RNG-05")
async def test_a_broker_killed_with_taps_in_flight_loses_none(start_mqtt, hub_on, tmp_path):
    server = start_mqtt()
    hub = hub_on(server)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:

        async def tap_on() -> None:
            for seq in range(1, 301):
                assert await tap_by(gateway, seq)

        tapping = asyncio.create_task(tap_on())
        for count in (40, 120):
            await eventually(lambda n=count: len(hub.rows) >= n, f"{count} taps", 15)
            server.kill()
            await asyncio.to_thread(server.restart)
        await tapping
        await eventually(lambda: keys(*range(1, 301)) <= hub.rows.keys(), "all taps", 15)
        await emptied(gateway)


async def test_a_gateway_started_before_its_broker_connects_when_that_is_there(
    start_mqtt, hub_on, tmp_path
):
    server = start_mqtt()
    url = server.gateway_url("gw-1")
    server.kill()
    async with running_gateway(url, tmp_path) as gateway:
        await tap_by(gateway, 1)
        await eventually(lambda: gateway.uplink.problem == "unreachable", "the refusal")
        server.restart()
        hub = hub_on(server)
        await eventually(lambda: keys(1) <= hub.rows.keys(), "the tap", 10)


async def test_a_wrong_password_is_told_and_harms_nothing(start_mqtt, tmp_path):
    server = start_mqtt()
    url = f"mqtt://gw-1:wrong@127.0.0.1:{server.port}"
    async with running_gateway(url, tmp_path) as gateway:
        await eventually(lambda: "authori" in gateway.uplink.problem.lower(), "the refusal")
        assert await tap_by(gateway, 1)
        assert not gateway.uplink.is_up


@pytest.mark.req("RNG-05")
async def test_refused_taps_are_quarantined_with_their_reason_and_not_sent_again(
    start_mqtt, hub_on, tmp_path
):
    server = start_mqtt()
    hub = hub_on(server)
    hub.refuse = {1: "bad_tag", 3: "unknown_ring"}
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        for seq in (1, 2, 3, 4):
            await tap_by(gateway, seq)
        await emptied(gateway)
        reasons = {(seq, reason) for _, _, seq, reason in await gateway.spool.quarantined()}
        assert reasons == {(1, "bad_tag"), (3, "unknown_ring")}
        assert hub.rows.keys() == keys(2, 4)
        assert gateway.delivery.outstanding == 0
    hub.arrivals.clear()
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        await tap_by(gateway, 5)
        await emptied(gateway)
    assert set(hub.arrivals) == keys(5)


async def test_the_window_bounds_what_is_under_way(start_mqtt, hub_on, tmp_path):
    server = start_mqtt()
    hub = hub_on(server, acknowledging=False)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        await asyncio.gather(*(tap_by(gateway, seq) for seq in range(1, 200)))
        await eventually(lambda: len(set(hub.arrivals)) >= WINDOW, "a full window")
        assert gateway.delivery.outstanding == WINDOW
        assert len(hub.rows) == WINDOW
        hub.acknowledge_all()
        await eventually(lambda: keys(*range(1, 200)) <= hub.rows.keys(), "the others")
        await emptied(gateway)


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"not cbor", edge.encode(edge.AckMessage(acks=[]))[:-1]]
)
async def test_malformed_acknowledgements_change_nothing(start_mqtt, hub_on, tmp_path, payload):
    server = start_mqtt()
    hub = hub_on(server, acknowledging=False)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        await tap_by(gateway, 1)
        await eventually(lambda: hub.arrivals, "the tap")
        hub.send("gw-1", payload)
        await eventually(lambda: gateway.uplink.refused_payloads == 1, "the refusal")
        assert await spooled(gateway) == 1


async def test_an_acknowledgement_of_other_taps_deletes_nothing(start_mqtt, hub_on, tmp_path):
    server = start_mqtt()
    hub = hub_on(server, acknowledging=False)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        await tap_by(gateway, 1)
        await tap_by(gateway, 2)
        await eventually(lambda: len(hub.rows) == 2, "the taps")
        foreign = edge.Ack(ring=ring_id(2), boot=1, sack=[(0, 2**32 - 1)])
        other_boot = edge.Ack(ring=RING, boot=2, sack=[(0, 2**32 - 1)])
        reversed_range = edge.Ack(ring=RING, boot=1, sack=[(2, 1)])
        right = edge.Ack(ring=RING, boot=1, sack=[(2, 2)])
        hub.send(
            "gw-1",
            edge.encode(edge.AckMessage(acks=[foreign, other_boot, reversed_range, right])),
        )
        await eventually(lambda: gateway.delivery.outstanding == 1, "the right one")
        (row,) = await gateway.spool.after(0, 10)
        assert row.seq == 1


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_presence_is_online_while_it_runs_and_stopping_at_the_end(
    start_mqtt, hub_on, tmp_path, version
):
    server = start_mqtt()
    hub = hub_on(server)
    url = server.gateway_url("gw-1")
    async with running_gateway(url, tmp_path, mqtt_version=version) as gateway:
        await tap_by(gateway, 1)
        await eventually(lambda: hub.states and hub.rows, "presence and tap")
    await eventually(lambda: hub.states[-1].state == "stopping", "the farewell")
    assert [state.state for state in hub.states] == ["online", "stopping"]
    assert len({state.session for state in hub.states}) == 1


async def test_a_gateway_that_vanishes_is_reported_lost_by_its_will(start_mqtt, hub_on, tmp_path):
    server = start_mqtt()
    hub = hub_on(server)
    url = server.gateway_url("gw-1")
    # MQTT 3.1.1 knows no will delay: the broker tells at once.
    async with running_gateway(url, tmp_path, mqtt_version="3.1.1") as gateway:
        await eventually(lambda: hub.states, "presence")
        gateway.uplink._client.socket().shutdown(2)
        await eventually(lambda: [s.state for s in hub.states[:3]][1:] == ["lost", "online"], "it")
        assert len({state.session for state in hub.states}) == 1


def test_the_mqtt_address_is_a_secret_of_the_settings():
    shown = config_shown.shown(
        config.Settings(gateway=config.Gateway(mqtt_url="mqtt://a:b@host:7"))
    )
    assert "b@" not in str(shown["gateway"]["mqtt_url"])


class Operator:
    """The hub's side of wishes and calls."""

    def __init__(self, url: str) -> None:
        address = mqtt_address.parse(url, "mqtt.url")
        self.infos: list[edge.GatewayInfo] = []
        self.replies: list[tuple[edge.RpcReply, bytes]] = []
        self.reports: list[edge.HealthReport] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set(address.username, address.password)
        self._client.on_connect = lambda client, *_: client.subscribe("ping/v1/gw/#", 1)
        self._client.on_message = self._on_message
        self._client.connect(address.host, address.port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def want(self, rev: object, **desired: object) -> None:
        payload = cbor2.dumps({"rev": rev, "desired": desired})
        self._client.publish(edge.config_topic("gw-1"), payload, qos=1)

    def call(self, method: str, **arguments: object) -> None:
        properties = Properties(PacketTypes.PUBLISH)
        properties.CorrelationData = b"c-" + method.encode()
        request = edge.RpcRequest(id=method.encode(), args=arguments)
        topic = edge.rpc_topic("gw-1", method)
        self._client.publish(topic, edge.encode(request), qos=1, properties=properties)

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        match message.topic.rpartition("/")[2]:
            case "info":
                self.infos.append(edge.decode(message.payload, edge.GatewayInfo))
            case "health":
                self.reports.append(edge.decode(message.payload, edge.HealthReport))
            case "rsp":
                correlation = getattr(message.properties, "CorrelationData", b"")
                self.replies.append((edge.decode(message.payload, edge.RpcReply), correlation))
            case _:
                pass


@pytest.fixture
async def operator_on() -> AsyncIterator[Callable[..., Operator]]:
    operators: list[Operator] = []

    def start(server: RestartableMqtt) -> Operator:
        operators.append(Operator(server.url))
        return operators[-1]

    yield start
    for operator in operators:
        operator.close()


async def test_a_gateway_says_what_it_is_and_takes_what_the_hub_wants(
    start_mqtt, hub_on, operator_on, tmp_path
):
    server = start_mqtt()
    operator, hub = operator_on(server), hub_on(server)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        await eventually(lambda: operator.infos, "the info")
        assert operator.infos[0].capabilities == (
            "collect",
            "confirm",
            "identify",
            "prove",
            "rescan",
        )
        operator.want(1, latitude=1.5, longitude=2.5, connections_per_adapter=3)
        await eventually(lambda: operator.infos[-1].reported.rev == 1, "the report")
        operator.want(2, connections_per_adapter=0)
        await eventually(lambda: operator.infos[-1].reported.rejected_rev == 2, "the refusal")
        operator.want("three", health_seconds=30)
        assert gateway.radio.places.slots == 3
        await tap_by(gateway, 1)
        await eventually(lambda: keys(1) <= hub.rows.keys(), "the tap")
        assert hub.rows[RING, 1, 1].lat == 1.5
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        assert gateway.radio.places.slots == 3


async def test_calls_are_answered_over_the_broker(start_mqtt, operator_on, tmp_path):
    server = start_mqtt()
    operator = operator_on(server)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path):
        await eventually(lambda: operator.infos, "the gateway")
        operator.call("rescan")
        operator.call("identify", ring=ring_id(1))
        operator.call("collect", lines=10)
        operator.call("explode")
        await eventually(lambda: len(operator.replies) == 4, "the answers")
    codes = {reply.id: (reply.code, correlation) for reply, correlation in operator.replies}
    assert codes == {
        b"rescan": ("", b"c-rescan"),
        b"identify": ("not_connected", b"c-identify"),
        b"collect": ("", b"c-collect"),
        b"explode": ("unknown_method", b"c-explode"),
    }


async def test_health_of_an_outage_comes_after_it(start_mqtt, operator_on, tmp_path):
    server = start_mqtt()
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        await eventually(lambda: gateway.uplink.is_up, "the link")
        server.kill()
        await eventually(lambda: not gateway.uplink.is_up, "the loss", 10)
        await gateway._publish_health()
        assert (await gateway.spool.stats()).notes >= 1
        server.restart()
        operator = operator_on(server)
        await eventually(lambda: len(operator.reports) >= 2, "the reports", 15)
        async with asyncio.timeout(5):
            while (await gateway.spool.stats()).notes:
                pass


async def test_a_last_will_that_came_late_is_corrected_by_the_living_session(
    start_mqtt, hub_on, tmp_path, monkeypatch
):
    monkeypatch.setattr("gateway.health.HEALTH_SECONDS", 0.1)
    server = start_mqtt()
    hub = hub_on(server)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path):
        await eventually(lambda: hub.states, "the gateway")
        late = edge.GatewayState(state="lost", session="older", t=1)
        hub.publish(edge.state_topic("gw-1"), edge.encode(late))
        await eventually(lambda: late in hub.states, "the late will")
        seen = hub.states.index(late)
        await eventually(lambda: len(hub.states) > seen + 1, "the word of the living")
        assert hub.states[-1].state == "online"
