"""What waits to be written to one client: bounded, joined into frames, never with a hole."""

from hub.realtime import codes
from hub.realtime.delivery.outlet import Queue
from hub.realtime.protocol.json_framing import JSON


class Client:
    """A queue of 100 bytes and what its carrier and connection were told."""

    def __init__(self) -> None:
        self.overflows = self.wakes = 0
        self.queue = Queue(JSON, 100, self._wake)
        self.queue.attach(self)

    def _wake(self) -> None:
        self.wakes += 1

    def overflow(self) -> None:
        self.overflows += 1

    def feed(self, frame: str | bytes) -> bool:
        raise AssertionError(frame)

    def ponged(self) -> None:
        raise AssertionError

    def lost(self) -> None:
        raise AssertionError


def test_what_waits_shares_frames_of_sixteen_messages():
    queue = Client().queue
    for number in range(20):
        queue.write(b"%d" % number)
    assert queue.take() == b"\n".join(b"%d" % number for number in range(16))
    assert queue.take() == b"16\n17\n18\n19"
    assert queue.take() is None


def test_a_full_queue_is_given_up_as_a_whole_and_takes_nothing_more():
    client = Client()
    client.queue.write(b"x" * 90)
    client.queue.write(b"y" * 20)
    # The same tick may bring more publications: after the hole none may follow.
    client.queue.write(b"z")
    assert client.queue.take() is None
    assert client.queue.waiting_bytes == 0
    assert client.overflows == 1


def test_one_answer_above_the_bound_is_sent_when_nothing_else_waits():
    client = Client()
    client.queue.write(b"x" * 500)
    assert client.queue.take() == b"x" * 500
    assert client.overflows == 0


def test_written_bytes_make_room_again():
    client = Client()
    for _ in range(10):
        client.queue.write(b"x" * 90)
        assert client.queue.take() == b"x" * 90
    assert client.overflows == 0


def test_what_was_written_before_the_close_is_still_taken_and_nothing_after_it():
    client = Client()
    client.queue.write(b"1", b"2")
    client.queue.close(codes.CLOSE_EXPIRED)
    client.queue.write(b"3")
    assert client.queue.take() == b"1\n2"
    assert client.queue.take() is None
    assert client.queue.closing == codes.CLOSE_EXPIRED
    assert client.wakes == 2
