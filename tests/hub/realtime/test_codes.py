"""The tables of codes agree with the published protocol and with what SDKs do on each range."""

from pathlib import Path

import pytest

from hub.realtime import codes


def test_every_code_is_named_once():
    for table in (codes.ERRORS, codes.DISCONNECTS, codes.UNSUBSCRIBES):
        numbers = [item.code for item in table]
        assert len(numbers) == len(set(numbers))
    assert [item.code for item in codes.ERRORS] == list(range(100, 114))


@pytest.mark.parametrize("disconnect", codes.DISCONNECTS, ids=lambda item: str(item.code))
def test_only_terminal_ranges_keep_a_client_away(disconnect: codes.Disconnect):
    terminal = {1009, 3500, 3501, 3502, 3503, 3504, 3505, 3506, 3507, 3508, 3509}
    assert disconnect.reconnects == (disconnect.code not in terminal)


def test_application_codes_follow_the_same_rule():
    assert codes.Disconnect(4000, "app").reconnects
    assert not codes.Disconnect(4500, "app").reconnects


@pytest.mark.parametrize("unsubscribe", codes.UNSUBSCRIBES, ids=lambda item: str(item.code))
def test_only_codes_from_2500_renew_a_subscription(unsubscribe: codes.Unsubscribe):
    assert unsubscribe.resubscribes == (unsubscribe.code in (2500, 2501, 2502))


def test_temporary_errors_are_those_that_a_repetition_may_cure():
    assert {item.code for item in codes.ERRORS if item.temporary} == {100, 111, 113}


def test_a_close_reason_fits_into_a_close_frame():
    assert all(len(item.reason.encode()) <= 123 for item in codes.DISCONNECTS)


@pytest.mark.parametrize(
    "item",
    [*codes.ERRORS, *codes.DISCONNECTS, *codes.UNSUBSCRIBES],
    ids=lambda item: str(item.code),
)
def test_every_code_is_in_the_documentation(
    item: codes.Error | codes.Disconnect | codes.Unsubscribe,
):
    text = Path("docs/realtime.md").read_text()
    message = item.message if isinstance(item, codes.Error) else item.reason
    row = next(
        line for line in text.splitlines() if line.startswith(f"| {item.code} | {message} |")
    )
    if isinstance(item, codes.Disconnect):
        assert f"| {'yes' if item.reconnects else 'no'} |" in row
    if isinstance(item, codes.Unsubscribe):
        assert ("| yes" in row) == item.resubscribes
    if isinstance(item, codes.Error):
        assert ("temporary" in row) == item.temporary
