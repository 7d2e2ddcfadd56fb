"""Processes of the hub while the KMS is away: what is open serves on, what starts says so."""

import asyncio
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.hub_process import HubProcess
from tests.fixtures.ports import free_port
from tests.fixtures.waiting import wait_until
from tests.hub.domains.encryption.rotation_load import for_serving, token
from tests.hub.processes.test_keys import RUN
from tests.hub.providers.transit_double import TOKEN, TransitDouble, serving

ADA = {"Authorization": f"Bearer {token('ada', 'ada@example.com')}"}
CARD = {"full_name": "Ada Lovelace", "phones": ["+49 151 50123456"]}


class Hub:
    """A hub's process and its address."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        port = str(free_port())
        self.url = f"http://127.0.0.1:{port}"
        self.process = HubProcess("serve", {**environment, "PINGHUB_SERVER__PORT": port}, log)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, f"{self.url}{path}", headers=ADA, timeout=20, **more)


def use_through_outage(environment: dict[str, str], transit: TransitDouble, folder: Path) -> None:
    with ExitStack() as stack:
        running = Hub(environment, folder / "running.log")
        stack.enter_context(running.process)
        running.process.ready()
        assert running.ask("GET", "/v1/me").json()["email"] == "ada@example.com"
        transit.is_sealed = True
        assert running.ask("PUT", "/v1/me/card", json=CARD).status_code == 200
        assert running.ask("GET", "/v1/me/card").json()["phones"] == CARD["phones"]

        starting = Hub(environment, folder / "starting.log")
        stack.enter_context(starting.process)
        starting.process.ready()
        assert starting.ask("GET", "/v1/me/privacy").status_code == 200
        refused = starting.ask("GET", "/v1/me/card")
        assert (refused.status_code, refused.json()["code"]) == (503, "service.unavailable")
        lines = (folder / "starting.log").read_text().splitlines()
        said = [line for line in lines if "data_keys_wait" in line]
        assert len(said) == 1
        assert "Traceback" not in "".join(lines)
        transit.is_sealed = False
        wait_until(
            lambda: starting.ask("GET", "/v1/me/card").status_code == 200, "the KMS to be used"
        )
        for hub in (running, starting):
            assert hub.process.stop() == 0


@pytest.mark.req("SEC-08")
async def test_a_hub_goes_on_without_its_kms_and_one_that_starts_waits_for_it(
    process_settings: dict[str, str], tmp_path: Path
) -> None:
    async with serving(TransitDouble()) as transit:
        environment = {
            **for_serving(process_settings, tmp_path),
            "PINGHUB_KEYS__FIELD_KEYS": "",
            "PINGHUB_KEYS__KMS_URL": transit.url,
            "PINGHUB_KEYS__KMS_TOKEN": TOKEN,
        }
        await asyncio.to_thread(use_through_outage, environment, transit, tmp_path)
        transit.is_sealed = True
        command = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            RUN.format(arguments=["keys", "rotate"]),
            env={"PATH": os.environ["PATH"], **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, told = await command.communicate()
        assert command.returncode == 1
        assert [line for line in told.splitlines() if line.startswith(b"pinghub: ")] == [
            b"pinghub: service.unavailable: a service does not answer: `pinghub doctor` tells which"
        ]
        assert b"Traceback" not in told
