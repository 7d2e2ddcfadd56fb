"""The whole system with an edge worth a storm: five rings, two gateways that both hear them."""

import asyncio
import os
import random
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal
from unittest import mock

import msgspec

from core import config
from core.ids import new_id
from hub.embedded import child, mqtt
from hub.processes import seed
from hub.processes.supervisor import READY_SECONDS, Spawned, Spec
from hub.processes.system import HUB_PROCESSES, System
from hub.processes.unit import Unit
from tests.e2e.faults import FaultySystem
from tests.e2e.set_clock import SettableClock

GATEWAYS: Final = ("gateway", "gateway-2")
PEOPLE: Final = (
    seed.Person("Ada Lovelace", "ada@example.com", "Europe/London", ("ada-1", "ada-2", "ada-3")),
    seed.Person("Grace Hopper", "grace@example.com", "America/New_York", ("grace-1", "grace-2")),
)
_PAGE_BYTES: Final = 4096
_LOG_SHARE: Final = 0.6


class EdgeSystem(FaultySystem):
    """`pinghub up` with more rings and another gateway; each gateway's clock can be set."""

    def __init__(
        self,
        *args: Any,
        implementation: Literal["", "amqtt"] = "",
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.implementation: Literal["", "amqtt"] = implementation
        self.clocks = {name: SettableClock(self.home / f"{name}.clock") for name in GATEWAYS}
        self._second_id = str(new_id())
        self._second_hci = child.free_port()

    def prepare(self) -> None:
        super().prepare()
        settings = config.load(self.environment)
        with mock.patch.object(seed, "PEOPLE", PEOPLE):
            asyncio.run(seed.seed(settings, self.home))
            second = msgspec.structs.replace(
                settings, gateway=msgspec.structs.replace(settings.gateway, id=self._second_id)
            )
            with mock.patch.object(seed, "GATEWAY_NAME", GATEWAYS[1]):
                asyncio.run(seed.seed(second, self.home))

    def start_processes(
        self, names: tuple[str, ...] = (*HUB_PROCESSES, "rings", *GATEWAYS)
    ) -> None:
        super().start_processes(names)

    def spool(self, gateway: str) -> Path:
        """Where a gateway keeps its taps."""
        return self.home / gateway / "spool.db"

    def _service_spec(self, name: Any) -> Spec:
        spec = super()._service_spec(name)
        if name != "mqtt" or not self.implementation:
            return spec

        def start() -> child.Child:
            broker = mqtt.start(self.home, self.ports.mqtt, implementation=self.implementation)
            self._services["mqtt"] = broker
            return broker

        return msgspec.structs.replace(spec, start=start)

    def _process_spec(self, name: str) -> Spec:
        if name not in GATEWAYS:
            return super()._process_spec(name)
        spec = super()._process_spec("gateway")
        log_path = self.logs / f"{name}.log"
        return msgspec.structs.replace(
            spec,
            name=name,
            log_path=log_path,
            start=lambda: Spawned(self._command(name), log_path, self._environment(name)),
        )

    def _environment(self, name: str) -> dict[str, str]:
        own: Mapping[str, str] = {"PINGHUB_GATEWAY__SPOOL_PATH": str(self.spool(name))}
        if name != "gateway":
            broker = self._services["mqtt"]
            assert isinstance(broker, mqtt.Mqtt)
            own = {
                **own,
                "PINGHUB_GATEWAY__ID": self._second_id,
                "PINGHUB_GATEWAY__MQTT_URL": broker.gateway_url(self._second_id),
                "PINGHUB_GATEWAY__BLE_BACKEND": f"bumble:tcp-client:127.0.0.1:{self._second_hci}",
            }
        return {**self.environment, **own}

    def _command(self, name: str) -> list[str]:
        if name in GATEWAYS:
            python, _, _, *arguments = System._command(self, "gateway")
            fault = ("--fault", self.faults[name]) if name in self.faults else ()
            clock = str(self.clocks[name].path)
            return [python, "-m", "tests.e2e.set_clock", clock, *fault, *arguments]
        command = super()._command(name)
        if name == "rings":
            command += ["--hci", f"127.0.0.1:{self._second_hci}"]
        return command

    def hold_down(self, name: str) -> None:
        """SIGKILL a process; it stays down until `let_up`."""
        self.supervisor.kill(name)

    def let_up(self, name: str) -> None:
        """Have a process that was held down started with the next tick."""
        member = self.supervisor._members[name]
        member.unit = Unit(READY_SECONDS)
        member.held_down = False


def waiting_records(spool: Path) -> dict[tuple[str, int, int], bytes]:
    """Return the records that a dead gateway owes the hub, by (device id, boot, seq)."""
    with TemporaryDirectory() as folder:
        # A copy: whoever opens the file tidies its log away.
        for file in spool.parent.glob(f"{spool.name}*"):
            if ".corrupt-" not in file.name:
                shutil.copy(file, folder)
        db = sqlite3.connect(Path(folder) / spool.name)
        try:
            rows = db.execute("SELECT ring, boot, seq, raw FROM taps WHERE state <> 'quarantined'")
            return {(ring.hex(), boot, seq): raw for ring, boot, seq, raw in rows}
        finally:
            db.close()


def spoil(spool: Path, chance: random.Random) -> bytes:
    """Write noise over a page of a dead gateway's spool or its log; return what is left of both."""
    log = spool.with_name(spool.name + "-wal")
    frames = (log.stat().st_size - 32) // (_PAGE_BYTES + 24) if log.exists() else 0
    if frames > 0 and chance.random() < _LOG_SHARE:
        _overwrite(log, 32 + chance.randrange(frames) * (_PAGE_BYTES + 24), _PAGE_BYTES + 24)
    else:
        # The first page makes the file no database at all.
        page = chance.choice((0, chance.randrange(max(1, spool.stat().st_size // _PAGE_BYTES))))
        _overwrite(spool, page * _PAGE_BYTES, _PAGE_BYTES)
    return spool.read_bytes() + (log.read_bytes() if log.exists() else b"")


def _overwrite(path: Path, offset: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(os.urandom(length))
