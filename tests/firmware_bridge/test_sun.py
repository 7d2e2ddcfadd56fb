"""SUN links: NXP's published examples, and that nothing else passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import sun
from firmware_bridge.tap import cmac
from tests.firmware_bridge import vectors

GOLDEN = vectors.load("sun")
META, FILE = bytes(range(16)), bytes(range(16, 32))
UID = bytes.fromhex("04a1b2c3d4e5f6")

keys = st.binary(min_size=16, max_size=16)
uids = st.binary(min_size=7, max_size=7)
counters = st.integers(min_value=1, max_value=sun.COUNTER_MAX)
files = st.integers(min_value=0, max_value=3).flatmap(
    lambda n: st.binary(min_size=16 * n, max_size=16 * n)
)


def link(counter: int = 5, file_data: bytes = b"") -> str:
    return sun.make_link(
        "https://ping.example/t",
        meta_key=META,
        file_key=FILE,
        uid=UID,
        counter=counter,
        file_data=file_data,
    )


def read(text: str) -> sun.SunTap:
    return sun.read(sun.parse(text), META, lambda _uid: FILE)


def refused(text: str) -> bool:
    try:
        read(text)
    except sun.SunError:
        return True
    return False


@pytest.mark.parametrize("vector", GOLDEN["an12196"]["links"], ids=lambda v: v["counter"])
def test_the_links_of_an12196_are_genuine(vector):
    tap = sun.read(
        sun.parse(vector["link"]),
        bytes.fromhex(vector["meta_key"]),
        lambda _uid: bytes.fromhex(vector["file_key"]),
    )
    assert tap.uid.hex() == vector["uid"]
    assert tap.counter == vector["counter"]
    assert tap.file_data.hex() == vector["file_data"]


@pytest.mark.parametrize(
    "vector",
    [v for v in GOLDEN["an12196"]["links"] if "picc_random" in v],
    ids=lambda v: v["counter"],
)
def test_a_virtual_tag_would_show_the_links_of_an12196(vector):
    made = sun.make_link(
        vector["link"].partition("?")[0],
        meta_key=bytes.fromhex(vector["meta_key"]),
        file_key=bytes.fromhex(vector["file_key"]),
        uid=bytes.fromhex(vector["uid"]),
        counter=vector["counter"],
        file_data=bytes.fromhex(vector["file_data"]),
        random=lambda _size: bytes.fromhex(vector["picc_random"]),
    )
    assert made == vector["link"]


@pytest.mark.parametrize("vector", GOLDEN["an12196"]["session_keys"])
def test_session_keys_are_those_of_an12196(vector):
    found = sun.session_keys(
        bytes.fromhex(vector["file_key"]),
        bytes.fromhex(vector["uid"]),
        vector["counter"].to_bytes(3, "little"),
    )
    assert found.enc.hex() == vector.get("enc", found.enc.hex())
    assert found.mac.hex() == vector.get("mac", found.mac.hex())


@pytest.mark.parametrize("vector", GOLDEN["an10922"])
def test_diversified_keys_are_those_of_an10922(vector):
    key = sun.diversify(
        bytes.fromhex(vector["master"]),
        bytes.fromhex(vector["uid"]),
        bytes.fromhex(vector["system_id"]),
    )
    assert key.hex() == vector["key"]


@given(st.binary(min_size=1, max_size=31), st.binary(min_size=1, max_size=31))
def test_diversified_keys_differ_with_their_input(one, other):
    assert (sun.diversify(META, b"", one) == sun.diversify(META, b"", other)) == (one == other)


@pytest.mark.parametrize("size", [0, 32])
def test_a_diversification_input_has_1_to_31_bytes(size):
    with pytest.raises(ValueError, match="1 to 31"):
        sun.diversify(META, bytes(size), b"")


@given(st.binary(min_size=1, max_size=31))
def test_diversification_pads_to_two_blocks_and_is_a_cmac_where_rfc_4493_agrees(message):
    key = sun.diversify(META, b"", message)
    if len(message) >= 16:
        assert key == cmac(META, b"\x01" + message)
    else:
        # RFC 4493 would stop after one block; AN10922 always takes two.
        assert key != cmac(META, b"\x01" + message)


@given(keys, keys, uids, counters, files)
def test_every_made_link_is_read_back(meta_key, file_key, uid, counter, file_data):
    text = sun.make_link(
        "https://ping.example/t",
        meta_key=meta_key,
        file_key=file_key,
        uid=uid,
        counter=counter,
        file_data=file_data,
    )
    tap = sun.read(sun.parse(text), meta_key, lambda found: file_key if found == uid else META)
    assert tap == sun.SunTap(uid=uid, counter=counter, file_data=file_data)


@pytest.mark.req("RNG-05")
@pytest.mark.parametrize("file_data", [b"", b"sixteen bytes ok"])
def test_each_single_bit_of_a_link_is_guarded(file_data):
    text = link(file_data=file_data)
    base, _, query = text.partition("?")
    parts = [part.split("=") for part in query.split("&")]
    for at, (_name, value) in enumerate(parts):
        raw = bytes.fromhex(value)
        for bit in range(len(raw) * 8):
            flipped = bytearray(raw)
            flipped[bit // 8] ^= 1 << bit % 8
            changed = [
                f"{n}={flipped.hex().upper() if i == at else v}" for i, (n, v) in enumerate(parts)
            ]
            assert refused(f"{base}?{'&'.join(changed)}"), f"{parts[at][0]} bit {bit}"


def test_hex_may_be_of_either_case_but_the_mac_is_over_the_characters_as_sent():
    plain = link()
    assert read(plain.lower().replace("ping.example", "PING.example")).counter == 5
    with_file = link(file_data=b"sixteen bytes ok")
    head, _, mac = with_file.rpartition("=")
    assert read(f"{head}={mac.lower()}").counter == 5
    enc = with_file.partition("enc=")[2].partition("&")[0]
    assert refused(with_file.replace(enc, enc.lower()))


def test_other_parameters_around_the_link_do_no_harm():
    base, _, query = link().partition("?")
    assert read(f"{base}?utm_source=card&{query}&fbclid=1#top").counter == 5
    assert read(query).counter == 5


def test_a_parameter_inside_the_signed_part_is_refused():
    assert refused(link(file_data=b"sixteen bytes ok").replace("&cmac=", "&x=1&cmac="))


def test_an_unknown_tag_and_a_wrong_key_look_the_same():
    def unknown(_uid: bytes) -> bytes:
        raise KeyError

    for file_key_for in (unknown, lambda _uid: META):
        with pytest.raises(sun.SunError, match=r"^not a genuine SUN link$"):
            sun.read(sun.parse(link()), META, file_key_for)
    with pytest.raises(sun.SunError, match=r"^not a genuine SUN link$"):
        sun.read(sun.parse(link()), FILE, lambda _uid: FILE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?",
        "picc_data=&cmac=",
        "cmac=0000000000000000",
        "picc_data=00000000000000000000000000000000",
        "picc_data=0000000000000000000000000000000&cmac=0000000000000000",  # 31 characters
        "picc_data=000000000000000000000000000000000000000000000000&cmac=0000000000000000",  # LRP
        "picc_data=0000000000000000000000000000000g&cmac=0000000000000000",
        "picc_data=00000000000000000000000000000000&cmac=00000000000000",
        "picc_data=00000000000000000000000000000000&cmac=00000000000000000",
        "picc_data=00000000000000000000000000000000&enc=00&cmac=0000000000000000",
        "picc_data=00000000000000000000000000000000&enc=&cmac=0000000000000000",
        f"picc_data=00000000000000000000000000000000&enc={'00' * 272}&cmac=0000000000000000",
        f"picc_data={'00' * 16}&cmac=0000000000000000&enc={'00' * 16}",
        f"picc_data={'00' * 16}&picc_data={'00' * 16}&cmac=0000000000000000",
        f"picc_data={'00' * 16}&cmac=0000000000000000&cmac=0000000000000000",
        f"picc_data={'%30' * 32}&cmac=0000000000000000",
        f"picc_data={'00' * 16}&cmac=\uff10000000000000000",
        f"picc_data={'00' * 16}&cmac=0000000000000000&x={'y' * 2048}",
    ],
)
def test_a_malformed_link_is_refused(text):
    with pytest.raises(sun.SunError):
        sun.parse(text)


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused(text):
    assert refused(text)


@pytest.mark.parametrize(
    ("counter", "file_data"), [(0, b""), (sun.COUNTER_MAX + 1, b""), (1, b"not a block")]
)
def test_a_tag_cannot_show_what_the_chip_cannot(counter, file_data):
    with pytest.raises(ValueError, match="24 bits"):
        link(counter, file_data)
