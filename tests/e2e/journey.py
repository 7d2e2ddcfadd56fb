"""Taps on their way from virtual rings to phones, with deaths in between, and what became of them.

Generator and checker stand outside the system: rings are pressed through their control port, phones
are official SDKs, and the database is read by its superuser.
"""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import asyncpg
import httpx

from core import config
from core.db.bootstrap import at_database
from core.ids import new_id
from firmware_bridge.cli import ask
from hub.embedded.generated import DATABASE_NAME
from hub.processes.system import System
from tests.e2e.phone import Phone, call, user_ids

Tap = tuple[str, int, int]
"""Ring id, boot, seq."""

OWNERS: Final = ("Ada Lovelace", "Grace Hopper")
_TICK_SECONDS: Final = 0.05


@dataclass
class Report:
    """What went wrong; a clean report is all empty but for the time it took."""

    seconds: float = 0.0

    lost_rows: set[Tap] = field(default_factory=set)
    doubled_rows: set[Tap] = field(default_factory=set)
    phantom_rows: set[Tap] = field(default_factory=set)
    refused: int = 0
    lost_publications: set[Tap] = field(default_factory=set)
    doubled_publications: list[Tap] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    continuity_lost: list[str] = field(default_factory=list)
    wrong_messages: list[str] = field(default_factory=list)
    """Channels whose messages are not exactly those that were sent, in their order."""
    unfinished_consumers: int = 0
    inactive_owners: list[str] = field(default_factory=list)

    @property
    def problems(self) -> dict[str, Any]:
        """Return the findings that are not empty."""
        found = {name: value for name, value in vars(self).items() if value}
        found.pop("seconds", None)
        return found


class Journey:
    """Presses rings, kills processes, and compares what arrived with what was pressed."""

    def __init__(self, system: System, rings: Sequence[dict[str, str]]) -> None:
        self.system = system
        self.pressed: list[Tap] = []
        self.sent: list[str] = []
        self.kills: list[str] = []
        self._rings = rings
        self._ring_ids: dict[str, str] = {}
        settings = config.load(system.environment)
        self.rings_address = settings.development.rings_address
        self.superuser_url = at_database(settings.database.superuser_url, DATABASE_NAME)
        self.redis_url = settings.redis.url
        self.queue_name = f"{settings.redis.key_prefix}:tasks"
        self.phones: list[Phone] = []
        self._since: datetime | None = None

    async def open(self) -> None:
        """Connect the phones; what happened before this moment is not looked at."""
        rows = await self._fetch("SELECT id, encode(device_id, 'hex') AS device_id FROM rings")
        self._ring_ids = {row["device_id"]: str(row["id"]) for row in rows}
        self._since = (await self._fetch("SELECT clock_timestamp() AS now"))[0]["now"]
        self.pressed, self.sent, self.kills = [], [], []
        self.phones = [Phone(self.system.url, owner) for owner in OWNERS]
        for phone in self.phones:
            await phone.open()
        first, second = self.phones
        partner = {"partner_id": user_ids(self.system.url)[second.user_name]}
        opened = call(self.system.url, "/v1/conversations", partner, first.access_token)
        self._messages_path = f"/v1/conversations/{opened['id']}/messages"
        for phone in self.phones:
            await phone.join(opened["id"])

    async def renew(self) -> None:
        """Begin another journey on the same system."""
        await self.close()
        await self.open()

    async def close(self) -> None:
        for phone in self.phones:
            await phone.close()

    async def press(self, index: int) -> None:
        """Press the next ring; it counts as pressed when the ring has it in its memory."""
        device_id = self._rings[index % len(self._rings)]["device_id"]
        answer = await asyncio.to_thread(ask, self.rings_address, {"press": device_id})
        self.pressed.append((self._ring_ids[device_id], answer["boot"], answer["seq"]))

    async def send(self) -> None:
        """Send the next message by REST as an app does: again, with its key, until answered."""
        number = len(self.sent)
        body = {"body": f"message {number} after {self._since}"}
        token = self.phones[number % len(self.phones)].access_token
        key = str(new_id())
        deadline = asyncio.get_running_loop().time() + 90
        while True:
            try:
                await asyncio.to_thread(
                    call, self.system.url, self._messages_path, body, token, key=key
                )
            except httpx.HTTPError:  # refused, cut off, 503, 409 while in flight
                assert asyncio.get_running_loop().time() < deadline, "no answer to a message"
                await asyncio.sleep(_TICK_SECONDS)
            else:
                self.sent.append(body["body"])
                return

    @asynccontextmanager
    async def talking(self) -> AsyncGenerator[None]:
        """Send messages while the block runs; all are answered when it ends."""
        is_over = False

        async def talk() -> None:
            while not is_over:
                await self.send()
                await asyncio.sleep(0.1)  # the pace of the talk, not a wait for anything

        task = asyncio.create_task(talk())
        try:
            yield
        finally:
            is_over = True
            await task

    def kill(self, name: str) -> None:
        """SIGKILL a process and everything in its group; the supervisor starts it again."""
        pid = self.system.supervisor.pid(name)
        os.killpg(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            # Until it is dead it would pass for the one that comes after it.
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self.kills.append(name)

    async def until(
        self, condition: Callable[[], bool], what: str, seconds: float, *, strict: bool = True
    ) -> None:
        """Wait for a condition while the supervisor works."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not condition():
            if asyncio.get_running_loop().time() > deadline:
                if strict:
                    raise AssertionError(f"waited {seconds} s for {what}")
                return
            await asyncio.sleep(_TICK_SECONDS)

    async def until_async(
        self, condition: Callable[[], Awaitable[object]], what: str, seconds: float
    ) -> None:
        """Wait for a condition that has to be asked over the network."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not await condition():
            assert asyncio.get_running_loop().time() < deadline, f"waited {seconds} s for {what}"
            await asyncio.sleep(_TICK_SECONDS)

    async def relayed(self) -> None:
        """Wait until everything pressed has left the outbox."""

        async def done() -> bool:
            row = (
                await self._fetch(
                    """
                    SELECT
                      (SELECT count(*) FROM events WHERE type = 'ring.tapped' AND occurred_at > $1)
                        AS events,
                      (SELECT count(*) FROM outbox) AS waiting
                    """,
                    self._since,
                )
            )[0]
            return row["events"] >= len(self.pressed) and row["waiting"] == 0

        await self.until_async(done, "the outbox to be empty", 30)

    def gateway_status(self) -> dict[str, Any]:
        """Return what the gateway says of itself; all zero while it is not there."""
        try:
            return json.loads((self.system.home / "gateway" / "status.json").read_text())
        except (OSError, ValueError):
            return {"t": 0, "spool": {"pending": 0}, "resends": 0, "rings": []}

    async def alive(self, name: str) -> None:
        """Wait until a process that was killed is back."""
        supervisor = self.system.supervisor
        await self.until(lambda: supervisor.ready(name), f"{name} to be ready again", 60)

    async def arrival(self, seconds: float) -> Report:
        """Wait until all taps and messages are everywhere, or time is up; report what is not."""
        began = asyncio.get_running_loop().time()
        pressed = set(self.pressed)
        await self.until(
            lambda: (
                pressed <= {tap for phone in self.phones for tap in phone.taps}
                and all(len(told) >= len(self.sent) for _, told in self._told())
            ),
            "all publications",
            seconds,
            strict=False,
        )
        report = Report()
        while True:
            await self._look(report, pressed)
            report.seconds = asyncio.get_running_loop().time() - began
            if not report.problems or report.seconds > seconds:
                return report
            await asyncio.sleep(_TICK_SECONDS * 4)

    def _told(self) -> list[tuple[str, list[str]]]:
        """Return what each phone was told of the talk, once in person and once on the screen."""
        return [
            (f"{phone.user_name} in {channel.partition(':')[0]}", bodies)
            for phone in self.phones
            for channel, bodies in phone.messages.items()
        ]

    async def _look(self, report: Report, pressed: set[Tap]) -> None:
        first_seq = {ring: min(s for r, _, s in pressed if r == ring) for ring, _, _ in pressed}
        rows = Counter(
            (str(row["ring_id"]), row["boot"], row["seq"])
            for row in await self._fetch("SELECT ring_id, boot, seq FROM ring_taps")
            if row["seq"] >= first_seq.get(str(row["ring_id"]), 1 << 40)
        )
        told = Counter(
            tap
            for phone in self.phones
            for tap in phone.taps
            if tap[2] >= first_seq.get(tap[0], 1 << 40)
        )
        report.lost_rows = pressed - set(rows)
        report.phantom_rows = set(rows) - pressed
        report.doubled_rows = {tap for tap, count in rows.items() if count > 1}
        report.lost_publications = pressed - set(told)
        report.doubled_publications = [tap for tap, count in told.items() if count > 1]
        report.out_of_order = [name for phone in self.phones for name in phone.out_of_order]
        report.continuity_lost = [name for phone in self.phones for name in phone.continuity_lost]
        report.wrong_messages = [name for name, told in self._told() if told != self.sent]
        written = await self._fetch(
            "SELECT body FROM messages WHERE created_at > $1 ORDER BY id", self._since
        )
        if [row["body"] for row in written] != self.sent:
            report.wrong_messages.append("the database")
        report.refused = (
            await self._fetch(
                "SELECT count(*) AS n FROM rejected_taps WHERE received_at > $1", self._since
            )
        )[0]["n"]
        report.unfinished_consumers = (
            await self._fetch(
                """
                SELECT count(*) AS n
                FROM events AS e
                LEFT JOIN consumer_tasks AS t
                  ON t.event_id = e.id AND t.consumer = 'profiles.mark_active'
                WHERE e.type = 'ring.tapped' AND e.occurred_at > $1
                  AND t.status IS DISTINCT FROM 'done'
                """,
                self._since,
            )
        )[0]["n"]
        report.inactive_owners = [
            row["full_name"]
            for row in await self._fetch(
                """
                SELECT u.full_name
                FROM users AS u
                JOIN profiles AS p ON p.user_id = u.id
                WHERE (
                  SELECT max(e.occurred_at)
                  FROM events AS e
                  WHERE e.user_id = u.id AND e.type = 'ring.tapped'
                ) - interval '1 minute' > coalesce(p.last_active_at, '-infinity')
                """
            )
        ]

    async def _fetch(self, sql: str, *args: object) -> list[Any]:
        while True:
            try:
                connection = await asyncpg.connect(self.superuser_url)
                try:
                    return await connection.fetch(sql, *args)
                finally:
                    await connection.close()
            except (OSError, asyncpg.PostgresConnectionError):  # it may just be dead
                await asyncio.sleep(_TICK_SECONDS)


@asynccontextmanager
async def ticking(system: System) -> AsyncGenerator[None]:
    """Let the supervisor look after its children while the test goes on."""

    async def tick() -> None:
        while True:
            system.supervisor.tick()
            await asyncio.sleep(_TICK_SECONDS)

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()
