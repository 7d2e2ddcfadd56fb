"""Planted faults: the same processes with one mechanism taken out.

A test that cannot fail proves nothing. Each fault here removes what the product relies on, and the
journeys must notice. `python -m tests.e2e.faults FAULT COMMAND…` runs a damaged `pinghub COMMAND…`.
"""

import os
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
    "hub ack": (trust_the_puback, "gateway"),
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

    faults: dict[str, str] = {}  # noqa: RUF012  # one system a session

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
