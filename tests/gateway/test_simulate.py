"""`pinghub gateway simulate`: a gateway and its rings in one process, at any broker or hub."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware_bridge import tap
from tests.fixtures.waiting import wait_until
from tests.gateway.claim_double import CODE, GATEWAY, ClaimDouble
from tests.gateway.hub_double import HubDouble

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str) -> subprocess.Popen[bytes]:
        with (tmp_path / "log").open("ab") as log:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "hub.cli", "gateway", "simulate", *arguments],
                    env=os.environ
                    | {"PINGHUB_HOME": str(tmp_path), "PINGHUB_CONFIG": str(tmp_path / "none")},
                    stdout=log,
                    stderr=log,
                )
            )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def keys_of(folder: Path) -> dict[bytes, bytes]:
    rings = json.loads((folder / "rings.json").read_text())
    return {bytes.fromhex(ring["device_id"]): bytes.fromhex(ring["tap_key"]) for ring in rings}


def test_encrypted_rings_tap_at_any_broker_and_are_the_same_the_next_time(
    start, start_mqtt, tmp_path
):
    server = start_mqtt()
    hub = HubDouble(server.url)
    options = ("--rings", "3", "--taps-per-minute", "1200", "--encrypted")
    options += ("--mqtt", server.gateway_url("gw-1"))
    try:
        process = start(*options)
        wait_until(lambda: len({ring for ring, *_ in hub.rows}) == 3, "taps of all rings", 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        keys = keys_of(tmp_path / "simulated-gateway")
        assert hub.gateways == {"gw-1"}
        for event in list(hub.rows.values()):
            assert tap.verify(event.raw, ring_id=event.ring, key=keys[event.ring])
        start(*options)
        wait_until(lambda: any(boot == 2 for _, boot, _ in hub.rows), "taps of the next boot", 20)
        assert keys_of(tmp_path / "simulated-gateway") == keys
    finally:
        hub.close()


def test_a_simulated_gateway_is_claimed_and_connects_by_its_certificate(
    start, tls_mosquitto, tmp_path
):
    tls_mosquitto.admit(GATEWAY)
    claims = ClaimDouble(tls_mosquitto.authority, tls_mosquitto.gateway_url)
    hub = HubDouble(tls_mosquitto.hub_url, tls=tls_mosquitto.authority.context())
    try:
        start("--rings", "1", "--taps-per-minute", "600", "--hub", claims.url, "--claim", CODE)
        wait_until(lambda: hub.rows, "a tap", 20)
        assert hub.gateways == {GATEWAY}
    finally:
        hub.close()
        claims.close()
    assert (tmp_path / "simulated-gateway" / "identity" / "key.pem").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--hub", "http://127.0.0.1:1"), "--claim"),
        (("--mqtt", "mqtt://127.0.0.1:1"), "name the gateway"),
        ((), "gateway.id is not set"),
        (("--mqtt", "mqtt://gw-1@127.0.0.1:1", "--rings-file", "/none"), "does not exist"),
    ],
)
def test_what_is_missing_is_named(start, tmp_path, arguments, word):
    assert start(*arguments).wait(15) == 2
    text = (tmp_path / "log").read_text()
    assert word in text
    assert "Traceback" not in text
