"""Spreading work over turns of the event loop."""

import asyncio

from core.turns import PER_TURN, Turns, spread


async def test_what_comes_alone_is_done_at_once():
    done: list[int] = []

    for number in range(3 * PER_TURN):
        spread(lambda number=number: done.append(number))
        assert done[-1] == number
        await asyncio.sleep(0)


async def test_a_mass_is_done_in_order_and_others_have_their_turns_between():
    done: list[str] = []
    turns = Turns(asyncio.get_running_loop(), per_turn=2)

    for number in range(7):
        turns.do(lambda number=number: done.append(str(number)))
    while "6" not in done:
        done.append("|")
        await asyncio.sleep(0)

    assert "".join(done).rstrip("|") == "01|23|45|6"


async def test_the_rest_is_done_when_something_fails():
    loop = asyncio.get_running_loop()
    failures: list[str] = []
    loop.set_exception_handler(lambda _loop, context: failures.append(str(context["exception"])))
    turns = Turns(loop, per_turn=1)
    over = asyncio.Event()

    def fail() -> None:
        raise ValueError("this one")

    for act in (lambda: None, fail, over.set):
        turns.do(act)
    async with asyncio.timeout(5):
        await over.wait()

    assert failures == ["this one"]


def test_a_loop_does_not_wait_for_the_turns_of_another():
    done: list[int] = []

    async def exceed(number: int) -> None:
        over = asyncio.Event()
        for _ in range(PER_TURN):
            spread(lambda: done.append(number))
        spread(over.set)
        async with asyncio.timeout(5):
            await over.wait()

    asyncio.run(exceed(1))
    spoiled = asyncio.new_event_loop()
    spoiled.call_soon(lambda: [spread(lambda: done.append(0)) for _ in range(9)])
    spoiled.call_soon(spoiled.stop)
    spoiled.run_forever()
    spoiled.close()  # with something waiting
    asyncio.run(exceed(2))

    assert done.count(0) == PER_TURN
    assert done[-PER_TURN:] == [2] * PER_TURN
