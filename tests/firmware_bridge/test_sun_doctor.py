"""The doctor names the offset, field or key that is wrong, whichever of them it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import provisioning, sun, sun_doctor, sun_keys
from firmware_bridge import sun_session as session
from firmware_bridge.sun_search import KeySet

MASTER = bytes(range(16))
UID = bytes.fromhex("04a1b2c3d4e5f6")
BASE = "https://ping.example/t"
KEYS = KeySet(master=MASTER)
MODES = ["aes", "lrp"]


def tag_writes(  # every setting that may be wrong
    mode="aes",
    blocks=0,
    *,
    shift=(0, 0),
    input_at=None,
    keys=None,
    counter=5,
    tag=0xC7,
    base=BASE,
) -> str:
    """Return what a tag with these settings writes over its template, right or wrong.

    `shift` moves PICC data and MAC; `input_at` is where the signed characters really begin.
    """
    keys = keys or sun_keys.tag_keys(MASTER, UID, mode)
    url, places = provisioning.template(base, mode=mode, layout=sun.ENCRYPTED, enc_blocks=blocks)
    counted = counter.to_bytes(3, "little")
    uid = b"" if tag == 0x40 else UID
    shown = b"" if tag == 0x87 else counted
    picc = (bytes((tag,)) + uid + shown).ljust(16, b"\x5a")
    keys_now = session.session_keys(mode, keys.file, uid, shown)

    def write(at: int, data: bytes) -> None:
        nonlocal url
        text = data.hex().upper()
        url = url[:at] + text + url[at + len(text) :]

    if blocks:
        write(places["enc"], session.seal_file(keys_now, counted, b"\x42" * 16 * blocks))
    write(places["picc"] + shift[0], session.seal_picc(mode, keys.meta, picc, b"\x11" * 8))
    mac_at = places["mac"] + shift[1]
    if input_at is None:
        input_at = places["enc"] if blocks else mac_at
    write(mac_at, session.sign(keys_now, url[input_at:mac_at].encode()))
    return url


def codes(link: str, keys: KeySet = KEYS, **options) -> list[str]:
    return [item.code for item in sun_doctor.examine(link, keys, **options).findings]


def only(link: str, keys: KeySet = KEYS, **options) -> sun_doctor.Finding:
    (finding,) = sun_doctor.examine(link, keys, **options).findings
    return finding


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_a_good_link_is_accepted_without_a_word(mode, blocks):
    found = sun_doctor.examine(tag_writes(mode, blocks), KEYS, mode=mode)
    assert found == sun_doctor.Diagnosis(
        verdict="accepted", findings=[], mode=mode, uid=UID.hex(), counter=5
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("by", [-3, -1, 1, 2])
def test_picc_data_in_the_wrong_place_is_found_with_both_numbers(mode, by):
    found = only(tag_writes(mode, shift=(by, 0)))
    plan = provisioning.plan(BASE, mode=mode)
    wanted = plan.offsets["PICCDataOffset"]
    assert found.code == "picc_offset"
    assert found.text == f"PICCDataOffset is {wanted + by}, must be {wanted}"
    assert wanted.to_bytes(3, "little").hex().upper() in found.remedy


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("by", [-4, -1])
def test_a_mac_in_the_wrong_place_is_found_with_both_numbers(mode, by):
    found = only(tag_writes(mode, shift=(0, by)))
    wanted = provisioning.plan(BASE, mode=mode).offsets["SDMMACOffset"]
    assert found.text == f"SDMMACOffset is {wanted + by}, must be {wanted}"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("blocks", [0, 1])
@pytest.mark.parametrize("at", ["picc", "address", "one off"])
def test_a_mac_over_the_wrong_input_is_found_with_the_offset_that_fits(mode, blocks, at):
    plan = provisioning.plan(BASE, mode=mode, file_data=bytes(16 * blocks))
    _, places = provisioning.template(BASE, mode=mode, layout=sun.ENCRYPTED, enc_blocks=blocks)
    wanted = plan.offsets["SDMMACInputOffset"]
    shift = provisioning.file_shift(plan.url)
    actual = {"picc": places["picc"], "address": len("https://"), "one off": wanted - shift - 1}[at]
    found = only(tag_writes(mode, blocks, input_at=actual))
    assert found.code == "mac_input_offset"
    assert found.text == f"SDMMACInputOffset is {actual + shift}, must be {wanted}"


def test_encrypted_file_data_that_is_not_signed_is_found():
    _, places = provisioning.template(BASE, mode="aes", layout=sun.ENCRYPTED, enc_blocks=1)
    assert only(tag_writes("aes", 1, input_at=places["mac"])).code == "mac_input_offset"


@pytest.mark.parametrize("mode", MODES)
def test_each_key_that_is_not_the_tags_own_is_named(mode):
    good = sun_keys.tag_keys(MASTER, UID, mode)
    other = sun_keys.tag_keys(MASTER, UID, "lrp" if mode == "aes" else "aes")
    for code, wrong in (
        ("factory_key", sun_keys.TagKeys(meta=bytes(16), file=bytes(16))),
        ("undiversified_key", sun_keys.TagKeys(meta=MASTER, file=MASTER)),
        ("key_of_other_mode", other),
    ):
        assert codes(tag_writes(mode, keys=wrong)) == [code, code]
        for number, mixed in (
            (1, sun_keys.TagKeys(meta=good.meta, file=wrong.file)),
            (2, sun_keys.TagKeys(meta=wrong.meta, file=good.file)),
        ):
            found = only(tag_writes(mode, keys=mixed))
            assert found.code == code
            assert f"key {number}" in found.text


def test_an_unknown_key_is_told_from_an_unknown_signature():
    good, odd = sun_keys.tag_keys(MASTER, UID), b"\x99" * 16
    assert only(tag_writes(keys=sun_keys.TagKeys(meta=odd, file=good.file))).code == "unknown_key"
    found = sun_doctor.examine(tag_writes(keys=sun_keys.TagKeys(meta=good.meta, file=odd)), KEYS)
    assert [item.code for item in found.findings] == ["mac_unknown"]
    assert (found.uid, found.counter) == (UID.hex(), 5)


def test_a_wrong_meta_key_is_named_even_when_the_signature_fits_nothing():
    odd = sun_keys.TagKeys(meta=bytes(16), file=b"\x99" * 16)
    assert codes(tag_writes(keys=odd)) == ["factory_key", "mac_unknown"]


def test_keys_of_one_tag_do_as_well_as_the_master_key():
    keys = KeySet(tag=sun_keys.tag_keys(MASTER, UID))
    assert sun_doctor.examine(tag_writes(), keys).verdict == "accepted"


def test_without_any_key_a_good_shape_stays_unproven_and_a_factory_tag_is_known():
    assert sun_doctor.examine(tag_writes(), KeySet()).verdict == "unproven"
    factory = sun_keys.TagKeys(meta=bytes(16), file=bytes(16))
    assert codes(tag_writes(keys=factory), KeySet()) == ["factory_key"] * 2


def test_a_tag_in_lrp_mode_that_was_meant_to_be_in_aes_mode_is_named():
    assert only(tag_writes("lrp"), mode="aes").code == "wrong_mode"
    assert only(tag_writes("aes"), mode="lrp").code == "wrong_mode"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("tag", "missing"), [(0x87, "counter"), (0x40, "UID")])
def test_a_tag_that_hides_what_proves_a_tap_is_named(mode, tag, missing):
    found = sun_doctor.examine(tag_writes(mode, tag=tag), KEYS)
    assert "not_mirrored" in [item.code for item in found.findings]
    assert any(missing in item.text for item in found.findings)
    assert found.verdict == "refused"


def test_counters_at_both_ends_are_remarked():
    assert only(tag_writes(counter=0)).code == "counter_zero"
    worn = sun_doctor.examine(tag_writes(counter=sun.COUNTER_MAX), KEYS)
    assert (worn.verdict, worn.findings[0].code) == ("accepted", "worn_out")


def test_a_link_without_tls_is_accepted_with_a_warning():
    found = sun_doctor.examine(tag_writes(base="http://ping.example/t"), KEYS)
    assert (found.verdict, found.findings[0].code) == ("accepted", "not_https")


@pytest.mark.parametrize("mode", MODES)
def test_links_whose_case_was_changed_are_known(mode):
    link = tag_writes(mode, 1)
    head, _, query = link.partition("?")
    assert codes(f"{head}?{query.lower()}") == ["case_changed"]


def plain(mode="aes", *, reverse=False) -> str:
    keys = sun_keys.tag_keys(MASTER, UID, mode)
    link = sun.make_link(
        BASE,
        meta_key=keys.meta,
        file_key=keys.file,
        uid=UID,
        counter=258,
        layout=sun.Layout(plain=mode),
    )
    return link.replace("ctr=000102", "ctr=020100") if reverse else link


@pytest.mark.parametrize("mode", MODES)
def test_a_plain_link_is_verified_and_refused_for_being_plain(mode):
    found = sun_doctor.examine(plain(mode), KEYS)
    assert [item.code for item in found.findings] == ["plain_link"]
    assert (found.mode, found.counter) == (mode, 258)


def test_a_plain_counter_in_the_wrong_order_is_named():
    assert "counter_order" in codes(plain(reverse=True))


def test_parameters_in_the_wrong_order_are_named():
    link = tag_writes(blocks=1)
    head, _, query = link.partition("?")
    picc, enc, mac = query.split("&")
    assert "mirror_order" in codes(f"{head}?{picc}&{mac}&{enc}")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda link: link.replace("picc_data=", "e="), "missing_parameter"),
        (lambda link: link.replace("cmac=", "c="), "missing_parameter"),
        (lambda link: link.partition("?")[0], "missing_parameter"),
        (lambda link: link + "&cmac=00", "duplicate_parameter"),
        (lambda link: link.replace("picc_data=", "picc_data=%"), "not_hex"),
        (lambda link: link + "\x00\x8f", "not_hex"),
        (lambda link: link.partition("cmac=")[0] + "cmac=", "not_hex"),
        (lambda link: link[:-1], "wrong_length"),
        (lambda _: f"{BASE}?uid=zz&ctr=000001&cmac={'5' * 16}", "plain_link"),
        (lambda _: f"{BASE}?uid=04&ctr=000001&cmac={'5' * 16}", "plain_link"),
        (lambda _: f"{BASE}?picc_data={'5' * 32}&enc={'5' * 30}&cmac={'5' * 16}", "wrong_length"),
        (lambda _: f"{BASE}?picc_data={'0' * 32}&cmac={'0' * 16}", "placeholder"),
        (lambda link: link[:-16] + link[-16:].encode().hex(), "encoded_twice"),
    ],
)
def test_a_broken_shape_is_named(change, code):
    assert code in codes(change(tag_writes()))
    assert sun_doctor.examine(change(tag_writes()), KEYS).verdict == "refused"


def test_a_parameter_of_another_name_is_pointed_at():
    link = tag_writes().replace("picc_data=", "e=").replace("cmac=", "c=")
    texts = [item.text for item in sun_doctor.examine(link, KEYS).findings]
    assert any("e (PICC data in AES mode), c (a MAC)" in text for text in texts)


def test_31_characters_of_picc_data_are_said_to_be_31():
    link = tag_writes().replace("picc_data=", "picc_data=", 1)
    head, _, tail = link.partition("picc_data=")
    found = sun_doctor.examine(f"{head}picc_data={tail[1:]}", KEYS)
    assert any("has 31 characters" in item.text for item in found.findings)


@settings(max_examples=40, deadline=None)
@given(
    st.text(max_size=120)
    | st.from_regex(r"https://a\.b/\?(picc_data|enc|cmac|uid|ctr)=[0-9A-F]{0,50}", fullmatch=True)
)
def test_any_text_gets_a_diagnosis_and_none_is_accepted(text):
    assert sun_doctor.examine(text, KEYS).verdict != "accepted"


@pytest.mark.req("RNG-05")
def test_the_doctor_accepts_no_flipped_bit():
    link = tag_writes()
    head, _, tail = link.rpartition("=")
    for bit in range(0, 64, 5):
        flipped = bytearray.fromhex(tail)
        flipped[bit // 8] ^= 1 << bit % 8
        assert sun_doctor.examine(f"{head}={flipped.hex().upper()}", KEYS).verdict == "refused"
