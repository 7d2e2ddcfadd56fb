"""The tap record: what is written is read, and nothing else is."""

import pytest
from bumble import crypto
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import tap
from tests.firmware_bridge import vectors

RING = bytes.fromhex("0102030405060708")
KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
GOLDEN = vectors.load("tap")

counts = st.integers(min_value=1, max_value=2**32 - 1)
u32 = st.integers(min_value=0, max_value=2**32 - 1)


@st.composite
def records(draw: st.DrawFn) -> tap.TapRecord:
    peer_eid = draw(st.none() | st.binary(min_size=16, max_size=16))
    return tap.TapRecord(
        kind=draw(st.sampled_from(sorted(tap.KINDS))),
        boot=draw(counts),
        seq=draw(counts),
        uptime_ms=draw(u32),
        rssi=draw(st.none() | st.integers(min_value=-128, max_value=126)),
        peer_eid=peer_eid,
        peer_ctr=draw(u32) if peer_eid is not None else 0,
        time_synced=draw(st.booleans()),
        replayed=draw(st.booleans()),
        low_battery=draw(st.booleans()),
    )


def record(**changes: object) -> tap.TapRecord:
    fields = {"kind": "tap_to_phone", "boot": 3, "seq": 130, "uptime_ms": 5000, "rssi": -51}
    return tap.TapRecord(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("vector", vectors.load("cmac")["vectors"])
def test_cmac_is_that_of_rfc_4493(vector):
    mac = tap.cmac(bytes.fromhex(vector["key"]), bytes.fromhex(vector["message"]))
    assert mac.hex() == vector["mac"]


@pytest.mark.parametrize("vector", GOLDEN["accept"], ids=lambda v: v["what"])
def test_golden_records_encode_and_decode(vector):
    ring_id, key = bytes.fromhex(vector["ring_id"]), bytes.fromhex(vector["key"])
    fields = dict(vector["fields"])
    if "peer_eid" in fields:
        fields["peer_eid"] = bytes.fromhex(fields["peer_eid"])
    expected = tap.TapRecord(**fields)
    raw = bytes.fromhex(vector["raw"])
    assert tap.encode(expected, ring_id=ring_id, key=key) == raw
    assert tap.read(raw, ring_id=ring_id, key=key) == expected


@pytest.mark.parametrize("vector", GOLDEN["accept"], ids=lambda v: v["what"])
def test_golden_tags_agree_with_another_implementation(vector):
    raw, ring_id = bytes.fromhex(vector["raw"]), bytes.fromhex(vector["ring_id"])
    mac = crypto.aes_cmac(b"ring-tap-v1" + ring_id + raw[:35], bytes.fromhex(vector["key"]))
    assert raw[35:] == mac[:8]


@pytest.mark.parametrize("vector", GOLDEN["refuse"], ids=lambda v: v["what"])
def test_golden_refusals_are_refused(vector):
    with pytest.raises(tap.TapError):
        tap.read(
            bytes.fromhex(vector["raw"]),
            ring_id=bytes.fromhex(vector["ring_id"]),
            key=bytes.fromhex(vector["key"]),
        )


@given(records())
def test_every_record_survives_the_wire(original):
    raw = tap.encode(original, ring_id=RING, key=KEY)
    assert len(raw) == tap.RECORD_BYTES
    assert tap.read(raw, ring_id=RING, key=KEY) == original


@pytest.mark.req("RNG-05")
@given(records(), st.integers(min_value=0, max_value=tap.RECORD_BYTES * 8 - 1))
def test_a_flipped_bit_is_refused(original, bit):
    raw = bytearray(tap.encode(original, ring_id=RING, key=KEY))
    raw[bit // 8] ^= 1 << bit % 8
    assert not tap.verify(bytes(raw), ring_id=RING, key=KEY)


@pytest.mark.req("RNG-05")
def test_each_single_bit_of_a_record_is_guarded():
    raw = tap.encode(record(), ring_id=RING, key=KEY)
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not tap.verify(bytes(flipped), ring_id=RING, key=KEY)


def test_another_ring_or_another_key_does_not_verify():
    raw = tap.encode(record(), ring_id=RING, key=KEY)
    assert tap.verify(raw, ring_id=RING, key=KEY)
    assert not tap.verify(raw, ring_id=RING[::-1], key=KEY)
    assert not tap.verify(raw, ring_id=RING, key=KEY[::-1])


@given(st.binary(max_size=64))
def test_any_bytes_decode_to_their_own_encoding_or_are_refused(data):
    try:
        decoded = tap.decode(data)
    except tap.TapError:
        return
    assert tap.encode(decoded, ring_id=RING, key=KEY)[:35] == data[:35]


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"peer_eid": b"short"}, "16 bytes"),
        ({"peer_ctr": 1}, "needs peer_eid"),
        ({"boot": 0}, "count from 1"),
        ({"seq": 0}, "count from 1"),
        ({"rssi": 127}, "-128 to 126"),
        ({"rssi": -129}, "-128 to 126"),
    ],
)
def test_a_record_that_cannot_be_written_is_refused(wrong, problem):
    with pytest.raises(ValueError, match=problem):
        tap.encode(record(**wrong), ring_id=RING, key=KEY)


@pytest.mark.parametrize(("ring_id", "key"), [(b"short", KEY), (RING, b"short")])
def test_ids_and_keys_have_their_lengths(ring_id, key):
    with pytest.raises(ValueError, match="8 bytes"):
        tap.encode(record(), ring_id=ring_id, key=key)
