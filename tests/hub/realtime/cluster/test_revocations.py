"""Ended sign-in sessions are remembered for as long as a token of theirs may live."""

from hub.realtime.cluster.revocations import KEEP_SECONDS, Revocations


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_session_is_refused_until_its_tokens_are_dead() -> None:
    clock = Clock()
    revocations = Revocations(clock)
    revocations.add(["a"])
    clock.seconds = KEEP_SECONDS - 1
    revocations.add(["b", "c"])
    assert [revocations.covers(name) for name in "abcd"] == [True, True, True, False]
    clock.seconds = KEEP_SECONDS
    revocations.add([])
    assert [revocations.covers(name) for name in "abc"] == [False, True, True]
    assert len(revocations) == 2


def test_being_told_again_prolongs_it() -> None:
    clock = Clock()
    revocations = Revocations(clock)
    revocations.add(["a", "b"])
    clock.seconds = 10
    revocations.add(["a"])
    clock.seconds = KEEP_SECONDS + 5
    revocations.add([])
    assert (revocations.covers("a"), revocations.covers("b")) == (True, False)
