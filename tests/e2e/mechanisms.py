"""What each mechanism of delivery is needed for: a scenario that goes wrong without it."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg
from redis.asyncio import Redis

from core import clock
from firmware_bridge.cli import ask
from tests.e2e.faults import planted
from tests.e2e.journey import Journey

Scenario = Callable[[Journey], Awaitable[None]]


async def press_ten(journey: Journey) -> None:
    for index in range(10):
        await journey.press(index)


def signal_to(journey: Journey, name: str, number: signal.Signals) -> None:
    os.killpg(journey.system.supervisor.pid(name), number)


async def handed_over(journey: Journey) -> None:
    """Wait until the rings have nothing left that the gateway has not acknowledged."""

    def pending() -> int:
        rings = ask(journey.rings_address, {"list": True})["rings"]
        return sum(ring["pending"] for ring in rings)

    await journey.until(lambda: pending() == 0, "the rings' taps to be spooled", 20)


async def the_gateway_speaks(journey: Journey) -> None:
    """Wait for a status of now: it is written now and then, and by a living gateway only."""
    now_ms = clock.unix_ms()
    await journey.until(lambda: journey.gateway_status()["t"] > now_ms, "a status of now", 20)


async def the_gateway_hears_the_rings(journey: Journey) -> None:
    """Wait until the gateway takes the taps of all rings as they come."""
    await the_gateway_speaks(journey)
    count = len(ask(journey.rings_address, {"list": True})["rings"])

    def hears() -> bool:
        return [ring["state"] for ring in journey.gateway_status()["rings"]].count("live") == count

    await journey.until(hears, "the gateway to be connected to all rings", 20)


async def the_gateway_dies_while_the_mqtt_broker_is_away(journey: Journey) -> None:
    signal_to(journey, "mqtt", signal.SIGSTOP)
    await press_ten(journey)
    await handed_over(journey)
    journey.kill("gateway")
    journey.kill("mqtt")
    for name in ("gateway", "mqtt"):
        await journey.alive(name)


async def the_mqtt_broker_dies_with_what_it_had_accepted(journey: Journey) -> None:
    # Were the gateway still on its way back, the broker would give up ingest before it comes, and
    # refuse its taps as nobody's: it would have accepted nothing.
    await the_gateway_speaks(journey)
    signal_to(journey, "ingest", signal.SIGSTOP)
    await press_ten(journey)
    await handed_over(journey)
    pressed_ms = clock.unix_ms()

    def sent() -> bool:
        status = journey.gateway_status()
        return status["t"] > pressed_ms and status["spool"]["pending"] == 0

    await journey.until(sent, "the gateway to have sent everything", 20)
    await the_gateway_may_forget(journey)
    journey.kill("mqtt")
    journey.kill("ingest")
    for name in ("mqtt", "ingest"):
        await journey.alive(name)


async def the_gateway_may_forget(journey: Journey) -> None:
    """Give a gateway that believes too much the time to: a sound one keeps what it has sent."""
    now_ms = clock.unix_ms()

    def has_forgotten() -> bool:
        status = journey.gateway_status()
        return status["t"] > now_ms and status["spool"]["pending"] + status["spool"]["sent"] == 0

    await journey.until(has_forgotten, "", 3, strict=False)


async def the_disk_refuses_ten_taps_and_takes_the_next(journey: Journey) -> None:
    """The next one reaches the gateway before it asks the ring for the ten again."""
    await the_gateway_hears_the_rings(journey)  # or it would only fetch them with the next
    journey.system.refuse_writes("gateway", refused=True)
    for _ in range(10):
        await journey.press(0)
    await asyncio.sleep(1.5)  # for all ten to be refused, which a full disk keeps secret
    journey.system.refuse_writes("gateway", refused=False)
    for _ in range(3):
        await journey.press(0)


async def ingest_dies_with_what_the_database_has_not_committed(journey: Journey) -> None:
    await the_gateway_speaks(journey)
    connection = await asyncpg.connect(journey.superuser_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE ring_taps IN ACCESS EXCLUSIVE MODE")
            await press_ten(journey)
            await handed_over(journey)
            await the_gateway_may_forget(journey)
            journey.kill("ingest")
    finally:
        await connection.close()
    await journey.alive("ingest")


async def ingest_answers_so_late_that_the_gateway_sends_again(journey: Journey) -> None:
    # An older status would count resends of before as ours.
    await the_gateway_speaks(journey)
    before = journey.gateway_status()["resends"]
    signal_to(journey, "ingest", signal.SIGSTOP)
    await press_ten(journey)
    await journey.until(lambda: journey.gateway_status()["resends"] >= before + 10, "resends", 30)
    signal_to(journey, "ingest", signal.SIGCONT)
    # MQTT keeps their order: when this one is there, so is everything that was sent twice.
    await journey.press(0)


async def redis_forgets_the_queue(journey: Journey) -> None:
    signal_to(journey, "worker", signal.SIGSTOP)
    await press_ten(journey)
    async with Redis.from_url(journey.redis_url) as redis:
        await journey.until_async(
            lambda: redis.xlen(journey.queue_name), "calls to the workers", 20
        )
        await journey.relayed()
        await redis.delete(journey.queue_name)
    journey.kill("worker")
    await journey.alive("worker")


async def the_hub_dies_while_taps_arrive(journey: Journey) -> None:
    journey.kill("serve")
    await press_ten(journey)
    await journey.relayed()
    await journey.alive("serve")


AT_THE_GATEWAY: Final[dict[str, Scenario]] = {
    "spool": the_gateway_dies_while_the_mqtt_broker_is_away,
    "contiguous acknowledgement": the_disk_refuses_ten_taps_and_takes_the_next,
    "commit before acknowledgement": the_disk_refuses_ten_taps_and_takes_the_next,
    "hub ack": the_mqtt_broker_dies_with_what_it_had_accepted,
}
IN_THE_HUB: Final[dict[str, Scenario]] = {
    "commit before the hub's word": ingest_dies_with_what_the_database_has_not_committed,
    "dedupe": ingest_answers_so_late_that_the_gateway_sends_again,
    "side effects of new rows only": ingest_answers_so_late_that_the_gateway_sends_again,
    "outbox": press_ten,
    "consumer tasks": press_ten,
    "sweeper": redis_forgets_the_queue,
    "recovery": the_hub_dies_while_taps_arrive,
}


async def is_needed(journey: Journey, mechanism: str, scenario: Scenario) -> None:
    """Assert that nothing is lost or doubled with a mechanism, and something without it."""
    await scenario(journey)
    with_it = await journey.arrival(40)
    await journey.renew()
    async with planted(journey, mechanism):
        await scenario(journey)
        # Longer than the whole system needed, or slowness would pass for a loss.
        without_it = await journey.arrival(2 + 1.5 * with_it.seconds)

    assert with_it.problems == {}, with_it.problems
    assert without_it.problems != {}, f"without {mechanism} nothing was missed"
