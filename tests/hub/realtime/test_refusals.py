"""The newest refusals of the users who were refused last."""

from hub.realtime import refusals
from hub.realtime.refusals import Refusals


def note(noted: Refusals, user: str, code: int) -> None:
    noted.note(user, method="subscribe", channel="room:a", code=code, reason="why")


def test_a_user_s_refusals_are_kept_the_oldest_first() -> None:
    noted = Refusals()
    note(noted, "ann", 102)
    note(noted, "bob", 103)
    note(noted, "ann", 106)
    assert [item.code for item in noted.of("ann")] == [102, 106]
    assert noted.of("bob")[0].channel == "room:a"
    assert noted.of("eve") == ()


def test_one_user_cannot_fill_the_memory() -> None:
    noted = Refusals()
    for code in range(1000):
        note(noted, "ann", code)
    assert [item.code for item in noted.of("ann")] == list(range(980, 1000))


def test_nor_can_a_name_without_an_end() -> None:
    noted = Refusals()
    noted.note("ann", method="subscribe", channel="a" * 60_000, code=107, reason="why")
    assert noted.of("ann")[0].channel == "a" * 255


def test_many_users_cannot_either() -> None:
    noted = Refusals()
    for number in range(refusals._USERS_MAX + 10):
        note(noted, str(number), 102)
    assert noted.of("9") == ()
    assert noted.of("10") != ()
