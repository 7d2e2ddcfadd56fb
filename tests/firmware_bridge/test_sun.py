"""SUN links: NXP's published examples, and that nothing else passes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import sun, sun_session
from tests.firmware_bridge import vectors

GOLDEN = vectors.load("sun")
META, FILE = bytes(range(16)), bytes(range(16, 32))
UID = bytes.fromhex("04a1b2c3d4e5f6")

keys = st.binary(min_size=16, max_size=16)
uids = st.binary(min_size=7, max_size=7)
counters = st.integers(min_value=1, max_value=sun.COUNTER_MAX)
modes = st.sampled_from(["aes", "lrp"])
layouts = st.builds(
    sun.Layout,
    plain=st.sampled_from([None, "aes", "lrp"]),
    mac_input=st.sampled_from(["auto", "address", "mac"]),
    mac=st.sampled_from(["cmac", "c"]),
)
files = st.integers(min_value=0, max_value=3).flatmap(
    lambda n: st.binary(min_size=16 * n, max_size=16 * n)
)


def link(
    counter: int = 5,
    file_data: bytes = b"",
    mode: sun.SunMode = "aes",
    layout: sun.Layout = sun.ENCRYPTED,
) -> str:
    return sun.make_link(
        "https://ping.example/t",
        meta_key=META,
        file_key=FILE,
        uid=UID,
        counter=counter,
        file_data=file_data,
        mode=mode,
        layout=layout,
    )


def read(text: str, layout: sun.Layout = sun.ENCRYPTED) -> sun.SunTap:
    return sun.read(sun.parse(text, layout), META, lambda _uid: FILE)


def refused(text: str, layout: sun.Layout = sun.ENCRYPTED) -> bool:
    try:
        read(text, layout)
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


@pytest.mark.parametrize("vector", GOLDEN["an12196"]["session_keys"], ids=lambda v: v["source"])
def test_session_keys_are_those_of_an12196(vector):
    found = sun_session.session_keys(
        "aes",
        bytes.fromhex(vector["file_key"]),
        bytes.fromhex(vector["uid"]),
        vector["counter"].to_bytes(3, "little"),
    )
    assert found.enc.hex() == vector.get("enc", found.enc.hex())
    assert found.mac.hex() == vector.get("mac", found.mac.hex())


@pytest.mark.parametrize("vector", GOLDEN["real_tags"], ids=lambda v: v["cmac"])
def test_reads_of_real_tags_are_genuine(vector):
    plain = not vector["picc_data"]
    read_by_a_tag = sun.SunLink(
        mode=vector["mode"],
        picc_data=bytes.fromhex(vector["picc_data"]),
        uid=bytes.fromhex(vector["uid"]) if plain else b"",
        counter=vector["counter"].to_bytes(3, "little") if plain else b"",
        enc=bytes.fromhex(vector["enc"]),
        cmac=bytes.fromhex(vector["cmac"]),
        mac_input=vector["mac_input"].encode(),
    )
    tap = sun.read(read_by_a_tag, bytes(16), lambda _uid: bytes(16))
    assert tap == sun.SunTap(
        uid=bytes.fromhex(vector["uid"]),
        counter=vector["counter"],
        file_data=bytes.fromhex(vector["file_data"]),
        mode=vector["mode"],
    )


@settings(max_examples=60)
@given(
    st.fixed_dictionaries(
        {
            "meta_key": keys,
            "file_key": keys,
            "uid": uids,
            "counter": counters,
            "file_data": files,
            "mode": modes,
            "layout": layouts,
        }
    )
)
def test_every_made_link_is_read_back(tag):
    text = sun.make_link("https://ping.example/t", **tag)
    tap = sun.read(
        sun.parse(text, tag["layout"]),
        tag["meta_key"],
        lambda uid: tag["file_key"] if uid == tag["uid"] else META,
    )
    assert tap == sun.SunTap(
        uid=tag["uid"],
        counter=tag["counter"],
        file_data=tag["file_data"],
        mode=tag["layout"].plain or tag["mode"],
    )


@pytest.mark.req("RNG-05")
@pytest.mark.parametrize("layout", [sun.ENCRYPTED, sun.Layout(plain="aes")], ids=["hid", "plain"])
@pytest.mark.parametrize("mode", ["aes", "lrp"])
@pytest.mark.parametrize("file_data", [b"", b"sixteen bytes ok"])
def test_each_single_bit_of_a_link_is_guarded(file_data, mode, layout):
    if layout.plain:
        layout = sun.Layout(plain=mode)
    text = link(file_data=file_data, mode=mode, layout=layout)
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
            assert refused(f"{base}?{'&'.join(changed)}", layout), f"{parts[at][0]} bit {bit}"


@pytest.mark.parametrize("start", ["picc", "enc", "mac", "address"])
def test_what_is_signed_begins_where_the_layout_says(start):
    layout = sun.Layout(mac_input=start)
    text = link(file_data=b"sixteen bytes ok", layout=layout)
    assert read(text, layout).counter == 5
    for other in {"picc", "enc", "mac", "address"} - {start}:
        assert refused(text, sun.Layout(mac_input=other))


def test_a_layout_cannot_sign_from_a_part_that_is_not_there():
    assert refused(link(), sun.Layout(mac_input="enc"))
    assert refused(link(), sun.Layout(mac_input="uid"))


def test_signing_from_the_address_without_a_scheme_begins_at_the_first_character():
    text = sun.make_link(
        "/t",
        meta_key=META,
        file_key=FILE,
        uid=UID,
        counter=1,
        layout=sun.Layout(mac_input="address"),
    )
    assert read(text, sun.Layout(mac_input="address")).counter == 1


def test_a_link_of_the_other_kind_is_refused():
    assert refused(link(layout=sun.Layout(plain="aes")))
    assert refused(link(), sun.Layout(plain="aes"))
    assert refused(link(layout=sun.Layout(plain="aes")), sun.Layout(plain="lrp"))


def test_the_last_count_says_that_the_tag_is_worn_out():
    assert not read(link(sun.COUNTER_MAX - 1)).is_worn_out
    assert read(link(sun.COUNTER_MAX)).is_worn_out


@pytest.mark.parametrize("mode", ["aes", "lrp"])
@pytest.mark.parametrize(("tag", "counter"), [(0xC7, 0), (0x87, 5), (0x47, 5), (0xC4, 5)])
def test_a_signed_read_without_uid_or_counter_is_refused(mode, tag, counter):
    count = counter.to_bytes(3, "little")
    picc = bytes((tag,)) + UID + count + bytes(5)
    keys = sun_session.session_keys(mode, FILE, UID, count)
    forged = sun.SunLink(
        mode=mode,
        picc_data=sun_session.seal_picc(mode, META, picc, bytes(8)),
        cmac=sun_session.sign(keys, b""),
        mac_input=b"",
    )
    with pytest.raises(sun.SunError):
        sun.read(forged, META, lambda _uid: FILE)


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
        f"picc_data={'00' * 17}&cmac=0000000000000000",
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
