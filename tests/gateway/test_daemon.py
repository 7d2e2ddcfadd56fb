"""The whole gateway: virtual rings, real MQTT, and everything killed once."""

import asyncio
import json
import random
import signal
import urllib.request
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from core import clock, config
from firmware_bridge.virtual.memory import Memory
from gateway import ble, process
from gateway.adapter import Adapter
from gateway.ble import RadioDeadError
from gateway.link import LinkState
from gateway.radio import Radio
from gateway.spool import SpoolUnavailableError
from tests.fixtures.mqtt import RestartableMqtt
from tests.fixtures.rings import Air, RingsProcess, eventually, ring_id
from tests.fixtures.waiting import wait_until
from tests.gateway.hub_double import HubDouble, Key, is_genuine
from tests.gateway.processes import GatewayProcess, running_gateway, tap_by


@pytest.fixture
def server(start_mqtt) -> RestartableMqtt:
    return start_mqtt()


@pytest.fixture
def hub(server) -> Iterator[HubDouble]:
    hub = HubDouble(server.url)
    hub.server = server
    yield hub
    hub.close()


@pytest.fixture
def start_gateway(server, tmp_path) -> Iterator[Callable[..., GatewayProcess]]:
    started: list[GatewayProcess] = []

    def start(rings: RingsProcess, gateway: str = "gw-1") -> GatewayProcess:
        folder = tmp_path / gateway
        folder.mkdir()
        url = server.gateway_url(gateway)
        process = GatewayProcess(folder, url=url, ble_backend=rings.ble_backend, gateway=gateway)
        started.append(process)
        process.start()
        return process

    yield start
    for gateway in started:
        gateway.stop()


def press(rings: RingsProcess, number: int = 1) -> Key:
    boot, seq = rings.press(number)
    return ring_id(number), boot, seq


def rings_are_empty(rings: RingsProcess) -> bool:
    return all(ring["pending"] == 0 for ring in rings.ask({"list": True})["rings"])


@pytest.mark.req("RNG-03", "PRD-02")
def test_taps_of_three_rings_arrive_genuine_dated_and_leave_the_rings(
    start_rings, start_gateway, hub
):
    rings = start_rings(count=3)
    before = [press(rings, number) for number in (1, 2, 3)]
    gateway = start_gateway(rings)
    hub.wait_for(*before)
    live = [press(rings, number) for number in (1, 2, 3)]
    hub.wait_for(*live)
    assert all(is_genuine(event) for event in hub.rows.values())
    assert {event.t_src for event in hub.rows.values()} == {"synced"}
    assert all(abs((hub.rows[key].t or 0) - hub.rows[key].rx_ms) < 500 for key in live)
    wait_until(lambda: rings_are_empty(rings), "the rings to be acknowledged")

    def is_settled() -> bool:
        shown = json.loads(gateway.ask("status", "--json").stdout)
        assert shown["spool"]["quarantined"] == 0
        return shown["acknowledged"] == 6 and shown["spool"]["sent"] == 0

    wait_until(is_settled, "the spool to be acknowledged")
    readable = gateway.ask("status")
    assert readable.returncode == 0
    assert readable.stdout.count(" live ") == 3
    diagnosis = gateway.ask("diagnose", "--json")
    assert diagnosis.returncode == 0
    assert {finding["check"] for finding in json.loads(diagnosis.stdout)} >= {"mqtt", "bluetooth"}
    address = f"http://127.0.0.1:{gateway.metrics_port}/metrics"
    with urllib.request.urlopen(address) as answer:
        assert b'pinghub_gateway_taps_total{outcome="stored"} 6.0' in answer.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_clean_and_announced(start_rings, start_gateway, hub, number):
    rings = start_rings()
    gateway = start_gateway(rings)
    hub.wait_for(press(rings))
    assert gateway.stop(number) == 0
    wait_until(lambda: hub.states and hub.states[-1].state == "stopping", "the farewell")
    assert "Traceback" not in gateway.text()
    assert gateway.ask("status").returncode == 1


@pytest.mark.req("RNG-05")
def test_a_gateway_killed_again_and_again_loses_no_tap(start_rings, start_gateway, hub):
    rings = start_rings(count=2)
    gateway = start_gateway(rings)
    pressed: list[Key] = []
    for _ in range(3):
        pressed += [press(rings, number) for number in (1, 2, 1)]
        gateway.kill()
        pressed.append(press(rings, 2))
        gateway.start()
    hub.wait_for(*pressed)
    assert hub.rows.keys() == set(pressed)
    wait_until(lambda: rings_are_empty(rings), "the rings to be acknowledged")


@pytest.mark.req("RNG-05")
def test_rings_that_restart_lose_no_tap_and_the_adapter_is_attached_again(
    start_rings, start_gateway, hub
):
    rings = start_rings(count=2)
    start_gateway(rings)
    pressed: list[Key] = []
    for _ in range(2):
        pressed += [press(rings, number) for number in (1, 2)]
        rings.kill()
        rings.start()
        pressed += [press(rings, number) for number in (1, 2)]
    hub.wait_for(*pressed, seconds=20)
    assert hub.rows.keys() == set(pressed)
    assert {boot for _, boot, _ in pressed} == {1, 2, 3}
    wait_until(lambda: rings_are_empty(rings), "the rings to be acknowledged")


@pytest.mark.req("RNG-05")
def test_a_ring_out_of_reach_keeps_its_taps_until_it_is_back(start_rings, start_gateway, hub):
    rings = start_rings()
    gateway = start_gateway(rings)
    hub.wait_for(press(rings))
    name = ring_id(1).hex()
    rings.ask({"silence": name})
    wait_until(lambda: "ring_link_lost" in gateway.text(), "the loss")
    away = [press(rings) for _ in range(5)]
    assert not set(away) & hub.rows.keys()
    rings.ask({"restore": name})
    hub.wait_for(*away)


@pytest.mark.req("RNG-05")
def test_taps_made_while_the_hub_is_away_wait_through_a_restart_of_the_gateway(
    start_rings, start_gateway, hub
):
    rings = start_rings()
    gateway = start_gateway(rings)
    hub.wait_for(press(rings))
    hub.acknowledging = False
    pressed = [press(rings) for _ in range(20)]
    wait_until(lambda: rings_are_empty(rings), "the spool to take over from the ring")
    gateway.kill()
    hub.rows.clear()
    hub.acknowledging = True
    gateway.start()
    hub.wait_for(*pressed)


def test_bad_settings_are_one_line_and_exit_code_2(tmp_path):
    gateway = GatewayProcess(tmp_path, url="http://nowhere", ble_backend="auto")
    refused = gateway.ask("run")
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "pinghub: setting gateway.mqtt_url: must begin with mqtt:// or mqtts://"
    ]
    gateway.environment["PINGHUB_GATEWAY__MQTT_URL"] = "mqtt://127.0.0.1"
    gateway.environment["PINGHUB_GATEWAY__BLE_BACKEND"] = "hci0"
    assert "gateway.ble_backend" in gateway.ask("run").stderr
    gateway.environment["PINGHUB_GATEWAY__ID"] = "a/b"
    assert "gateway.id" in gateway.ask("run").stderr
    diagnosis = gateway.ask("diagnose")
    assert diagnosis.returncode == 1
    assert "FAIL" in diagnosis.stdout


def test_a_dead_radio_ends_the_process_with_a_code_for_its_supervisor(tmp_path, monkeypatch):
    async def run(_radio: Radio) -> None:
        raise RadioDeadError("auto hears nothing any more")

    monkeypatch.setattr(Radio, "run", run)
    gateway = config.Gateway(
        id="gw-1", mqtt_url="mqtt://127.0.0.1:9", spool_path=str(tmp_path / "spool.db")
    )
    assert process.run(config.Settings(gateway=gateway)) == 75


@pytest.fixture
def radio(monkeypatch, air: Air) -> Air:
    """A link on which gateways of this process find their adapter."""

    @asynccontextmanager
    async def open_adapter(_backend: str, _bonds: object) -> AsyncGenerator[Adapter]:
        central = await air.central()
        yield Adapter(central.scanner, central.client, asyncio.Event().wait)
        central.controller.power_off()

    monkeypatch.setattr(ble, "open_adapter", open_adapter)
    return air


@pytest.mark.req("RNG-05")
async def test_two_gateways_that_hear_one_tap_are_harmless(
    server, hub, radio, tmp_path, monkeypatch
):
    ring = await radio.ring(1, advertising_interval_ms=20.0)
    # The ring never hears that its taps are safe, as when the link breaks at the wrong moment.
    monkeypatch.setattr(Memory, "acknowledge", lambda *_: 0)

    async def hear(gateway_id: str) -> None:
        before = len(hub.arrivals)

        def delivered() -> bool:
            # Not hub.rows: a live tap may overtake the older one, which is asked for later.
            return {seq for _, _, seq in hub.arrivals[before:]} >= _kept(ring)

        url = server.gateway_url(gateway_id)
        async with running_gateway(url, tmp_path / gateway_id, id=gateway_id):
            await eventually(lambda: ring.subscribed, "the gateway")
            await ring.press()
            await eventually(delivered, "the taps")

    await hear("gw-1")
    await hear("gw-2")
    assert hub.gateways == {"gw-1", "gw-2"}
    assert len(hub.rows) == 2
    assert len(hub.arrivals) >= 3


def _kept(ring) -> set[int]:
    return set(range(ring.memory.oldest_seq, ring.memory.last_seq + 1))


@pytest.mark.req("RNG-05")
async def test_a_ring_is_not_acknowledged_while_the_spool_cannot_store(
    server, hub, radio, tmp_path, monkeypatch
):
    ring = await radio.ring(1)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        await eventually(lambda: ring.subscribed, "the gateway")
        working, refusals = gateway.spool.put, 0

        async def refuse(_entry: object) -> None:
            nonlocal refusals
            refusals += 1
            raise SpoolUnavailableError("database or disk is full")

        monkeypatch.setattr(gateway.spool, "put", refuse)
        records = [await ring.press() for _ in range(3)]
        await eventually(lambda: refusals >= 6, "the records to be asked for again")
        assert ring.memory.pending_count == 3
        monkeypatch.setattr(gateway.spool, "put", working)
        await eventually(lambda: ring.memory.pending_count == 0, "the acknowledgement", 10)
        wanted = {(ring.ring_id, record.boot, record.seq) for record in records}
        await eventually(lambda: wanted <= hub.rows.keys(), "the taps")


async def test_radio_silence_without_a_word_is_noticed_by_the_link(
    server, radio, tmp_path, monkeypatch
):
    monkeypatch.setattr("gateway.link.STATUS_SECONDS", 0.2)
    monkeypatch.setattr("gateway.link.OPERATION_SECONDS", 0.4)
    ring = await radio.ring(1)
    async with running_gateway(server.gateway_url("gw-1"), tmp_path) as gateway:
        await eventually(lambda: ring.subscribed, "the gateway")
        (connection,) = gateway.radio.connections.values()
        await eventually(lambda: connection.link.state is LinkState.LIVE, "the link")
        radio.link.silence(ring.address)
        await eventually(lambda: not connection.link.is_linked, "the loss")
        assert connection.link.reason


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.req("RNG-05")
def test_everything_killed_in_any_order_loses_no_tap_and_invents_none(
    start_rings, start_gateway, hub, server
):
    """The long twin of the tests above: seeded, so that a failure can be repeated."""
    chance = random.Random(20260)
    rings = start_rings(count=5)
    gateway = start_gateway(rings)
    pressed: list[Key] = []
    for _ in range(40):
        pressed += [press(rings, chance.randint(1, 5)) for _ in range(chance.randint(5, 45))]
        match chance.choice(("gateway", "rings", "broker", "hub", "out of reach")):
            case "gateway":
                gateway.kill()
                pressed.append(press(rings, 1))
                gateway.start()
            case "rings":
                rings.kill()
                rings.start()
            case "broker":
                server.kill()
                pressed += [press(rings, number) for number in range(1, 6)]
                server.restart()
            case "hub":
                # It commits and dies before its word is out.
                hub.acknowledging = not hub.acknowledging
            case _:
                name = ring_id(chance.randint(1, 5)).hex()
                rings.ask({"silence": name})
                pressed += [press(rings, number) for number in range(1, 6)]
                rings.ask({"restore": name})
    hub.acknowledging = True
    hub.wait_for(*pressed, seconds=60)
    assert hub.rows.keys() == set(pressed)
    assert all(is_genuine(event) for event in hub.rows.values())
    wait_until(lambda: rings_are_empty(rings), "the rings to be acknowledged", 60)


async def test_rings_are_told_the_time(server, radio, tmp_path):
    ring = await radio.ring(1)
    assert not (await ring.press()).time_synced
    async with running_gateway(server.gateway_url("gw-1"), tmp_path):
        await eventually(lambda: ring.subscribed, "the gateway")
        await eventually(lambda: ring.memory.pending_count == 0, "the first tap")
        assert (await ring.press()).time_synced


@pytest.mark.parametrize("moved_ms", [-3_600_000, 3_600_000])
async def test_a_clock_set_by_an_hour_does_not_misdate_a_tap(
    hub, radio, tmp_path, monkeypatch, moved_ms
):
    ring = await radio.ring(1)
    async with running_gateway(hub.server.gateway_url("gw-1"), tmp_path) as gateway:
        await eventually(lambda: ring.subscribed, "the gateway")
        (connection,) = gateway.radio.connections.values()
        await eventually(lambda: connection.link.state is LinkState.LIVE, "the link")
        true_ms = clock.unix_ms
        monkeypatch.setattr(clock, "unix_ms", lambda: true_ms() + moved_ms)
        record = await ring.press()
        await eventually(lambda: hub.rows, "the tap")
    event = hub.rows[ring.ring_id, 1, record.seq]
    assert event.t_src == "synced"
    # By one clock, so that the hub sees how far it is wrong and the tap's time moves with it.
    assert abs((event.t or 0) - event.rx_ms) < 500
    assert abs((event.t or 0) - event.tx_ms) < 500


@pytest.mark.req("RNG-05")
@pytest.mark.parametrize("moved_ms", [-3_600_000, 3_600_000])
async def test_a_clock_set_while_taps_wait_in_the_spool_does_not_misdate_them(
    hub, tmp_path, monkeypatch, moved_ms
):
    """Neither in the process that received them nor in the next one."""
    url = hub.server.gateway_url("gw-1")
    hub.server.kill()
    true_ms = clock.unix_ms
    async with running_gateway(url, tmp_path) as gateway:
        assert await tap_by(gateway, 1)
        pressed_ms = true_ms()
        monkeypatch.setattr(clock, "unix_ms", lambda: true_ms() + moved_ms)
        assert await tap_by(gateway, 2)
    monkeypatch.setattr(clock, "unix_ms", lambda: true_ms() + 2 * moved_ms)
    async with running_gateway(url, tmp_path):
        hub.server.restart()
        await eventually(lambda: len(hub.rows) == 2, "the taps", 15)
    for event in hub.rows.values():
        gateway_is_wrong_by_ms = 2 * moved_ms
        assert abs((event.t or 0) - gateway_is_wrong_by_ms - pressed_ms) <= event.unc_ms + 1_000
        assert abs(event.tx_ms - gateway_is_wrong_by_ms - true_ms()) < 15_000
        assert event.unc_ms < 2_000
