"""The bytes of STATUS, ACK and CTRL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import gatt, tap
from firmware_bridge.claim import Challenge
from tests.firmware_bridge import vectors

GOLDEN = vectors.load("gatt")
u32 = st.integers(min_value=0, max_value=2**32 - 1)


def octets(count: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=count, max_size=count)


def test_the_uuids_are_those_of_the_layout():
    assert gatt.SERVICE == "52494e47-0001-4b1d-8a6e-70696e672121"
    assert gatt.IDENT == "52494e47-0006-4b1d-8a6e-70696e672121"


def test_no_command_needs_more_than_one_write_at_the_smallest_mtu():
    challenge = Challenge(nonce=bytes(8), hub_public_key=bytes(32))
    assert len(gatt.encode_ctrl(gatt.RotateKey(challenge))) <= tap.ATT_MTU_MIN - 3


def test_golden_status_and_ack_agree_both_ways():
    status = gatt.Status(**GOLDEN["status"][0]["fields"])
    raw = bytes.fromhex(GOLDEN["status"][0]["bytes"])
    assert (gatt.encode_status(status), gatt.decode_status(raw)) == (raw, status)
    ack = gatt.Ack(**GOLDEN["ack"][0]["fields"])
    raw = bytes.fromhex(GOLDEN["ack"][0]["bytes"])
    assert (gatt.encode_ack(ack), gatt.decode_ack(raw)) == (raw, ack)


def test_golden_commands_decode():
    commands = [gatt.decode_ctrl(bytes.fromhex(v["bytes"])) for v in GOLDEN["ctrl"]]
    assert commands == [
        gatt.Replay(),
        gatt.SetTime(1767225600000),
        gatt.Identify(),
        gatt.RotateKey(Challenge(nonce=bytes(range(8)), hub_public_key=bytes(range(32)))),
        gatt.ConfirmKey(bytes(range(16))),
    ]
    replies = [gatt.decode_ctrl_reply(bytes.fromhex(v["bytes"])) for v in GOLDEN["ctrl_reply"]]
    assert replies == [
        gatt.CtrlReply(opcode=1, result="ok", count=3),
        gatt.CtrlReply(opcode=3, result="unsupported"),
        gatt.CtrlReply(opcode=4, result="press_first"),
        gatt.CtrlReply(opcode=6, result="refused"),
    ]


@given(u32, u32, u32, u32, u32)
def test_every_status_survives_the_wire(boot, last_seq, oldest, uptime, pending):
    status = gatt.Status(
        boot=boot, last_seq=last_seq, oldest_unacked=oldest, uptime_ms=uptime, pending=pending
    )
    assert gatt.decode_status(gatt.encode_status(status)) == status


@given(
    st.sampled_from([gatt.Replay(), gatt.Identify()])
    | st.builds(gatt.SetTime, st.integers(min_value=0, max_value=2**64 - 1))
    | st.builds(gatt.RotateKey, st.builds(Challenge, nonce=octets(8), hub_public_key=octets(32)))
    | st.builds(gatt.ConfirmKey, octets(16))
)
def test_every_command_survives_the_wire(command):
    assert gatt.decode_ctrl(gatt.encode_ctrl(command)) == command


@pytest.mark.parametrize("data", [b"\x03\xa0", b"\x07", b"\xff"])
def test_an_unknown_command_is_told_from_a_broken_one(data):
    assert gatt.decode_ctrl(data) is None


@pytest.mark.parametrize(
    "data", [b"", b"\x01\x00", b"\x02", b"\x02\x00\x00", b"\x04", b"\x05\x01", b"\x06"]
)
def test_a_command_of_the_wrong_length_is_refused(data):
    with pytest.raises(gatt.GattError):
        gatt.decode_ctrl(data)


@pytest.mark.parametrize("data", [b"", b"\x81\x00", b"\x01\x00\0\0\0\0", b"\x81\x05\0\0\0\0"])
def test_what_is_no_reply_is_refused(data):
    with pytest.raises(gatt.GattError):
        gatt.decode_ctrl_reply(data)


CODECS = [
    (gatt.decode_status, gatt.encode_status),
    (gatt.decode_ack, gatt.encode_ack),
    (gatt.decode_ctrl, gatt.encode_ctrl),
    (gatt.decode_ctrl_reply, gatt.encode_ctrl_reply),
]


@pytest.mark.parametrize(("decode", "encode"), CODECS)
@given(data=st.binary(max_size=48))
def test_any_bytes_are_the_one_spelling_of_a_value_or_refused(decode, encode, data):
    try:
        value = decode(data)
    except gatt.GattError:
        return
    # An unknown command is no value: the ring answers `unsupported`.
    assert value is None or encode(value) == data
