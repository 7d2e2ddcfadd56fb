"""A storm: five rings pressed without pause, two gateways, and one misfortune after another.

Every misfortune is an async function that leaves everything on its way back. Their order comes from
a seed, so that a run can be had again.
"""

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from core import clock
from tests.e2e.edge_system import GATEWAYS, EdgeSystem, spoil, waiting_records
from tests.e2e.journey import Journey, Report, Tap
from tests.fixtures.overheard import Overheard

HOUR_MS: Final = 3_600_000
CLOCK_READING_MS: Final = 20
"""How far a reading of the clock may lie beside what it dates, on a loaded machine."""
MORTALS: Final = (*GATEWAYS, "ingest", "serve", "relay", "worker", "redis", "postgres", "mqtt")


class StormReport(Report):
    """A report of a journey, and what only a storm can show."""

    def __init__(self) -> None:
        super().__init__()
        self.misdated: list[str] = []
        self.wrong_order: list[str] = []


class Storm(Journey):
    """A journey whose taps are timed, and whose spools may lose what was destroyed in them."""

    system: EdgeSystem

    def __init__(
        self,
        system: EdgeSystem,
        rings: Sequence[dict[str, str]],
        *,
        seed: int,
        say: Callable[[str], None] = print,
    ) -> None:
        super().__init__(system, rings)
        self.random = random.Random(seed)
        self.pressed_ms: dict[Tap, tuple[int, int]] = {}
        self.destroyed: set[Tap] = set()
        self.happened: Counter[str] = Counter()
        self.overheard: Overheard
        self.say = say
        self._locks = [asyncio.Lock() for _ in rings]
        self._connections: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        self._began = time.monotonic()

    async def ask_rings(self, request: dict[str, object], line: int = -1) -> dict[str, Any]:
        """Ask the rings' control port over a connection of this line's own."""
        if line not in self._connections:
            host, _, port = self.rings_address.rpartition(":")
            self._connections[line] = await asyncio.open_connection(host, int(port))
        reader, writer = self._connections[line]
        writer.write(json.dumps(request).encode() + b"\n")
        answer = json.loads(await reader.readline())
        assert answer["ok"], answer
        return answer

    async def press_ring(self, index: int) -> None:
        """Press a ring and note when."""
        device_id = self._rings[index]["device_id"]
        async with self._locks[index]:
            before_ms = clock.unix_ms()
            answer = await self.ask_rings({"press": device_id}, index)
            after_ms = clock.unix_ms()
        tap = (self._ring_ids[device_id], answer["boot"], answer["seq"])
        self.pressed.append(tap)
        self.pressed_ms[tap] = before_ms, after_ms

    @asynccontextmanager
    async def pressing(self, per_second: float) -> AsyncGenerator[None]:
        """Press the rings in turn while the block runs."""
        is_over = False

        async def press_one(index: int) -> None:
            pause_seconds = len(self._rings) / per_second
            due = asyncio.get_running_loop().time() + index / per_second
            while not is_over:
                await self.press_ring(index)
                due += pause_seconds
                # The pace of the taps; whoever was held up does not catch up.
                now = asyncio.get_running_loop().time()
                due = max(due, now)
                await asyncio.sleep(due - now)

        async with asyncio.TaskGroup() as fingers:
            for index in range(len(self._rings)):
                fingers.create_task(press_one(index))
            try:
                yield
            finally:
                is_over = True

    async def until_pressed(self, count: int) -> None:
        """Wait for so many taps in all."""
        await self.until(lambda: len(self.pressed) >= count, f"{count} taps", 900)

    def tell(self, what: str) -> None:
        """Note and print a misfortune."""
        self.happened[what.partition(":")[0]] += 1
        self.say(f"{time.monotonic() - self._began:6.1f} s  {len(self.pressed):6} taps  {what}")

    # The misfortunes.

    async def kill_one(self, name: str = "") -> None:
        """SIGKILL one process of the hub, the edge or the services."""
        name = name or self.random.choice(MORTALS)
        self.tell(f"killed {name}")
        self.system.hold_down(name)
        self.kills.append(name)
        await asyncio.sleep(self.random.uniform(0.0, 0.5))  # how long it is away, not a wait
        self.system.let_up(name)
        await self.alive(name)

    async def kill_the_rings(self) -> None:
        """SIGKILL all rings; each starts a new boot from its flash."""
        self.tell("killed rings")
        async with AsyncExitStack() as held:
            # A press that was never answered would be a tap that nobody knows of.
            for lock in self._locks:
                await held.enter_async_context(lock)
            self.system.hold_down("rings")
            self.kills.append("rings")
            self._connections.clear()
            self.system.let_up("rings")
            await self.alive("rings")

    async def restart_a_ring(self) -> None:
        """Switch one ring off and on: a new boot, and numbers skipped."""
        index = self.random.randrange(len(self._rings))
        self.tell("restarted ring")
        async with self._locks[index]:
            await self.ask_rings({"reboot": self._rings[index]["device_id"]})

    async def lose_a_ring(self) -> None:
        """Take a ring out of reach in the middle of its taps; both ends notice."""
        device_id = self.random.choice(self._rings)["device_id"]
        self.tell("lost ring")
        await self.ask_rings({"silence": device_id})
        await asyncio.sleep(self.random.uniform(0.2, 3.0))  # how long it is away
        await self.ask_rings({"restore": device_id})

    async def set_a_clock(self) -> None:
        """Set a gateway's clock by up to an hour, sometimes while taps wait in its spool."""
        name = self.random.choice(GATEWAYS)
        clock_file = self.system.clocks[name]
        choices = [ms for ms in (-HOUR_MS, 0, HOUR_MS) if ms != clock_file.error_ms]
        error_ms = self.random.choice(choices)
        self.tell(f"set clock: {name} to {error_ms / HOUR_MS:+.0f} h")
        clock_file.set(error_ms)

    async def set_the_clocks_while_taps_wait(self) -> None:
        """Keep the hub from answering, set both clocks, and let a gateway die in between."""
        self.tell("set clocks while taps wait")
        self.system.hold_down("ingest")
        await asyncio.sleep(0.5)  # taps gather
        for name in GATEWAYS:
            before_ms = self.system.clocks[name].error_ms
            self.system.clocks[name].set(HOUR_MS if before_ms <= 0 else -HOUR_MS)
        await self.kill_one(self.random.choice(GATEWAYS))
        self.system.let_up("ingest")
        await self.alive("ingest")

    async def kill_the_broker_while_the_hub_is_down(self) -> None:
        """The broker has taken taps that nobody will ever get from it."""
        self.tell("killed mqtt while ingest was down")
        self.system.hold_down("ingest")
        await asyncio.sleep(self.random.uniform(0.2, 1.0))  # taps reach the broker
        self.system.hold_down("mqtt")
        self.kills += ["ingest", "mqtt"]
        self.system.let_up("mqtt")
        await self.alive("mqtt")
        self.system.let_up("ingest")
        await self.alive("ingest")

    async def fill_a_disk(self) -> None:
        """A gateway's disk takes nothing for a while."""
        name = self.random.choice(GATEWAYS)
        self.tell(f"filled disk: {name}")
        self.system.refuse_writes(name, refused=True)
        await asyncio.sleep(self.random.uniform(0.5, 2.0))  # how long it lasts
        self.system.refuse_writes(name, refused=False)

    async def spoil_a_spool(self) -> None:
        """Noise over a page of a gateway's spool while taps wait in it."""
        name = self.random.choice(GATEWAYS)
        spool = self.system.spool(name)
        self.system.hold_down("ingest")
        await asyncio.sleep(0.5)  # so that something is there to lose
        self.system.hold_down(name)
        before = waiting_records(spool)
        left = spoil(spool, self.random)
        gone = {key for key, raw in before.items() if raw not in left}
        self.tell(f"spoilt spool: {name}, {len(gone)} of {len(before)} taps destroyed")
        self.destroyed |= {(self._ring_ids[ring], boot, seq) for ring, boot, seq in gone}
        self.system.let_up("ingest")
        self.system.let_up(name)
        await self.alive(name)
        await self.alive("ingest")

    @property
    def misfortunes(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """What may happen; each as likely as it stands here."""
        return (
            *[self.kill_one] * 8,
            self.kill_the_rings,
            self.restart_a_ring,
            self.lose_a_ring,
            self.lose_a_ring,
            self.set_a_clock,
            self.set_a_clock,
            self.set_the_clocks_while_taps_wait,
            self.kill_the_broker_while_the_hub_is_down,
            self.fill_a_disk,
            self.spoil_a_spool,
        )

    # What became of it all.

    async def settle(self) -> StormReport:
        """Right the clocks' owners, empty rings and spools, and look at everything."""
        for name in (*MORTALS, "rings"):
            await self.alive(name)

        async def empty() -> bool:
            listed = (await self.ask_rings({"list": True}))["rings"]
            return sum(ring["pending"] for ring in listed) == 0

        await self.until_async(empty, "the rings to be empty", 120)
        report = StormReport()
        vars(report).update(vars(await self.arrival(60)))
        await self._look_at_times(report)
        await self._look_at_order(report)
        return report

    async def _look(self, report: Report, pressed: set[Tap]) -> None:
        """As a journey does, but for what was destroyed, and for gaps that a phone was told of.

        Who missed more than one recovery brings is told so, and reads the rest by REST.
        """
        await super()._look(report, pressed - self.destroyed)
        report.phantom_rows -= self.destroyed
        self.gaps_told = {name for phone in self.phones for name in phone.continuity_lost}
        owners = {
            str(row["id"]): f"taps:{row['user_id']}"
            for row in await self._fetch("SELECT id, user_id FROM rings")
        }
        report.continuity_lost = []
        report.out_of_order = [name for name in report.out_of_order if name not in self.gaps_told]
        report.lost_publications = {
            tap for tap in report.lost_publications if owners[tap[0]] not in self.gaps_told
        }

    async def _look_at_times(self, report: StormReport) -> None:
        """Every time that is stated is true within what is stated."""
        rows = await self._fetch(
            "SELECT ring_id, boot, seq, gateway_id, time_source, uncertainty_ms,"
            " (extract(epoch FROM tapped_at) * 1000)::bigint AS at FROM ring_taps"
        )
        for row in rows:
            tap = (str(row["ring_id"]), row["boot"], row["seq"])
            if row["at"] is None or tap not in self.pressed_ms:
                continue
            before_ms, after_ms = self.pressed_ms[tap]
            wrong_ms = max(before_ms - row["at"], row["at"] - after_ms, 0)
            if wrong_ms > row["uncertainty_ms"] + CLOCK_READING_MS:
                report.misdated.append(
                    f"{tap} by {row['gateway_id']}: {wrong_ms} ms wrong,"
                    f" {row['uncertainty_ms']} ms stated ({row['time_source']})"
                )
        self.dated = Counter(row["time_source"] for row in rows)
        self.uncertain_ms = sorted(row["uncertainty_ms"] or 0 for row in rows)

    async def _look_at_order(self, report: StormReport) -> None:
        """Each ring's publications came in the order of their events."""
        born: dict[str, list[Tap]] = defaultdict(list)
        for row in await self._fetch(
            "SELECT payload FROM events WHERE type = 'ring.tapped' AND occurred_at > $1"
            " ORDER BY id",
            self._since,
        ):
            payload = json.loads(row["payload"])
            born[payload["ring_id"]].append((payload["ring_id"], payload["boot"], payload["seq"]))
        told: dict[str, list[Tap]] = defaultdict(list)
        for phone in self.phones:
            for tap in phone.taps:
                told[tap[0]].append(tap)
        for ring, taps in born.items():
            heard = set(told[ring])
            if told[ring] != [tap for tap in taps if tap in heard]:
                report.wrong_order.append(ring)


async def rage(storm: Storm, *, taps: int, per_second: float) -> StormReport:
    """Press so many taps, one misfortune after the other meanwhile, then see what is left."""
    async with storm.pressing(per_second):
        while len(storm.pressed) < taps:
            misfortune = storm.random.choice(storm.misfortunes)
            await misfortune()
            await asyncio.sleep(storm.random.uniform(0.0, 1.5))  # how long peace lasts
    return await storm.settle()
