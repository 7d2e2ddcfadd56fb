"""The gateway: notification -> spool -> acknowledgement to the ring -> uplink -> hub.

The four laws of delivery meet here: the ring is acknowledged by gateway.link only for what `Intake`
reported safe; a row leaves the spool only in `_acknowledged`, by the hub's own message.
"""

import asyncio
import random
from collections.abc import Coroutine
from contextlib import suppress
from importlib.metadata import version
from typing import Final

import msgspec

from core import clock, edge, log
from core.config import Settings
from core.ids import new_id
from gateway import counters, health, supervisor
from gateway.access import access_of
from gateway.adapter import backends_of
from gateway.ble import Scan
from gateway.delivery import WINDOW, Delivery
from gateway.intake import Intake
from gateway.notes import Notes
from gateway.paths import spool_path, status_path
from gateway.radio import Radio
from gateway.reads import Reads
from gateway.recent_log import RecentLog
from gateway.remote_config import RemoteConfig
from gateway.renewal import LinkFailed, LinkUp
from gateway.renewing import Renewing
from gateway.ring_states import RingStates
from gateway.rpc import Rpc
from gateway.rpc_methods import methods_of
from gateway.sender import Sender
from gateway.spool import Spool, SpoolUnavailableError
from gateway.uplink import Listener, Uplink

SPOOL_RETRY_SECONDS: Final = 1.0
PROBLEM_CHARS: Final = 300

_log = log.get("gateway")


class Gateway:
    """One gateway: its spool, its radio, its uplink, and the loop between them."""

    def __init__(self, settings: Settings, recent: RecentLog) -> None:
        """Open the spool; raise ConfigError when a setting is unusable."""
        access = access_of(settings)
        self._settings = msgspec.structs.replace(settings.gateway, id=access.gateway)
        self._status_path = status_path(settings)
        self._session = str(new_id())
        self._started_at = clock.monotonic_seconds()
        jitter = random.SystemRandom().random
        self.delivery = Delivery(jitter)
        self.uplink = Uplink(
            access,
            session=self._session,
            version=settings.gateway.mqtt_version,
            window=WINDOW,
            random=jitter,
            listener=Listener(
                connected=self._uplink_connected,
                disconnected=self._uplink_lost,
                published=self._published,
                acknowledged=self._hub_spoke,
                configured=self._configured,
                called=self._called,
                refused=self._uplink_refused,
                certified=self._certified,
            ),
        )
        self._renewing = (
            Renewing(access.identity_path, access.gateway, self.uplink, jitter)
            if access.identity_path
            else None
        )
        self.spool = Spool(
            spool_path(settings),
            max_rows=settings.gateway.spool_max_rows,
            max_bytes=settings.gateway.spool_max_bytes,
        )
        self.intake = Intake(self.spool, stored=self._tap_stored, start=self._start)
        self.radio = Radio(
            backends_of(settings.gateway),
            self.intake,
            jitter,
            slots=settings.gateway.connections_per_adapter,
            bonds=self._status_path.parent,
        )
        self._states = RingStates()
        self._wake = asyncio.Event()
        self._taps = Sender(
            self.spool,
            self.uplink,
            self.delivery,
            lambda row: edge.tap_topic(self._settings.id, row.ring),
        )
        self._reads = Reads(
            settings.gateway.readers,
            self.spool,
            self.uplink,
            jitter,
            gateway=self._settings.id,
            wake=self._wake.set,
        )
        self._acknowledged_count = 0
        self._notes = Notes(self.spool, self.uplink)
        self._remote = RemoteConfig(self._status_path.with_name("config.json"))
        self._rpc = Rpc(methods_of(self.radio, recent))
        self._apply()
        self._state = "online"
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled."""
        await self.intake.recall()
        self.uplink.start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.radio.run())
            tasks.create_task(self._reads.readers.run())
            tasks.create_task(self._pump())
            tasks.create_task(self._report())
            tasks.create_task(supervisor.keep_alive())
            if self._renewing is not None:
                tasks.create_task(self._renewing.run())
            _log.info("process_ready")
            supervisor.notify("READY=1")

    async def close(self) -> None:
        """Say goodbye and release everything; what is spooled stays."""
        self._state = "stopping"
        supervisor.notify("STOPPING=1")
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.uplink.stop()
        await asyncio.to_thread(self.spool.close)
        self._status_path.unlink(missing_ok=True)

    def _tap_stored(self) -> None:
        self._taps.stored()
        self._wake.set()

    async def _pump(self) -> None:
        """Keep the window full while there is a link."""
        while True:
            self._wake.clear()
            pause: float | None = None
            if self.uplink.is_up:
                try:
                    await self._taps.refill()
                    await self._reads.sender.refill()
                except SpoolUnavailableError:
                    pause = SPOOL_RETRY_SECONDS
                self._taps.send_due()
                self._reads.sender.send_due()
                due = [it.next_due for it in (self.delivery, self._reads.delivery) if it.next_due]
                if not due:
                    await self._notes.send()
                elif pause is None:
                    pause = max(0.0, min(due) - clock.monotonic_seconds())
            # Not wait_for: in Python 3.11 it swallows a cancellation that meets the wake-up.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    def _uplink_connected(self) -> None:
        self._wake.set()
        if self._renewing is not None:
            self._renewing.feed(LinkUp(self.uplink.shown_on_trial))
        self._publish_info()
        self._states.forget()
        self._start(self._publish_health())

    def _uplink_refused(self) -> None:
        if self._renewing is not None:
            self._renewing.feed(LinkFailed(self.uplink.shown_on_trial))

    def _certified(self, reply: edge.CertificateReply) -> None:
        if self._renewing is not None:
            self._renewing.feed(reply)

    def _uplink_lost(self) -> None:
        self._uplink_refused()
        for delivery in (self.delivery, self._reads.delivery):
            delivery.link_lost(clock.monotonic_seconds())
        self._notes.link_lost()

    def _published(self, mid: int, reason: int) -> None:
        is_note = self._notes.awaits(mid)
        if is_note:
            self._start(self._notes.answered(mid))
        alarm = self._alarm
        for delivery in (self.delivery, self._reads.delivery):
            delivery.puback(mid, reason, clock.monotonic_seconds())
        if self._alarm and self._alarm != alarm:
            _log.warning("taps_held", reason=self._alarm)
        if is_note or reason:  # else it is the hub's word that makes room
            self._wake.set()

    @property
    def _alarm(self) -> str:
        return self.delivery.alarm or self._reads.delivery.alarm

    def _hub_spoke(self, message: edge.AckMessage) -> None:
        for ack in message.acks:
            self._start(self._acknowledged(ack))
        for read_id, code in message.reads:
            self._start(self._reads.settle(read_id, code))

    async def _acknowledged(self, ack: edge.Ack) -> None:
        try:
            if ack.sack:
                count = await self.spool.acknowledge(ack.ring, ack.boot, ack.sack)
                self._acknowledged_count += count
                counters.ACKNOWLEDGED.inc(count)
            if ack.rej:
                await self.spool.quarantine(ack.ring, ack.boot, ack.rej)
        except SpoolUnavailableError:
            return  # still in the window: sent again, acknowledged again
        now = clock.monotonic_seconds()
        if not ack.sack and not ack.rej:
            self.delivery.deferred(ack.ring, ack.boot, now)
        for first, last in ack.sack:
            self.delivery.settled(ack.ring, ack.boot, first, last, now)
        for seq, reason in ack.rej:
            counters.REFUSED.labels(reason).inc()
            _log.warning("tap_refused", ring=ack.ring.hex(), boot=ack.boot, seq=seq, reason=reason)
            self.delivery.settled(ack.ring, ack.boot, seq, seq, now)
        self._wake.set()

    async def _report(self) -> None:
        published_at = clock.monotonic_seconds()  # the first connect tells it anyway
        while True:
            try:
                health.write_status(self._status_path, await self.health())
            except OSError as error:
                _log.warning("status_unwritable", reason=str(error.strerror))
            except SpoolUnavailableError:
                _log.debug("spool_unreadable")
            self._states.tell(
                self.radio.connections.values(), clock.unix_ms(), self._publish_ring_state
            )
            if clock.monotonic_seconds() - published_at >= self._health_seconds:
                published_at = clock.monotonic_seconds()
                # The last will of an older session may have come late: the living one speaks.
                self.uplink.publish_state("online")
                await self._publish_health()
            await asyncio.sleep(health.STATUS_SECONDS)

    def _publish_ring_state(self, ring: bytes, state: edge.RingState) -> bool:
        topic = edge.ring_state_topic(self._settings.id, ring)
        return self.uplink.publish(topic, edge.encode(state), retain=True) is not None

    async def _publish_health(self) -> None:
        topic = edge.health_topic(self._settings.id)
        with suppress(SpoolUnavailableError):
            payload = edge.encode(await self.health())
            # Stamped only when it leaves at once: the hub measures this clock by it.
            live = edge.stamp(payload, clock.unix_ms())
            if self.uplink.publish(topic, live, qos=0) is None:
                await self._notes.keep(topic, payload)

    def _publish_info(self) -> None:
        info = edge.GatewayInfo(
            session=self._session,
            t=clock.unix_ms(),
            version=version("pinghub"),
            adapters=backends_of(self._settings),
            readers=self._reads.readers.names,
            capabilities=self._rpc.methods,
            reported=self._remote.reported,
        )
        topic = edge.info_topic(self._settings.id)
        self.uplink.publish(topic, edge.encode(info), retain=True)

    def _configured(self, desired: edge.Desired) -> None:
        if self._remote.take(desired):
            self._apply()
            self._publish_info()

    def _apply(self) -> None:
        """Let the remote values count where they are set, the gateway's own elsewhere."""
        values, own = self._remote.reported.values, self._settings
        self._health_seconds = values.health_seconds or health.HEALTH_SECONDS
        self.radio.places.slots = values.connections_per_adapter or own.connections_per_adapter
        is_placed = values.latitude is not None
        self.intake.place = self._reads.place = (
            (values.latitude, values.longitude) if is_placed else (own.latitude, own.longitude)
        )

    def _called(self, method: str, payload: bytes, correlation: bytes) -> None:
        self._start(self._answer(method, payload, correlation))

    async def _answer(self, method: str, payload: bytes, correlation: bytes) -> None:
        reply = await self._rpc.answer(method, payload)
        if reply is not None:
            topic = edge.reply_topic(self._settings.id)
            self.uplink.publish(topic, edge.encode(reply), correlation=correlation)

    async def health(self) -> health.Health:
        """Return how the gateway does."""
        now = clock.monotonic_seconds()
        connections = list(self.radio.connections.values())
        return health.Health(
            gateway=self._settings.id,
            session=self._session,
            pid=health.own_pid(),
            t=clock.unix_ms(),
            uptime_s=int(now - self._started_at),
            rss_kib=health.rss_kib(),
            state=self._state,
            mqtt_up=self.uplink.is_up,
            mqtt_connects=self.uplink.connects,
            mqtt_problem=self.uplink.problem,
            adapters=tuple(
                _adapter_health(scan, self.radio.places.links(scan.backend), now)
                for scan in self.radio.scans
            ),
            readers=self._reads.readers.health(),
            waiting=self.radio.places.waiting_count,
            rings=tuple(
                health.RingHealth(
                    ring=item.ring.hex() if item.ring else "",
                    state=item.link.state,
                    rssi=item.rssi,
                    reason=item.link.reason,
                )
                for item in connections
            ),
            spool=await self.spool.stats(),
            window=self.delivery.outstanding + self._reads.delivery.outstanding,
            resends=self.delivery.resends + self._reads.delivery.resends,
            held=self.delivery.held + self._reads.delivery.held,
            delivery_alarm=self._alarm,
            malformed=sum(item.malformed for item in connections),
            acknowledged=self._acknowledged_count,
            identity="certificate" if self._renewing else "login",
            certificate_expires_ms=(
                self._renewing.validity.not_after_ms if self._renewing else None
            ),
            certificate_problem=self._renewing.problem if self._renewing else "",
            renewal=self._renewing.renewal.state if self._renewing else "",
        )

    def _start(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _adapter_health(scan: Scan, links: int, now: float) -> health.AdapterHealth:
    return health.AdapterHealth(
        adapter=scan.backend,
        scanning=scan.is_scanning,
        scan_age_ms=None if scan.heard_at is None else int((now - scan.heard_at) * 1000),
        links=links,
        openings=scan.openings,
        restarts=scan.measures["restart_scan"],
        power_cycles=scan.measures["power_cycle"],
        problem=scan.problem[:PROBLEM_CHARS],
    )
