"""Reading and writing frames, with the `websockets` package as the judge."""

import codecs
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, SERVER, Protocol

from hub.realtime.websocket import deflate, frames
from hub.realtime.websocket.frames import Failure, FrameReader, Message

LIMIT = 1000
MASK = b"\x01\x02\x03\x04"


def masked(
    opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, mask: bool = True
) -> bytes:
    """A client's frame, allowed or not."""
    first = (0x80 if fin else 0) | reserved | opcode
    flag = 0x80 if mask else 0
    if len(payload) < 126:
        head = struct.pack("!BB", first, flag | len(payload))
    elif len(payload) < 65_536:
        head = struct.pack("!BBH", first, flag | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, flag | 127, len(payload))
    if not mask:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))


def read(data: bytes, *sizes: int) -> list[Message | Failure]:
    """Feed a new reader, in pieces of these sizes and then the rest."""
    reader = FrameReader(LIMIT)
    events: list[Message | Failure] = []
    for size in (*sizes, len(data)):
        events += reader.feed(data[:size])
        data = data[size:]
    return events


def judge(data: bytes) -> list[Message | Failure]:
    """What `websockets` makes of the same bytes; it leaves messages and UTF-8 to its users."""
    protocol = Protocol(SERVER, state=OPEN, max_size=LIMIT)
    protocol.receive_data(data)
    events: list[Message | Failure] = []
    parts: list[bytes] = []
    kind, decoder = 0, None
    for frame in protocol.events_received():
        assert isinstance(frame, Frame)
        payload = bytes(frame.data)
        if frame.opcode not in (Opcode.CONT, Opcode.TEXT, Opcode.BINARY):
            events.append(Message(frame.opcode, payload))
            continue
        if frame.opcode is not Opcode.CONT:
            kind, parts = frame.opcode, []
            text = frame.opcode is Opcode.TEXT
            decoder = codecs.getincrementaldecoder("utf-8")() if text else None
        parts.append(payload)
        try:
            if decoder:
                decoder.decode(payload, final=frame.fin)
        except UnicodeDecodeError:
            return [*events, Failure(1007, "")]
        if frame.fin:
            events.append(Message(kind, b"".join(parts)))
    if protocol.parser_exc is not None and protocol.close_sent is not None:
        events.append(Failure(protocol.close_sent.code, ""))
    return events


def without_reasons(events: list[Message | Failure]) -> list[Message | Failure]:
    return [Failure(item.code, "") if isinstance(item, Failure) else item for item in events]


close_payloads = st.one_of(
    st.just(b""),
    st.binary(max_size=4),
    st.builds(
        lambda code, reason: struct.pack("!H", code) + reason,
        st.integers(0, 5000),
        st.one_of(st.text(max_size=10).map(str.encode), st.binary(max_size=10)),
    ),
)
any_frames = st.builds(
    masked,
    st.sampled_from([0, 0, 1, 1, 2, 2, 3, 8, 9, 10, 11, 15]),
    st.one_of(
        st.text(max_size=40).map(str.encode),
        st.binary(max_size=140),
        st.binary(min_size=400, max_size=700),
        close_payloads,
    ),
    fin=st.booleans(),
    reserved=st.sampled_from([0] * 12 + [0x10, 0x20, 0x40]),
    mask=st.sampled_from([True] * 12 + [False]),
)


@st.composite
def good_messages(draw: st.DrawFn) -> bytes:
    """Messages in fragments, with control frames between them."""
    payload = draw(st.one_of(st.text(max_size=200).map(str.encode), st.binary(max_size=300)))
    try:
        payload.decode()
        opcode = draw(st.sampled_from([1, 2]))
    except UnicodeDecodeError:
        opcode = 2
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=5)))
    data = b""
    for number, (start, end) in enumerate(
        zip([0, *cuts], [*cuts, len(payload)], strict=True),
    ):
        data += masked(0 if number else opcode, payload[start:end], fin=number == len(cuts))
        if draw(st.booleans()):
            data += masked(draw(st.sampled_from([9, 10])), draw(st.binary(max_size=125)))
    return data


@given(
    st.lists(st.one_of(any_frames, good_messages()), max_size=8).map(b"".join),
    st.lists(st.integers(1, 60), max_size=12),
)
@example(data=masked(8, b"\x00\x00\x80"), sizes=[])  # a wrong code, and no UTF-8
@example(data=masked(1, fin=False) + masked(8), sizes=[])
@example(data=masked(1, bytes(400), fin=False) + masked(1, bytes(400)), sizes=[])
def test_whatever_arrives_in_whatever_pieces_is_read_as_the_judge_reads_it(
    data: bytes, sizes: list[int]
):
    found, expected = without_reasons(read(data, *sizes)), judge(data)
    match found[-1:], expected[-1:]:
        case [Failure(1002)], [Failure(1009)]:
            # Wrong in two ways, a new message inside another and too long: who looks at the length
            # first says the other.
            del found[-1], expected[-1]
        case [Message(8, payload) as close], [Failure(1002)] if judge(masked(8, payload)) == [
            close
        ]:
            # A good close frame inside a message: as all control frames it may stand there.
            del found[-1], expected[-1]
        case _:
            pass
    assert found == expected


@given(st.lists(good_messages(), max_size=4).map(b"".join))
def test_the_cut_of_the_pieces_makes_no_difference(data: bytes):
    assert read(data, *([1] * len(data))) == read(data)


@given(
    st.sampled_from([1, 2, 9, 10]),
    st.one_of(st.binary(max_size=300), st.integers(65_000, 66_000).map(bytes)),
)
def test_what_is_written_is_understood_by_a_client(opcode: int, payload: bytes):
    if opcode == 1:
        payload = payload.hex().encode()
    if opcode > 2:
        payload = payload[:125]
    client = Protocol(CLIENT, state=OPEN, max_size=None)
    client.receive_data(frames.encode(opcode, payload))
    (frame,) = client.events_received()
    assert isinstance(frame, Frame)
    assert (frame.opcode, bytes(frame.data), frame.fin) == (opcode, payload, True)


@pytest.mark.parametrize("length", [0, 125, 126, 127, 65_535, 65_536])
def test_the_short_way_of_a_text_leads_to_the_same_frame(length: int):
    payload = b"x" * length
    assert frames.encode_text(payload) == frames.encode(frames.TEXT, payload)


@given(st.integers(3000, 4999), st.text(max_size=200))
def test_a_close_frame_carries_its_code_and_as_much_of_the_reason_as_fits(code: int, reason: str):
    client = Protocol(CLIENT, state=OPEN)
    client.receive_data(frames.encode_close(code, reason))
    client.events_received()
    assert client.close_rcvd is not None
    assert client.close_rcvd.code == code
    assert reason.startswith(client.close_rcvd.reason)
    assert len(reason.encode()) > 123 or client.close_rcvd.reason == reason


def test_a_close_without_a_status_has_no_payload():
    assert frames.encode_close(frames.NO_STATUS) == b"\x88\x00"
    assert frames.parse_close(b"") == (1005, "")
    assert frames.parse_close(b"\x03\xe8bye") == (1000, "bye")


def test_an_oversize_frame_is_refused_by_its_head_alone():
    for length in (LIMIT + 1, 1 << 40):
        head = struct.pack("!BBQ", 0x82, 0xFF, length)
        assert read(head) == [Failure(1009, "message too big")]
    assert read(struct.pack("!BBQ", 0x82, 0xFF, 1 << 63))[0] == Failure(1002, "length is negative")


def test_fragments_are_bounded_in_sum_and_in_number():
    start = masked(2, b"x" * 600, fin=False)
    assert read(start + masked(0, b"x" * 400))[0] == Message(2, b"x" * 1000)
    # Before the first byte of what is too much.
    assert read(start + masked(0, b"x" * 401)[:4]) == [Failure(1009, "message too big")]
    endless = masked(2, b"", fin=False) + masked(0, b"", fin=False) * frames.MAX_FRAGMENTS
    assert read(endless) == [Failure(1009, "too many fragments")]


def test_invalid_text_is_noticed_before_its_frame_is_complete():
    whole = masked(1, "κόσμε".encode() + b"\xf4\x90\x80\x80" + b"x" * 50)
    reader = FrameReader(LIMIT)
    assert reader.feed(whole[:17]) == []
    assert reader.feed(whole[17:19]) == [Failure(1007, "invalid UTF-8")]
    assert reader.feed(whole[19:]) == []


def test_nothing_is_read_after_a_close_or_a_failure():
    closed = masked(8, b"\x03\xe8") + masked(1, b"late")
    assert read(closed) == [Message(8, b"\x03\xe8")]
    failed = masked(1, b"early") + masked(3) + masked(1, b"late")
    assert read(failed) == [Message(1, b"early"), Failure(1002, "unknown opcode")]


def test_an_idle_reader_holds_nothing_of_what_it_read():
    reader = FrameReader(LIMIT)
    reader.feed(masked(1, b"one", fin=False) + masked(0, b"two"))
    assert (reader._rest, reader._frame, reader._partial) == (b"", None, None)


@given(st.binary(max_size=900))
def test_compressed_messages_survive_the_way_in(payload: bytes):
    reader = FrameReader(LIMIT, deflate.inflate)
    packed = deflate.deflate(payload)
    half = len(packed) // 2
    data = masked(2, packed[:half], fin=False, reserved=0x40) + masked(0, packed[half:])
    assert reader.feed(data) == [Message(2, payload)]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (deflate.deflate(b"x" * 100_000), 1009),
        (b"\xff\xff\xff", 1007),
        (deflate.deflate(b"\xff\xfe"), 1007),
    ],
)
def test_bombs_broken_streams_and_broken_text_inside_are_refused(payload: bytes, code: int):
    (failure,) = FrameReader(LIMIT, deflate.inflate).feed(masked(1, payload, reserved=0x40))
    assert isinstance(failure, Failure)
    assert failure.code == code


@pytest.mark.parametrize(
    "data",
    [
        masked(0, reserved=0x40),
        masked(9, reserved=0x40),
        masked(1, reserved=0x20),
    ],
)
def test_the_bit_of_compression_belongs_on_the_first_frame_of_a_message(data: bytes):
    assert FrameReader(LIMIT, deflate.inflate).feed(data) == [Failure(1002, "reserved bits")]


def test_what_does_not_shrink_is_sent_plain():
    assert frames.encode_deflated(1, b"{}") == frames.encode(1, b"{}")
    packed = frames.encode_deflated(1, b"x" * 1000)
    assert len(packed) < 50
    assert packed[0] == 0xC1
    assert deflate.inflate(packed[2:], 1000) == b"x" * 1000
