"""Static tags: what they show is read, marked as a claim, and malformed NDEF is refused."""

import ndef
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firmware_bridge import static_tag, sun
from tests.firmware_bridge import vectors

GOLDEN = vectors.load("ndef")
UID = bytes.fromhex("04a1b2c3d4e5f6")
MESSAGE = static_tag.build_message("https://ping.example/s?m=04A1B2C3D4E5F6x000102")

chips = st.sampled_from(["ntag213", "ntag215", "ntag216"])
mirrors = st.sampled_from(["none", "uid", "counter", "uid_and_counter"])
uids = st.binary(min_size=7, max_size=7)
counters = st.integers(min_value=0, max_value=static_tag.COUNTER_MAX)


def problem_of(message: bytes) -> str:
    with pytest.raises(static_tag.NdefError) as caught:
        static_tag.read_message(message)
    return caught.value.problem


def test_the_mirror_points_where_the_data_sheets_example_does():
    golden = GOLDEN["published"]
    image = static_tag.build_image(golden["base"], chip=golden["chip"])
    assert image.mirror_page == golden["mirror_page"]
    assert image.mirror_byte >> 4 & 3 == golden["mirror_byte"]
    uid = bytes.fromhex(golden["uid"])
    shown = static_tag.mirrored(image, uid=uid, counter=golden["counter"])
    assert static_tag.read_memory(shown) == static_tag.UnverifiedRead(
        uri=golden["uri"], claimed_uid=uid, claimed_counter=golden["counter"]
    )


def test_golden_images_are_built_and_read():
    golden = GOLDEN["ours"]
    image = static_tag.build_image(golden["base"], chip=golden["chip"])
    assert image.memory.hex() == golden["memory"]
    assert (image.mirror_page, image.mirror_byte) == (golden["mirror_page"], golden["mirror"])
    uid = bytes.fromhex(golden["uid"])
    shown = static_tag.mirrored(image, uid=uid, counter=golden["counter"])
    assert shown.hex() == golden["shown"]
    assert static_tag.read_memory(shown).claimed_uid == uid


@given(chips, mirrors, uids, counters, st.sampled_from(["", "?a=1"]))
def test_what_a_chip_shows_is_read_back(chip, mirror, uid, counter, query):
    image = static_tag.build_image(f"https://ping.example/s{query}", chip=chip, mirror=mirror)
    found = static_tag.read_memory(static_tag.mirrored(image, uid=uid, counter=counter))
    assert found.claimed_uid == (uid if "uid" in mirror else None)
    assert found.claimed_counter == (counter if "counter" in mirror else None)


def test_a_read_of_a_static_tag_cannot_be_taken_for_a_verified_tap():
    claimed = set(static_tag.UnverifiedRead.__struct_fields__)
    assert not claimed & set(sun.SunTap.__struct_fields__)
    assert not issubclass(static_tag.UnverifiedRead, sun.SunTap)


@pytest.mark.parametrize(
    "query", ["", "?m=", "?m=04A1", "?m=zz", "?m=04A1B2C3D4E5F6&m=04A1B2C3D4E5F6", "?x=000102"]
)
def test_an_address_without_one_mirror_claims_nothing(query):
    found = static_tag.read_uri(f"https://ping.example/s{query}")
    assert (found.claimed_uid, found.claimed_counter) == (None, None)


def test_the_mirrors_parameter_may_have_another_name():
    found = static_tag.read_uri("https://ping.example/s?u=04A1B2C3D4E5F6", parameter="u")
    assert found.claimed_uid == UID


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b"", "not_one_uri"),
        (MESSAGE[:-1], "malformed"),
        (b"\x51" + MESSAGE[1:], "malformed"),  # no message begin
        (MESSAGE[:4] + b"\x24" + MESSAGE[5:], "malformed"),  # no such abbreviation
        (MESSAGE[:-1] + b"\xff", "malformed"),  # not UTF-8
        (b"".join(ndef.message_encoder([ndef.TextRecord("hello")])), "not_one_uri"),
        (b"".join(ndef.message_encoder([ndef.UriRecord("https://a.b")] * 2)), "not_one_uri"),
        (static_tag.build_message("tel:+4912345"), "bad_uri"),
        (static_tag.build_message("https://ping.example/\u00fc"), "bad_uri"),
        (static_tag.build_message("https://ping.example/" + "a" * 512), "bad_uri"),
        (bytes(889), "too_long"),
    ],
)
def test_a_malformed_message_is_refused_with_its_problem(message, problem):
    assert problem_of(message) == problem


def test_what_stands_behind_the_last_record_is_no_part_of_the_message():
    assert static_tag.read_message(MESSAGE + b"\0").claimed_uid == UID


@pytest.mark.parametrize(
    ("memory", "problem"),
    [
        (b"", "no_ndef"),
        (b"\xfe" + MESSAGE, "no_ndef"),
        (b"\x00\x00\x01\x00", "no_ndef"),
        (b"\x00\x00\x01", "malformed"),
        (b"\x03\x20" + MESSAGE[:10], "malformed"),
        (b"\x03\xff\x01", "malformed"),
    ],
)
def test_a_memory_without_a_whole_message_is_refused(memory, problem):
    with pytest.raises(static_tag.NdefError) as caught:
        static_tag.read_memory(memory)
    assert caught.value.problem == problem


@given(st.binary(max_size=900))
@example(b"\x03\x03\xd0\x00\x00\xfe")
@example(b"\xd1\x01\x01U\x04")
def test_any_bytes_are_read_or_refused(data):
    for read in (static_tag.read_message, static_tag.read_memory):
        try:
            found = read(data)
        except static_tag.NdefError:
            continue
        assert found.uri.startswith("http")


@given(st.integers(min_value=0, max_value=len(MESSAGE) * 8 - 1))
def test_a_flipped_bit_is_refused_or_stays_a_claim(bit):
    flipped = bytearray(MESSAGE)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        found = static_tag.read_message(bytes(flipped))
    except static_tag.NdefError:
        return
    assert isinstance(found, static_tag.UnverifiedRead)


def test_a_long_address_takes_a_long_length():
    image = static_tag.build_image("https://ping.example/" + "a" * 300, chip="ntag215")
    assert image.memory[1] == 0xFF
    shown = static_tag.mirrored(image, uid=UID, counter=1)
    assert static_tag.read_memory(shown).claimed_counter == 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="144 bytes"):
        static_tag.build_image("https://ping.example/" + "a" * 120, chip="ntag213")
    image = static_tag.build_image("https://ping.example/s", chip="ntag213")
    with pytest.raises(ValueError, match="24 bits"):
        static_tag.mirrored(image, uid=UID, counter=1 << 24)
