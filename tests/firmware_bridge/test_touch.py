"""Two rings that touch: the bytes they swap and the records that each signs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import eid, tap, touch
from tests.firmware_bridge import vectors

GOLDEN = vectors.load("touch")
RINGS = GOLDEN["rings"]
RING, KEY = bytes(range(8)), bytes(range(16))

touches = st.builds(
    touch.Touch,
    eid=st.binary(min_size=16, max_size=16).filter(any),
    seq=st.integers(min_value=1, max_value=2**32 - 1),
)


@pytest.mark.parametrize(("own", "peer"), [RINGS, RINGS[::-1]])
def test_golden_rings_say_and_sign_what_they_should(own, peer):
    key = eid.derive(bytes.fromhex(own["id_key"]))
    assert eid.eid(key, GOLDEN["window"]).hex() == own["eid"]
    says = touch.Touch(eid=bytes.fromhex(own["eid"]), seq=own["seq"])
    assert touch.encode(says).hex() == own["says"]
    told = touch.decode(bytes.fromhex(peer["says"]))
    ring_id, tap_key = bytes.fromhex(own["ring_id"]), bytes.fromhex(own["tap_key"])
    counts = {name: own[name] for name in ("boot", "seq", "uptime_ms")}
    raw = touch.encode_record(told, ring_id=ring_id, key=tap_key, **counts)
    assert raw.hex() == own["record"]
    record, found = touch.read_record(raw, ring_id=ring_id, key=tap_key)
    assert (record.seq, found) == (own["seq"], told)


@given(touches)
def test_every_touch_survives_the_wire(original):
    assert touch.decode(touch.encode(original)) == original


@given(st.binary(max_size=40))
def test_any_bytes_are_their_own_touch_or_refused(data):
    try:
        found = touch.decode(data)
    except touch.TouchError:
        return
    assert touch.encode(found) == data


@pytest.mark.parametrize("data", [b"", bytes(20), bytes(16) + b"\1\0\0\0", b"\1" * 16 + bytes(4)])
def test_a_touch_without_identifier_or_seq_is_refused(data):
    with pytest.raises(touch.TouchError):
        touch.decode(data)


@pytest.mark.parametrize(
    "wrong", [touch.Touch(eid=b"short", seq=1), touch.Touch(eid=RING * 2, seq=0)]
)
def test_a_touch_that_cannot_be_written_is_refused(wrong):
    with pytest.raises(ValueError, match="16 bytes"):
        touch.encode(wrong)


@pytest.mark.req("RNG-05")
def test_each_single_bit_of_a_record_is_guarded():
    told = touch.Touch(eid=RING * 2, seq=9)
    raw = touch.encode_record(told, ring_id=RING, key=KEY, boot=1, seq=2, uptime_ms=3)
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(tap.TapError):
            touch.read_record(bytes(flipped), ring_id=RING, key=KEY)


@pytest.mark.parametrize(
    "record",
    [
        tap.TapRecord(kind="button", boot=1, seq=1, uptime_ms=0, peer_eid=RING * 2, peer_ctr=1),
        tap.TapRecord(kind="ring_to_ring", boot=1, seq=1, uptime_ms=0),
        tap.TapRecord(kind="ring_to_ring", boot=1, seq=1, uptime_ms=0, peer_eid=RING * 2),
    ],
)
def test_a_genuine_record_of_something_else_is_no_touch(record):
    raw = tap.encode(record, ring_id=RING, key=KEY)
    with pytest.raises(tap.TapError, match="touch"):
        touch.read_record(raw, ring_id=RING, key=KEY)
