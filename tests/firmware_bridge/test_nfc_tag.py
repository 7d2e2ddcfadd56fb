"""Reading a tag: from the chip to the address, and through whatever a hostile one answers."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import nfc_tag, static_tag
from firmware_bridge.nfc_tag import COMMANDS_MAX, TagError, TagKind
from firmware_bridge.virtual.tag_chip import Chip, Type2Chip, Type4Chip

UID = bytes.fromhex("04a1b2c3d4e5f6")
URL = "https://ping.example/t?picc_data=" + "A" * 48 + "&enc=" + "0" * 64 + "&cmac=" + "B" * 16


def talk(kind: TagKind, answer: Callable[[bytes], bytes]) -> tuple[bytes, list[bytes]]:
    """Lead a dialogue to its end; return the message and the commands."""
    dialogue = nfc_tag.read_tag(kind)
    commands = [next(dialogue)]
    while True:
        try:
            commands.append(dialogue.send(answer(commands[-1])))
        except StopIteration as end:
            return end.value, commands


def url_of(chip: Chip) -> str:
    chip.power_up()
    return nfc_tag.read_message(talk(chip.kind, chip.answer)[0]).uri


def problem_of(kind: TagKind, answer: Callable[[bytes], bytes]) -> str:
    with pytest.raises(TagError) as refused:
        nfc_tag.read_message(talk(kind, answer)[0])
    return refused.value.problem


def in_turn(*answers: str) -> Callable[[bytes], bytes]:
    left: Iterator[str] = iter(answers)
    return lambda _: bytes.fromhex(next(left))


def test_each_session_of_a_type_4_tag_shows_another_link():
    numbers = iter(range(1, 9))
    chip = Type4Chip(UID, lambda: f"{URL}&n={next(numbers)}")
    assert [url_of(chip), url_of(chip)] == [f"{URL}&n=1", f"{URL}&n=2"]


def test_a_tag_that_is_taken_away_before_its_file_is_read_has_not_counted():
    numbers = iter(range(1, 9))
    chip = Type4Chip(UID, lambda: f"{URL}&n={next(numbers)}")
    dialogue = nfc_tag.read_tag("type4")
    command = next(dialogue)
    for _ in range(3):
        command = dialogue.send(chip.answer(command))
    assert url_of(chip) == f"{URL}&n=1"


@pytest.mark.parametrize("chip", ["ntag213", "ntag215", "ntag216"])
def test_a_static_tag_is_read_with_its_mirror(chip: static_tag.Chip):
    image = static_tag.build_image("https://ping.example/r/abc", chip=chip)
    memory = static_tag.mirrored(image, uid=UID, counter=7)
    tag = Type2Chip(UID, memory.ljust(static_tag.MEMORY_BYTES[chip], b"\0"))
    read = nfc_tag.read_message(talk("type2", tag.answer)[0])
    assert (read.claimed_uid, read.claimed_counter) == (UID, 7)


@given(extra=st.integers(0, 460))
def test_an_address_of_any_length_is_read_from_both_kinds(extra: int):
    url = "https://ping.example/" + "x" * extra
    memory = static_tag.build_image(url, chip="ntag216", mirror="none").memory
    assert url_of(Type2Chip(UID, memory)) == url
    if extra < 200:
        assert url_of(Type4Chip(UID, lambda: url)) == url


@given(
    kind=st.sampled_from(["type2", "type4"]),
    answers=st.lists(
        st.one_of(st.binary(max_size=300), st.binary(max_size=260).map(lambda d: d + b"\x90\x00")),
        max_size=100,
    ),
)
def test_nothing_that_a_tag_answers_is_a_crash_or_without_end(kind: TagKind, answers: list[bytes]):
    left = iter(answers)
    try:
        message, commands = talk(kind, lambda _: next(left, b"\x90\x00"))
        nfc_tag.read_message(message)
    except TagError:
        return
    assert len(commands) <= COMMANDS_MAX


@given(flips=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 300 * 8)), max_size=4))
def test_a_tag_that_answers_nearly_right_is_read_or_refused(flips: list[tuple[int, int]]):
    chip, count = Type4Chip(UID, lambda: URL), 0

    def answer(command: bytes) -> bytes:
        nonlocal count
        given = bytearray(chip.answer(command))
        for turn, bit in flips:
            if turn == count and bit // 8 < len(given):
                given[bit // 8] ^= 1 << bit % 8
        count += 1
        return bytes(given)

    with suppress(TagError):
        nfc_tag.read_message(talk("type4", answer)[0])
    assert count <= COMMANDS_MAX


def test_the_longest_file_that_is_read_needs_few_commands():
    size = nfc_tag.MESSAGE_BYTES_MAX
    file = size.to_bytes(2, "big") + bytes(size)

    def answer(command: bytes) -> bytes:
        if command[1] == 0xA4:
            return b"\x90\x00"
        at, length = int.from_bytes(command[2:4], "big"), command[4]
        container = bytes.fromhex("000F20000F00FF0406E10404000000")
        content = container if length == 15 and not at else file[at : at + length]
        return content + b"\x90\x00"

    # Fifteen bytes at a time, which is as little as a tag may offer.
    message, commands = talk("type4", answer)
    assert (len(message), len(commands)) == (size, COMMANDS_MAX)


OK = "9000"
CONTAINER = "000F20010000FF0406E10401000000"


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (("6A82",), "no_application"),
        (("",), "no_application"),
        ((OK, "6A82"), "refused"),
        ((OK, OK, "00" + OK), "wrong_length"),
        ((OK, OK, CONTAINER[:-4] + "8000" + OK), "locked"),
        ((OK, OK, CONTAINER.replace("0F20", "0E20") + OK), "wrong_length"),
        ((OK, OK, CONTAINER.replace("2001", "5001") + OK), "no_application"),
        ((OK, OK, CONTAINER.replace("200100", "200001") + OK), "no_application"),
        ((OK, OK, CONTAINER + OK, OK, "0000" + OK), "empty"),
        ((OK, OK, CONTAINER + OK, OK, "FFFF" + OK), "wrong_length"),
        ((OK, OK, CONTAINER.replace("E1040100", "E104FFFF") + OK, OK, "FF00" + OK), "too_long"),
        ((OK, OK, CONTAINER + OK, OK, "0004" + OK, "D100" + OK), "wrong_length"),
        ((OK, OK, CONTAINER + OK, OK, "0004" + OK, "D1010455" + OK), "malformed"),
        ((OK, OK, CONTAINER + OK, OK, "0005" + OK, "D101015500" + OK), "bad_uri"),
        ((OK, OK, CONTAINER + OK, OK, "0006" + OK, "D10102540061" + OK), "not_one_uri"),
    ],
)
def test_a_wrong_type_4_tag_has_its_reason(answers: tuple[str, ...], problem: str):
    assert problem_of("type4", in_turn(*answers)) == problem


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (("",), "refused"),
        (("00" * 15,), "wrong_length"),
        (("00" * 16,), "no_application"),
        (("E120120F" + "00" * 12,), "no_application"),
        (("E1101290" + "00" * 12,), "locked"),
        (("E1100000" + "00" * 12,), "empty"),
        (("E1100200" + "00" * 12, "FE" + "00" * 15), "no_ndef"),
        (("E1100200" + "00" * 12, "03FE" + "00" * 14), "malformed"),
        (("E1100200" + "00" * 12, "00" * 15 + "03"), "malformed"),
    ],
)
def test_a_wrong_type_2_tag_has_its_reason(answers: tuple[str, ...], problem: str):
    assert problem_of("type2", in_turn(*answers)) == problem


@given(commands=st.lists(st.binary(max_size=20), max_size=20))
def test_a_virtual_tag_answers_whatever_it_is_sent(commands: list[bytes]):
    for chip in (Type4Chip(UID, lambda: URL), Type2Chip(UID, b"\x03\x00\xfe")):
        for command in commands:
            assert isinstance(chip.answer(command), bytes)
