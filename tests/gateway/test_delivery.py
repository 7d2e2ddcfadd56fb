"""Which taps are sent when, and what makes one leave the window."""

import pytest

from gateway.delivery import NO_SUBSCRIBERS, NOT_AUTHORIZED, Delivery
from gateway.spool_rows import Row

RING = b"ring-001"


def row(number: int) -> Row:
    return Row(number, RING, 1, number, b"payload")


def delivery_with(*numbers: int, window: int = 64) -> Delivery:
    delivery = Delivery(lambda: 1.0, window=window)
    delivery.offer([row(number) for number in numbers], now=0.0)
    return delivery


def send_due(delivery: Delivery, now: float) -> list[int]:
    rows = delivery.due(now)
    for item in rows:
        delivery.sent(item, item.id + int(now * 1000), now)
    return [item.id for item in rows]


def test_rows_are_sent_at_once_in_their_order_and_not_again():
    delivery = delivery_with(1, 2, 3)
    assert send_due(delivery, 0) == [1, 2, 3]
    assert delivery.due(0.5) == []
    assert delivery.cursor == 3


def test_the_window_is_bounded():
    delivery = delivery_with(1, 2, 3, window=4)
    assert delivery.room == 1
    delivery.settled(RING, 1, 1, 2, now=1)
    assert delivery.room == 3


@pytest.mark.req("RNG-05")
def test_a_puback_does_not_end_a_delivery():
    delivery = delivery_with(1)
    send_due(delivery, 0)
    delivery.puback(1, 0, now=0.1)
    assert delivery.outstanding == 1
    assert send_due(delivery, 2.0) == [1]
    assert delivery.resends == 1


@pytest.mark.req("RNG-05")
@pytest.mark.parametrize(
    ("reason", "alarm"), [(NO_SUBSCRIBERS, "no_subscribers"), (NOT_AUTHORIZED, "not_authorized")]
)
def test_a_puback_that_says_not_delivered_holds_the_tap_and_raises_an_alarm(reason, alarm):
    delivery = delivery_with(1)
    send_due(delivery, 0)
    delivery.puback(1, reason, now=0)
    assert delivery.alarm == alarm
    assert delivery.held == 1
    assert send_due(delivery, 0.4) == []
    assert send_due(delivery, 0.5) == [1]
    delivery.puback(501, 0, now=0.6)
    assert delivery.alarm == ""


def test_resends_slow_down_but_never_stop():
    delivery = delivery_with(1)
    now, pauses = 0.0, []
    for _ in range(8):
        send_due(delivery, now)
        assert delivery.next_due is not None
        pauses.append(delivery.next_due - now)
        now = delivery.next_due
    assert pauses == [2, 4, 8, 15, 15, 15, 15, 15]


def test_jitter_leaves_the_answer_at_least_half_the_time():
    delivery = Delivery(lambda: 0.0)
    delivery.offer([row(1)], now=0)
    send_due(delivery, 0)
    assert delivery.next_due == 1.0


def test_only_what_is_unanswered_is_sent_at_once_after_a_lost_link():
    delivery = delivery_with(1, 2)
    send_due(delivery, 0)
    delivery.puback(1, 0, now=0.1)
    delivery.link_lost(now=0.2)
    assert send_due(delivery, 0.2) == [2]
    assert send_due(delivery, 2.2) == [1]


def test_a_late_puback_of_an_older_packet_changes_nothing():
    delivery = delivery_with(1)
    send_due(delivery, 0)
    send_due(delivery, 2)
    delivery.puback(1, NO_SUBSCRIBERS, now=2)
    assert delivery.held == 0


def test_the_hubs_word_settles_exactly_its_range():
    delivery = delivery_with(1, 2, 3)
    send_due(delivery, 0)
    delivery.settled(RING, 1, 1, 2, now=0.1)
    delivery.settled(RING, 2, 3, 3, now=0.1)
    delivery.settled(b"ring-002", 1, 3, 3, now=0.1)
    assert delivery.outstanding == 1


def test_a_word_of_the_hub_wakes_taps_that_were_lost_before():
    delivery = delivery_with(1)
    for now in (0, 2, 6, 14):
        send_due(delivery, now)
    delivery.offer([row(2)], now=20)
    send_due(delivery, 20)
    delivery.settled(RING, 1, 2, 2, now=20.1)
    assert send_due(delivery, 20.1) == [1]


def test_a_word_of_the_hub_does_not_wake_taps_that_are_just_under_way():
    delivery = delivery_with(1, 2)
    send_due(delivery, 0)
    delivery.settled(RING, 1, 2, 2, now=0.1)
    assert delivery.due(0.1) == []


def test_a_replaced_spool_starts_the_window_anew():
    delivery = delivery_with(1, 2)
    send_due(delivery, 0)
    delivery.restart()
    assert delivery.cursor == 0
    assert delivery.outstanding == 0
    delivery.puback(1, 0, now=0)


def test_taps_that_the_hub_defers_make_room_for_those_of_other_rings():
    delivery = delivery_with(1, 2, 3, 4, window=4)
    send_due(delivery, 0)
    assert delivery.room == 0
    delivery.deferred(RING, 1, now=0.1)
    assert delivery.room == 4
    delivery.offer([Row(5, b"ring-002", 1, 1, b"payload")], now=0.2)
    assert send_due(delivery, 0.2) == [5]
    delivery.settled(b"ring-002", 1, 1, 1, now=9)
    assert delivery.due(10) == [], "a word for another tap must not send the deferred ones at once"
    assert send_due(delivery, 16) == [1, 2, 3, 4]
    delivery.deferred(RING, 1, now=16.1)
    assert delivery.due(16.1 + 16) == [], "each time they wait longer"
    delivery.settled(RING, 1, 1, 4, now=17)
    assert (delivery.outstanding, delivery.room) == (0, 4)


def test_deferred_taps_are_kept_in_a_bounded_memory():
    delivery = Delivery(lambda: 1.0, window=4)
    number = 0
    while delivery.room and number < 100_000:
        rows = [row(number + n + 1) for n in range(delivery.room)]
        number += len(rows)
        delivery.offer(rows, now=0)
        send_due(delivery, 0)
        delivery.deferred(RING, 1, now=0)
    assert number < 10_000


def test_a_lost_link_sends_deferred_taps_no_sooner():
    delivery = delivery_with(1)
    send_due(delivery, 0)
    delivery.puback(1, 0, now=0.1)
    delivery.deferred(RING, 1, now=0.2)
    delivery.link_lost(now=1)
    assert delivery.due(10) == []
