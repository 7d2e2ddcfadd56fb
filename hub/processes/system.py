"""The whole system as processes on one machine: services, database, hub, gateway, virtual rings."""

import os
import platform
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from core import authority, config
from core.errors import ConfigError
from hub.embedded import child, generated, mqtt, postgres, redis
from hub.embedded.mosquitto_files import Door
from hub.embedded.private import owned_folder
from hub.processes import leftovers
from hub.processes.supervisor import Change, Spawned, Spec, Supervisor, last_words, pinghub

ServiceName = Literal["postgres", "redis", "mqtt"]
SERVICES: Final[tuple[ServiceName, ...]] = ("postgres", "redis", "mqtt")
HUB_PROCESSES: Final = ("serve", "ingest", "relay", "worker", "scheduler")
EDGE_PROCESSES: Final = ("rings", "gateway")

_REPLACED_BY: Final[dict[ServiceName, str]] = {
    "postgres": "PostgreSQL 18 with pgvector: set DATABASE_SUPERUSER_URL",
    "redis": "Redis 7: set REDIS_URL",
    "mqtt": "mosquitto 2: set MQTT_URL",
}
_STAGES: Final = {
    "gateway": (0, 2.0),
    "rings": (0, 2.0),
    "serve": (1, 3.0),
    "ingest": (2, 1.0),
    "relay": (3, 1.0),
    "worker": (4, 1.5),
    "scheduler": (4, 1.5),
    "mqtt": (5, 1.0),
    "redis": (6, 1.0),
    "postgres": (7, 1.5),
}
# Shorter than the default of production: Ctrl-C promises to be done within ten seconds.
_DRAIN_SECONDS: Final = 1.5
_PREPARE_SECONDS: Final = 60.0


class Ports(Struct, frozen=True, kw_only=True):
    """Where things listen on loopback."""

    hub: int = 8000
    postgres: int = 15432
    redis: int = 16379
    mqtt: int = 11883
    mqtt_tls: int = 8883


class System:
    """Starts the system in a home folder; `supervisor` then holds every process by its name."""

    def __init__(
        self,
        home: Path,
        ports: Ports,
        *,
        environ: Mapping[str, str] = os.environ,
        on_change: Callable[[str, Change], None] = lambda _name, _change: None,
        tap_every_seconds: float | None = 4.0,
    ) -> None:
        self.home = home
        self.ports = ports
        self.supervisor = Supervisor(on_change)
        self.logs = owned_folder(home / "logs")
        self.environment = {
            **environ,
            **leftovers.mark(home),
            "PINGHUB_HOME": str(home),
            # The supervisor reads `process_ready` from the log.
            "PINGHUB_LOG__STYLE": "json",
            "PYTHONUNBUFFERED": "1",
        }
        self._tap_every_seconds = tap_every_seconds
        self.own = own_settings(home, environ)
        self.embedded: tuple[ServiceName, ...] = _to_embed(self.own)
        self._secrets = generated.secrets(home)
        self._services: dict[ServiceName, child.Service] = {}
        self._rings_ports = (child.free_port(), child.free_port())
        # From this machine, also where `server.public_url` names a proxy.
        self.url = f"http://127.0.0.1:{ports.hub}"

    def start_services(self) -> None:
        """Start the embedded services and write their addresses into embedded.toml."""
        require_platform(self.embedded)
        require_logins(self.own.database)
        self.supervisor.add(self._service_spec(name) for name in self.embedded)
        self.supervisor.wait_ready()
        self._write_settings()

    def prepare(self) -> None:
        """Create roles, database and tables, and put the demo data in; again is harmless."""
        if self.own.database.superuser_url or "postgres" in self.embedded:
            self._run_once("db", "bootstrap")
        self._run_once("db", "up")
        self._run_once("db", "seed")

    def start_processes(self, names: tuple[str, ...] = HUB_PROCESSES + EDGE_PROCESSES) -> None:
        """Start hub, virtual rings and gateway; return when all are ready."""
        self.supervisor.add(self._process_spec(name) for name in names)
        self.supervisor.wait_ready()

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop everything in order."""
        self.supervisor.stop(hurry)

    @property
    def door(self) -> Door:
        """Where gateways come in by certificate."""
        pki = self._secrets["pki"]
        gateways = authority.load(pki["ca_key"], pki["ca_certificate"])
        return Door(self.ports.mqtt_tls, gateways)

    def _service_spec(self, name: ServiceName) -> Spec:
        def start() -> child.Child:
            match name:
                case "postgres":
                    service = postgres.start(self.home, self.ports.postgres)
                case "redis":
                    service = redis.start(self.home, self.ports.redis)
                case "mqtt":
                    service = mqtt.start(self.home, self.ports.mqtt, door=self.door)
            self._services[name] = service
            return service

        stage, stop_seconds = _STAGES[name]
        signals = postgres.STOP_SIGNALS if name == "postgres" else child.POLITE
        stop_signal, hurry_signal = signals[:2]
        return Spec(
            name=name,
            start=start,
            tend=_tend,
            log_path=self.home / name / "server.log",
            stop_stage=stage,
            stop_seconds=stop_seconds,
            stop_signal=stop_signal,
            hurry_signal=hurry_signal,
        )

    def _process_spec(self, name: str) -> Spec:
        log_path = self.logs / f"{name}.log"
        stage, stop_seconds = _STAGES[name]
        readyz = f"{self.url}/readyz"

        def ready(process: child.Child) -> bool:
            said_ready = isinstance(process, Spawned) and process.said_ready
            return said_ready and (name != "serve" or answers(readyz))

        return Spec(
            name=name,
            start=lambda: Spawned(self._command(name), log_path, self.environment),
            ready=ready,
            log_path=log_path,
            stop_stage=stage,
            stop_seconds=stop_seconds,
        )

    def _command(self, name: str) -> list[str]:
        if name == "gateway":
            return pinghub("gateway", "run")
        if name == "rings":
            control, hci = (f"127.0.0.1:{port}" for port in self._rings_ports)
            every = self._tap_every_seconds
            return pinghub(
                *("ring", "simulate"),
                *("--rings", str(self.home / "rings.json"), "--home", str(self.home / "rings")),
                *("--control", control, "--hci", hci),
                *(("--every", f"{every:g}s") if every else ()),
            )
        return pinghub(name)

    def _run_once(self, *arguments: str) -> None:
        log_path = self.logs / "prepare.log"
        process = child.spawn(
            pinghub(*arguments),
            log_path=log_path,
            folder=Path.cwd(),
            environment=self.environment,
        )
        if process.wait(_PREPARE_SECONDS) != 0:
            raise ConfigError(f"pinghub {' '.join(arguments)} failed: {last_words(log_path)}")

    def _write_settings(self) -> None:
        control, hci = (f"127.0.0.1:{port}" for port in self._rings_ports)
        secrets = self._secrets
        sections: generated.Sections = {
            "server": {
                "mode": "development",
                "port": self.ports.hub,
                "public_url": self.url,
                "drain_seconds": _DRAIN_SECONDS,
            },
            "auth": secrets["auth"],
            "keys": secrets["keys"],
            "realtime": secrets["realtime"],
            "gateway": {"id": secrets["gateway"]["id"], "ble_backend": f"bumble:tcp-client:{hci}"},
            "pki": dict(secrets["pki"]),
            "development": {"rings_address": control},
        }
        superuser_url = self.own.database.superuser_url
        if server := self._services.get("postgres"):
            superuser_url = server.url
        if superuser_url:
            sections["database"] = generated.database_urls(superuser_url, secrets["logins"])
        if server := self._services.get("redis"):
            sections["redis"] = {"url": server.url}
        broker = self._services.get("mqtt")
        if isinstance(broker, mqtt.Mqtt):
            sections["mqtt"] = {
                "url": broker.url,
                "version": broker.version,
                "shared_subscription": broker.shared_subscription,
                "dynamic_security": broker.dynamic_security,
            }
            sections["pki"] |= {
                "crl_path": str(broker.revocations_path),
                "gateway_mqtt_url": broker.certificates_url,
            }
            sections["gateway"]["mqtt_url"] = broker.gateway_url(secrets["gateway"]["id"])
            sections["gateway"]["mqtt_version"] = broker.version
        else:
            sections["gateway"]["mqtt_url"] = self.own.mqtt.url
            sections["gateway"]["mqtt_version"] = self.own.mqtt.version
        generated.write_settings(self.home, sections)


def _tend(service: child.Child) -> None:
    if isinstance(service, mqtt.Mqtt):
        service.tend()


def own_settings(home: Path, environ: Mapping[str, str] = os.environ) -> config.Settings:
    """Return what the operator has set, without what an earlier start has generated."""
    return config.load({**environ, "PINGHUB_HOME": str(home / "no-embedded-settings")})


def require_platform(embedded: tuple[ServiceName, ...]) -> None:
    """Raise ConfigError naming the services to install where they cannot be embedded."""
    if embedded and (sys.platform, platform.machine()) != ("linux", "x86_64"):
        wanted = "; ".join(_REPLACED_BY[name] for name in embedded)
        raise ConfigError(f"services are embedded on Linux x86_64 only; install here: {wanted}")


def require_logins(database: config.Database) -> None:
    """Raise ConfigError when a server is named, but not every login that is needed there."""
    if not database.url or database.superuser_url:
        return
    logins = {"DATABASE_SYSTEM_URL": database.system_url, "DATABASE_OWNER_URL": database.owner_url}
    if missing := [name for name, url in logins.items() if not url]:
        raise ConfigError(
            f"DATABASE_URL names your own PostgreSQL: set {' and '.join(missing)} too,"
            " or DATABASE_SUPERUSER_URL instead of all, and the logins are made"
        )


def answers(url: str) -> bool:
    """Say whether a GET answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310  # our own http address
            return response.status == 200  # noqa: PLR2004  # OK
    except (OSError, urllib.error.URLError):
        return False


def _to_embed(own: config.Settings) -> tuple[ServiceName, ...]:
    addresses: dict[ServiceName, str] = {
        "postgres": own.database.url or own.database.superuser_url,
        "redis": own.redis.url,
        "mqtt": own.mqtt.url,
    }
    return tuple(name for name in SERVICES if not addresses[name])
