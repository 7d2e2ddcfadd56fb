"""What the silence of the radio calls for."""

from gateway.watchdog import Watchdog


def test_silence_restarts_the_scan_and_then_reopens_the_adapter():
    watchdog = Watchdog()
    watchdog.restarted(0)
    steps = [(second, watchdog.check(second, is_linked=False)) for second in range(0, 400, 5)]
    assert [step for step in steps if step[1]] == [
        (60, "restart_scan"),
        (120, "restart_scan"),
        (180, "reopen_adapter"),
        (240, "restart_scan"),
        (300, "restart_scan"),
        (360, "reopen_adapter"),
    ]


def test_an_advertisement_ends_the_silence():
    watchdog = Watchdog()
    watchdog.restarted(0)
    watchdog.heard(59)
    assert watchdog.check(100, is_linked=False) is None


def test_linked_rings_are_silent_and_prove_the_radio():
    watchdog = Watchdog()
    watchdog.restarted(0)
    assert watchdog.check(500, is_linked=True) is None
    assert watchdog.check(559, is_linked=False) is None
