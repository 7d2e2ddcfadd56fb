"""The supervisor with real children: restart, order of stopping, nothing left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.embedded.child import Child
from hub.processes import leftovers
from hub.processes.supervisor import Change, Spawned, Spec, StartError, Supervisor
from tests.fixtures.waiting import running_seconds, wait_until

READY = 'print(\'{"event": "process_ready"}\', flush=True)'
POLITE = f"{READY}; import time; time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {POLITE}"
# Notes the moment of its end, so that the order of stopping can be read.
NOTING = """
import signal, sys, time
def end(*_):
    open(sys.argv[1], "w").write(str(time.monotonic()))
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print('"process_ready"', flush=True)
time.sleep(600)
"""
WITH_A_CHILD = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(str(child.pid))
{POLITE}
"""


class Bench:
    """A supervisor, what it reported, and a way to describe children briefly."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changes: list[tuple[str, Change]] = []
        self.supervisor = Supervisor(lambda name, change: self.changes.append((name, change)))

    def spec(self, name: str, program: str, *arguments: str, **options: object) -> Spec:
        log_path = self.folder / f"{name}.log"
        command = [sys.executable, "-c", program, *arguments]
        environment = {**os.environ, **leftovers.mark(self.folder)}

        def ready(process: Child) -> bool:
            return isinstance(process, Spawned) and process.said_ready

        return Spec(
            name=name,
            start=lambda: Spawned(command, log_path, environment),
            ready=ready,
            log_path=log_path,
            **options,
        )

    def start(self, *specs: Spec) -> None:
        self.supervisor.add(specs)
        self.supervisor.wait_ready()

    def tick_until(self, condition: Callable[[], object], what: str) -> None:
        wait_until(lambda: (self.supervisor.tick(), condition())[1], what)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.supervisor.stop(hurry=lambda: True)
    assert leftovers.find(tmp_path) == []


def test_a_killed_child_is_started_again_and_becomes_ready(bench: Bench):
    bench.start(bench.spec("one", POLITE))
    first = bench.supervisor.pid("one")
    os.kill(first, signal.SIGKILL)
    bench.tick_until(lambda: bench.changes.count(("one", "ready")) == 2, "the second life")
    assert bench.supervisor.pid("one") != first
    assert bench.changes == [("one", "ready"), ("one", "crashed"), ("one", "ready")]


def test_a_child_that_ends_before_it_is_ready_fails_the_start_with_its_last_words(bench: Bench):
    program = "import sys; print('setting redis.url: is not set', file=sys.stderr); sys.exit(2)"
    bench.supervisor.add([bench.spec("one", program)])
    with pytest.raises(StartError, match=r"one did not start: setting redis\.url: is not set"):
        bench.supervisor.wait_ready()


def test_children_are_stopped_stage_by_stage(bench: Bench):
    notes = [bench.folder / name for name in ("first", "second", "third")]
    bench.start(
        *(
            bench.spec(note.name, NOTING, str(note), stop_stage=stage)
            for stage, note in reversed(list(enumerate(notes)))
        )
    )
    bench.supervisor.stop()
    ends = [float(note.read_text()) for note in notes]
    assert ends == sorted(ends)
    assert bench.changes[-3:] == [
        ("first", "stopped"),
        ("second", "stopped"),
        ("third", "stopped"),
    ]


def test_a_child_that_ignores_the_request_is_killed_when_its_time_is_over(bench: Bench):
    bench.start(bench.spec("deaf", STUBBORN, stop_seconds=0.3), bench.spec("good", POLITE))
    started_at = running_seconds()
    bench.supervisor.stop()
    assert running_seconds() - started_at < 3
    assert not bench.supervisor.running("deaf")


def test_hurry_kills_at_once(bench: Bench):
    bench.start(bench.spec("deaf", STUBBORN, stop_seconds=30))
    started_at, hurried_at = running_seconds(), time.monotonic() + 0.2
    bench.supervisor.stop(hurry=lambda: time.monotonic() > hurried_at)
    assert running_seconds() - started_at < 3


def test_the_children_of_a_killed_child_go_with_it(bench: Bench):
    note = bench.folder / "grandchild"
    bench.start(bench.spec("parent", WITH_A_CHILD, str(note)))
    grandchild = int(note.read_text())
    os.kill(bench.supervisor.pid("parent"), signal.SIGKILL)
    bench.tick_until(lambda: not _lives(grandchild), "the grandchild's end")


def test_children_are_in_groups_of_their_own_in_the_same_session(bench: Bench):
    bench.start(bench.spec("one", POLITE))
    pid = bench.supervisor.pid("one")
    assert os.getpgid(pid) == pid
    assert os.getsid(pid) == os.getsid(0)


@pytest.mark.parametrize("program", [POLITE, WITH_A_CHILD], ids=["alone", "with a grandchild"])
def test_nothing_survives_a_supervisor_killed_by_sigkill(tmp_path: Path, program: str):
    note = tmp_path / "note"
    supervisor = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import sys
                from pathlib import Path
                from tests.hub.processes.test_supervisor import Bench
                bench = Bench(Path({str(tmp_path)!r}))
                bench.start(bench.spec("one", {program!r}, {str(note)!r}))
                print(bench.supervisor.pid("one"), flush=True)
                bench.supervisor.run(lambda: False)
            """),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert supervisor.stdout is not None
    child = int(supervisor.stdout.readline())
    assert child in leftovers.find(tmp_path)
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not _lives(child), "the child to follow its supervisor")
    # A grandchild that nobody told is what the next start looks for.
    assert leftovers.stop(tmp_path) == (0 if program == POLITE else 1)
    assert leftovers.find(tmp_path) == []


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
