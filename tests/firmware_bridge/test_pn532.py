"""The PN532's frames: what is sent is what the manual shows; what is damaged is never taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import pn532
from firmware_bridge.pn532 import ACK, DATA_BYTES_MAX, Frames, Pn532Error, Target


def from_chip(content: bytes) -> bytes:
    """Return a frame as the chip sends it."""
    frame = bytearray(pn532.command(content))
    at = frame.index(0xD4, 5)
    frame[at] = 0xD5
    frame[-2] = -sum(frame[at:-2]) & 0xFF
    return bytes(frame)


def test_commands_look_as_in_the_manual():
    # UM0701-02: GetFirmwareVersion and SAMConfiguration.
    assert pn532.command(bytes((pn532.FIRMWARE,))).hex() == "0000ff02fed4022a00"
    assert pn532.command(pn532.START).hex() == "0000ff05fbd4140114000300"
    assert pn532.command(pn532.POLL).hex() == "0000ff04fcd44a0100e100"


def test_an_answer_of_the_manual_is_read():
    frames = Frames().feed(ACK + bytes.fromhex("0000FF06FAD50332010607E800"))
    assert frames == ["ack", bytes.fromhex("0332010607")]
    assert pn532.response(frames[1], pn532.FIRMWARE) == bytes.fromhex("32010607")


@given(
    contents=st.lists(st.binary(min_size=1, max_size=DATA_BYTES_MAX - 1), max_size=4),
    noise=st.binary(max_size=20).filter(lambda noise: b"\x00" not in noise),
    cuts=st.lists(st.integers(1, 40), max_size=30),
)
def test_frames_are_found_however_the_line_cuts_them(contents, noise, cuts):
    line = noise + b"".join(from_chip(content) for content in contents)
    frames, found = Frames(), []
    for size in cuts:
        found += frames.feed(line[:size])
        line = line[size:]
    found += frames.feed(line)
    assert found == contents


@given(content=st.binary(min_size=1, max_size=DATA_BYTES_MAX - 1), data=st.data())
def test_no_flipped_bit_gives_another_answer(content: bytes, data: st.DataObject):
    frame = bytearray(from_chip(content))
    # The last byte is behind the frame.
    bit = data.draw(st.integers(0, (len(frame) - 1) * 8 - 1))
    frame[bit // 8] ^= 1 << bit % 8
    found = [item for item in Frames().feed(bytes(frame)) if isinstance(item, bytes)]
    assert found in ([], [content])


@given(line=st.lists(st.binary(max_size=60), max_size=10))
def test_noise_never_grows_in_memory(line: list[bytes]):
    frames = Frames()
    for part in line:
        frames.feed(part)
    assert len(frames._buffer) <= DATA_BYTES_MAX + 10


def test_a_frame_follows_a_damaged_one():
    damaged = bytearray(from_chip(b"\x41\x00abc"))
    damaged[8] ^= 1
    frames = Frames()
    assert frames.feed(bytes(damaged) + from_chip(b"\x41\x00")) == [b"\x41\x00"]
    assert frames.damaged == 1


def test_targets_are_told_apart():
    type4 = bytes.fromhex("01010344200704A1B2C3D4E5F606757781028002F0"[:36])
    assert pn532.read_target(type4) == Target(1, "type4", bytes.fromhex("04A1B2C3D4E5F6"))
    type2 = bytes.fromhex("010100440007" + "04112233445566")
    assert pn532.read_target(type2) == Target(1, "type2", bytes.fromhex("04112233445566"))
    assert pn532.read_target(b"\x00") is None


@given(data=st.binary(max_size=40))
def test_no_answer_of_a_chip_is_a_crash(data: bytes):
    for read in (pn532.read_target, pn532.read_exchange):
        try:
            read(data)
        except Pn532Error:
            continue


def test_what_the_tag_did_not_answer_is_told():
    assert pn532.read_exchange(b"\x00\x90\x00") == b"\x90\x00"
    with pytest.raises(Pn532Error):
        pn532.read_exchange(b"\x01")
    with pytest.raises(Pn532Error):
        pn532.response(b"\x4b\x00", pn532.EXCHANGE)
    with pytest.raises(ValueError, match="more than fits"):
        pn532.command(bytes(DATA_BYTES_MAX))
