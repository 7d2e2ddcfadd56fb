"""Planted faults: the same processes with one mechanism taken out.

A test that cannot fail proves nothing. Each fault here removes what the product relies on, and the
journeys must notice. `python -m tests.e2e.faults FAULT COMMAND…` runs a damaged `pinghub COMMAND…`.
"""

import os
import resource
import runpy
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import msgspec

from core import clock, config
from hub.processes.system import System
from tests.e2e.journey import Journey


def forget_the_spool() -> None:
    """The gateway's spool does not outlive the gateway."""
    from gateway import daemon

    original = daemon.spool_path

    def emptied(settings: config.Settings) -> Any:
        path = original(settings)
        for file in path.parent.glob(path.name + "*"):
            file.unlink()
        return path

    daemon.spool_path = emptied


def acknowledge_the_highest() -> None:
    """The gateway tells a ring to forget everything up to the latest record that it has stored."""
    from gateway.marks import Marks

    original = Marks.stored

    def stored(self: Marks, boot: int, seq: int) -> None:
        original(self, boot, seq)
        if seq > self._given:
            self._due.clear()
            self._due.append((boot, seq))

    Marks.stored = stored


def acknowledge_before_the_commit() -> None:
    """The gateway tells a ring that a record is safe before the disk has it."""
    from gateway.intake import Intake

    original = Intake.store

    async def store(self: Intake, *args: Any, **kwargs: Any) -> bool:
        async def store_later() -> None:
            await original(self, *args, **kwargs)

        self._start(store_later())
        return True

    Intake.store = store


def trust_the_puback() -> None:
    """The gateway forgets a tap when the MQTT broker has it, without the hub's word."""
    from gateway.daemon import Gateway
    from gateway.delivery import FAILURE, NO_SUBSCRIBERS

    original = Gateway._published

    def published(self: Gateway, mid: int, reason: int) -> None:
        waiting = self.delivery._by_mid.get(mid)
        original(self, mid, reason)
        if waiting is not None and reason < FAILURE and reason != NO_SUBSCRIBERS:
            row = waiting.row
            self._start(self.spool.acknowledge(row.ring, row.boot, [(row.seq, row.seq)]))
            self.delivery.settled(row.ring, row.boot, row.seq, row.seq, clock.monotonic_seconds())

    Gateway._published = published


def answer_before_the_commit() -> None:
    """Ingest gives its word, and its MQTT acknowledgement, for taps that it has only read."""
    from hub.domains.taps import service
    from hub.domains.taps.mqtt import read_tap, write_acks
    from hub.processes import ingest

    async def carry(link: Any, pool: Any, keys: Any, settings: config.Ingest) -> None:
        while True:
            batch = await link.receive(settings.batch_max_taps, settings.batch_wait_seconds)
            taps = [read_tap(item) for item in batch if item.topic.endswith("/tap")]
            read = [tap for tap in taps if tap is not None]
            verdicts = dict.fromkeys(range(len(read)), "committed")
            for answer in write_acks(service._answers(read, verdicts)):
                link.publish(answer.topic, answer.payload)
            link.acknowledge(batch)
            await ingest._ingest_for_ever(pool, keys, batch)

    ingest._carry = carry


def keep_no_consumer_tasks() -> None:
    """The relay calls the workers but writes down nothing that is still to be done."""
    from hub.domains.events import service

    original = service.finish_outbox

    async def finish(*args: Any, **kwargs: Any) -> None:
        await original(*args, **kwargs | {"tasks": ()})

    service.finish_outbox = finish


def never_sweep() -> None:
    """A call to a worker that was lost is lost for good."""
    from hub.processes import relay

    async def sweep(*_args: Any) -> int:
        return 0

    relay.sweep = sweep


def keep_no_history() -> None:
    """The hub resumes nobody: who was away has missed it."""
    from hub.wiring import channels

    for name, namespace in channels.NAMESPACES.items():
        channels.NAMESPACES[name] = msgspec.structs.replace(
            namespace,
            history_size=0,
            history_ttl_seconds=0,
            force_recovery=False,
            force_positioning=False,
        )


CODE_FAULTS: Final[dict[str, tuple[Callable[[], None], str]]] = {
    "spool": (forget_the_spool, "gateway"),
    "contiguous acknowledgement": (acknowledge_the_highest, "gateway"),
    "commit before acknowledgement": (acknowledge_before_the_commit, "gateway"),
    "hub ack": (trust_the_puback, "gateway"),
    "commit before the hub's word": (answer_before_the_commit, "ingest"),
    "consumer tasks": (keep_no_consumer_tasks, "relay"),
    "sweeper": (never_sweep, "relay"),
    "recovery": (keep_no_history, "serve"),
}

# Statements that take a mechanism of the database out, and those that put it back.
DATABASE_FAULTS: Final[dict[str, tuple[str, str]]] = {
    "dedupe": (
        """
        CREATE TABLE taken_out AS
          SELECT conname, pg_get_constraintdef(oid) AS definition,
            pg_get_functiondef('app.record_taps(jsonb)'::regprocedure) AS function
          FROM pg_constraint
          WHERE conrelid = 'ring_taps'::regclass AND contype = 'u'
            AND pg_get_constraintdef(oid) LIKE '%(ring_id, boot, seq)%';
        DO $$
        DECLARE
          old record;
          damaged text;
        BEGIN
          SELECT * INTO STRICT old FROM taken_out;
          damaged := replace(old.function, 'ON CONFLICT (ring_id, boot, seq) DO NOTHING', '');
          ASSERT damaged <> old.function, 'record_taps has changed: this fault plants nothing';
          EXECUTE format('ALTER TABLE ring_taps DROP CONSTRAINT %I', old.conname);
          EXECUTE damaged;
        END
        $$
        """,
        """
        DELETE FROM ring_taps AS t
        USING ring_taps AS first
        WHERE (t.ring_id, t.boot, t.seq) = (first.ring_id, first.boot, first.seq)
          AND t.id > first.id;
        DO $$
        DECLARE
          old record;
        BEGIN
          SELECT * INTO STRICT old FROM taken_out;
          EXECUTE format('ALTER TABLE ring_taps ADD CONSTRAINT %I %s', old.conname, old.definition);
          EXECUTE old.function;
        END
        $$;
        DROP TABLE taken_out
        """,
    ),
    "side effects of new rows only": (
        """
        ALTER TABLE ring_taps DISABLE TRIGGER emit_ring_tapped;
        CREATE FUNCTION app.emit_untried() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
        BEGIN
          PERFORM app.emit(
            'ring.tapped', NEW.user_id, 'ring', NEW.ring_id,
            jsonb_build_object(
              'tap_id', NEW.id, 'ring_id', NEW.ring_id, 'kind', NEW.kind, 'source', NEW.source,
              'boot', NEW.boot, 'seq', NEW.seq, 'rssi', NEW.rssi, 'gateway_id', NEW.gateway_id,
              'tapped_at', NEW.tapped_at, 'uncertainty_ms', NEW.uncertainty_ms,
              'time_source', NEW.time_source, 'verified', NEW.verified
            )
          );
          RETURN NEW;
        END
        $$;
        CREATE TRIGGER emit_untried BEFORE INSERT ON ring_taps
          FOR EACH ROW EXECUTE FUNCTION app.emit_untried()
        """,
        """
        DROP FUNCTION app.emit_untried() CASCADE;
        ALTER TABLE ring_taps ENABLE TRIGGER emit_ring_tapped
        """,
    ),
    "outbox": (
        """
        CREATE FUNCTION app.swallow() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN RETURN NULL; END';
        CREATE TRIGGER swallow BEFORE INSERT ON outbox
          FOR EACH ROW EXECUTE FUNCTION app.swallow()
        """,
        "DROP FUNCTION app.swallow() CASCADE",
    ),
}


class FaultySystem(System):
    """The system, with faults planted into single processes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.faults: dict[str, str] = {}

    def refuse_writes(self, name: str, *, refused: bool) -> None:
        """Let a process's disk take nothing, as a full one; or let it take everything again."""
        unlimited = resource.RLIM_INFINITY
        limit = (1 if refused else unlimited, unlimited)
        resource.prlimit(self.supervisor.pid(name), resource.RLIMIT_FSIZE, limit)

    def _command(self, name: str) -> list[str]:
        command = super()._command(name)
        if fault := self.faults.get(name):
            # python -m hub.cli ARGUMENTS
            return [command[0], "-m", "tests.e2e.faults", fault, *command[3:]]
        return command


@asynccontextmanager
async def planted(journey: Journey, fault: str) -> AsyncGenerator[None]:
    """Run the block with one mechanism taken out, and put it back."""
    if fault in DATABASE_FAULTS:
        async with _planted_in_database(journey, *DATABASE_FAULTS[fault]):
            yield
        return
    name = CODE_FAULTS[fault][1]
    journey.system.faults[name] = fault
    journey.kill(name)
    await journey.alive(name)
    try:
        yield
    finally:
        del journey.system.faults[name]
        journey.kill(name)
        await journey.alive(name)


@asynccontextmanager
async def _planted_in_database(journey: Journey, take: str, restore: str) -> AsyncGenerator[None]:
    connection = await asyncpg.connect(journey.superuser_url)
    try:
        await connection.execute(take)
        try:
            yield
        finally:
            await connection.execute(restore)
    finally:
        await connection.close()


def run_here(_path: str, command: Sequence[str]) -> None:
    """Stand in for os.execv: a fresh interpreter would be a sound one."""
    *_, option, module = command
    assert option == "-m", f"the fault cannot follow into {command}"
    sys.argv[1:] = []
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def main() -> None:
    fault, *arguments = sys.argv[1:]
    CODE_FAULTS[fault][0]()
    os.execv = run_here
    sys.argv[1:] = arguments
    from hub.cli import main

    main()


if __name__ == "__main__":
    main()
