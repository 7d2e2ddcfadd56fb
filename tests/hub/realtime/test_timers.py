"""One timer serves all deadlines, also those that move."""

import asyncio

from hub.realtime.timers import Timers
from tests.hub.realtime.house import until


class Alarm:
    """A member that notes when it was called and sets its next deadline."""

    def __init__(self, deadline: float, step_seconds: float = 1000.0) -> None:
        self.deadline = deadline
        self.scheduled_at = 0.0
        self.calls: list[float] = []
        self._step_seconds = step_seconds

    def on_time(self, now: float) -> None:
        self.calls.append(now)
        self.deadline = now + self._step_seconds


async def test_each_is_called_at_its_deadline_and_again_at_the_next():
    now = asyncio.get_running_loop().time
    timers = Timers(now)
    late, soon = Alarm(now() + 0.06), Alarm(now() + 0.02, step_seconds=0.02)
    timers.add(late)
    timers.add(soon)
    await until(lambda: late.calls and len(soon.calls) >= 3)
    assert soon.calls[0] < late.calls[0]
    timers.close()


async def test_a_deadline_that_moves_forward_is_met_and_one_that_moves_away_waits():
    now = asyncio.get_running_loop().time
    timers = Timers(now)
    first, second = Alarm(now() + 1000), Alarm(now() + 0.02)
    timers.add(first)
    timers.add(second)
    second.deadline = now() + 1000
    first.deadline = now() + 0.05
    timers.update(first)
    await until(lambda: first.calls)
    assert second.calls == []
    timers.close()


async def test_who_was_removed_is_not_called():
    now = asyncio.get_running_loop().time
    timers = Timers(now)
    gone, there = Alarm(now() + 0.01), Alarm(now() + 0.03)
    timers.add(gone)
    timers.add(there)
    timers.remove(gone)
    await until(lambda: there.calls)
    assert gone.calls == []
    timers.close()


async def test_deadlines_close_to_each_other_share_a_wake_up():
    now = asyncio.get_running_loop().time
    timers = Timers(now)
    alarms = [Alarm(now() + 0.02 + number * 0.0001) for number in range(300)]
    for alarm in alarms:
        timers.add(alarm)
    await until(lambda: all(alarm.calls for alarm in alarms))
    assert len({alarm.calls[0] for alarm in alarms}) < 30
    timers.close()


async def test_deadlines_that_are_far_share_a_moment_and_are_never_early():
    moment = 1000.0
    timers = Timers(lambda: moment)
    alarms = [Alarm(1025.01 + number / 100) for number in range(20)]
    for alarm in alarms:
        timers.add(alarm)
    assert {alarm.scheduled_at for alarm in alarms} == {1025.25}
    # One that did not move is not pushed again, though it was rounded up.
    for alarm in alarms:
        timers.update(alarm)
    assert [len(bucket) for bucket in timers._buckets.values()] == [20]
    timers.close()


async def test_near_deadlines_are_kept_to_the_moment():
    moment = 1000.0
    timers = Timers(lambda: moment)
    alarm = Alarm(1001.017)
    timers.add(alarm)
    assert alarm.scheduled_at == 1001.017
    timers.close()


async def test_a_member_that_fails_costs_nobody_else_their_time():
    now = asyncio.get_running_loop().time
    timers = Timers(now)
    moment = now() + 0.02
    broken, sound, later = Alarm(moment), Alarm(moment), Alarm(moment + 0.05)
    broken.calls = None  # pyright: ignore[reportAttributeAccessIssue]
    for alarm in (broken, sound, later):
        timers.add(alarm)
    await until(lambda: sound.calls and later.calls)
    timers.close()


async def test_a_deadline_that_stays_although_it_was_due_is_looked_at_again_but_does_not_spin():
    now = asyncio.get_running_loop().time
    timers = Timers(now)
    stuck = Alarm(now() + 0.01, step_seconds=0.0)
    timers.add(stuck)
    started_at = now()
    await until(lambda: len(stuck.calls) >= 5)
    assert now() - started_at > 0.06
    timers.close()
