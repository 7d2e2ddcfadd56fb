"""`pinghub serve --workers N`: one port, several processes, and what becomes of them."""

import os
import signal
import socket
from collections.abc import Callable

import httpx
import pytest
from msgspec.structs import replace

from core import config
from tests.fixtures.ports import free_port
from tests.fixtures.served import Served
from tests.fixtures.waiting import wait_until

Serve = Callable[..., Served]


@pytest.fixture
def settings(served_settings: config.Settings) -> config.Settings:
    # Two ports in a row: workers count upwards.
    return replace(served_settings, metrics=config.Metrics(port=free_port()))


@pytest.fixture
def served(serve: Serve, settings: config.Settings) -> Served:
    served = serve(settings, "--workers", "2")
    served.wait_ready()
    return served


def pids(served: Served) -> dict[int, int]:
    """Return the pid of each worker, the latest if it was replaced."""
    return {line["worker"]: line["pid"] for line in served.events("worker_ready")}


def figures(settings: config.Settings, worker: int) -> str:
    return httpx.get(f"http://127.0.0.1:{settings.metrics.port + worker}/metrics").text


def test_two_workers_serve_one_port_and_show_their_own_figures(
    served: Served, settings: config.Settings
):
    assert len(served.events("process_ready")) == 1
    assert served.events("process_ready")[0]["workers"] == 2
    assert sorted(pids(served)) == [0, 1]
    # Both are asked in the end: each request comes by a connection of its own.
    wait_until(
        lambda: (
            httpx.get(f"{served.url}/livez").status_code == 200
            and all('path="/livez"' in figures(settings, worker) for worker in (0, 1))
        ),
        "both workers to have answered",
        30,
    )
    assert served.stop() == 0
    assert len(served.events("process_stopped")) == 2
    with pytest.raises(httpx.ConnectError):
        httpx.get(served.url)


def test_a_killed_worker_is_replaced_while_the_other_serves(served: Served):
    first = pids(served)
    os.kill(first[0], signal.SIGKILL)
    wait_until(lambda: served.said("worker_ended"), "the parent to notice")
    assert served.events("worker_ended")[0]["exit_code"] == -signal.SIGKILL
    assert httpx.get(f"{served.url}/livez").status_code == 200
    wait_until(lambda: pids(served)[0] != first[0], "a new worker")
    assert pids(served)[1] == first[1]
    assert served.stop() == 0


def test_a_connection_that_waits_to_be_accepted_survives_all_workers(served: Served):
    first = pids(served)
    for pid in first.values():
        os.kill(pid, signal.SIGSTOP)
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        for pid in first.values():
            os.kill(pid, signal.SIGKILL)
        client.settimeout(20)
        assert client.recv(12) == b"HTTP/1.1 200"
    assert served.stop() == 0


def test_a_wrong_setting_is_said_once_and_ends_everything(serve: Serve, settings: config.Settings):
    served = serve(replace(settings, auth=config.Auth()), "--workers", "3")
    assert served.process.wait(20) == 2
    (line,) = served.log.read_text().strip().splitlines()
    assert "auth.signing_keys" in line


def test_workers_do_not_outlive_a_killed_parent(served: Served):
    served.process.kill()
    served.process.wait()
    wait_until(lambda: len(served.events("process_stopped")) == 2, "the workers to stop")
