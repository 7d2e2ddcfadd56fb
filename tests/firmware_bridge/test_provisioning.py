"""Set-ups of tags: NXP's examples byte for byte, and that a tag set up so writes genuine links."""

import ndef
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge import provisioning, sun, sun_keys
from firmware_bridge import sun_session as session
from tests.firmware_bridge import vectors

MASTER = bytes(range(16))
UID = bytes.fromhex("04a1b2c3d4e5f6")
BASE = "https://ping.example/t"

layouts = st.builds(
    sun.Layout,
    plain=st.sampled_from([None, "aes", "lrp"]),
    mac_input=st.sampled_from(["auto", "address", "mac"]),
)


def tag_opens(plan: provisioning.TagPlan, counter: int) -> str:
    """Return the link that a tag opens which has been given these bytes and knows nothing else."""
    file, settings_bytes = plan.ndef_file, plan.file_settings
    assert settings_bytes[0] == 0x40
    options, rights = settings_bytes[3], settings_bytes[5]
    fields = [
        int.from_bytes(settings_bytes[at : at + 3], "little")
        for at in range(6, len(settings_bytes), 3)
    ]
    plain, has_enc = rights >> 4 == 0xE, bool(options & 0x10)
    keys = sun_keys.all_keys(MASTER, UID, plan.mode)
    count = counter.to_bytes(3, "little")
    now = session.session_keys(plan.mode, keys[rights & 0xF], UID, count)
    shown = bytearray(file)

    def mirror(at: int, data: bytes) -> None:
        text = data.hex().upper().encode()
        shown[at : at + len(text)] = text

    if plain:
        mirror(fields.pop(0), UID)
        mirror(fields.pop(0), count[::-1])
    else:
        picc = b"\xc7" + UID + count + b"\x11" * 5
        mirror(fields.pop(0), session.seal_picc(plan.mode, keys[rights >> 4], picc, b"\x22" * 8))
    input_at = fields.pop(0)
    if has_enc:
        at, length = fields.pop(0), fields.pop(0)
        mirror(at, session.seal_file(now, count, file[at : at + length // 2]))
    (mac_at,) = fields
    mirror(mac_at, session.sign(now, bytes(shown[input_at:mac_at])))
    length = int.from_bytes(shown[:2], "big")
    (record,) = ndef.message_decoder(bytes(shown[2 : 2 + length]))
    return record.iri


@pytest.mark.parametrize("vector", vectors.load("sun")["settings"], ids=lambda v: v["base"])
def test_settings_are_those_of_an12196_and_of_a_working_tag(vector):
    layout = sun.Layout(picc=vector["picc"], mac=vector["mac"])
    plan = provisioning.plan(
        vector["base"],
        layout=layout,
        file_data=b"x" * vector["file_bytes"],
        rights=provisioning.Rights(counter_retrieval=1),
    )
    assert plan.file_settings.hex() == vector["file_settings"]


@pytest.mark.parametrize("vector", vectors.load("sun")["ours"], ids=lambda v: v["link"][23:40])
def test_our_own_vectors_hang_together(vector):
    master, uid = bytes.fromhex(vector["master_key"]), bytes.fromhex(vector["uid"])
    mode, data = vector["mode"], bytes.fromhex(vector["file_data"])
    keys = sun_keys.tag_keys(master, uid, mode)
    assert (keys.meta.hex(), keys.file.hex()) == (vector["meta_key"], vector["file_key"])
    assert [key.hex() for key in sun_keys.all_keys(master, uid, mode)] == vector["keys"]
    plan = provisioning.plan(BASE, mode=mode, file_data=data)
    assert plan.ndef_file.hex() == vector["ndef_file"]
    assert plan.file_settings.hex() == vector["file_settings"]
    made = sun.make_link(
        BASE,
        meta_key=keys.meta,
        file_key=keys.file,
        uid=uid,
        counter=vector["counter"],
        file_data=data,
        mode=mode,
        random=lambda size: bytes(range(size)),
    )
    assert made == vector["link"]
    tap = sun.read(sun.parse(made), keys.meta, lambda _uid: keys.file)
    assert (tap.counter, tap.file_data) == (vector["counter"], data)


@settings(max_examples=60)
@given(
    st.sampled_from([BASE, "https://www.ping.example/", "http://a.b/deep/path"]),
    st.sampled_from(["aes", "lrp"]),
    layouts,
    st.integers(0, 2),
    st.integers(1, sun.COUNTER_MAX),
)
def test_a_tag_with_these_bytes_writes_links_that_verify(base, mode, layout, blocks, counter):
    data = b"what the tag keeps, 32 bytes big"[: 16 * blocks]
    plan = provisioning.plan(base, mode=mode, layout=layout, file_data=data)
    link = tag_opens(plan, counter)
    assert len(link) == len(plan.url)
    keys = sun_keys.tag_keys(MASTER, UID, plan.mode)
    tap = sun.read(sun.parse(link, layout), keys.meta, lambda _uid: keys.file)
    assert tap == sun.SunTap(uid=UID, counter=counter, file_data=data, mode=plan.mode)


def test_nobody_else_may_write_the_file_or_read_the_counter():
    settings_bytes = provisioning.plan(BASE).file_settings
    assert settings_bytes[1:3].hex() == "00e0"  # key 0 writes and changes, everybody reads
    assert settings_bytes[4] & 0xF == 0xF


def test_key_0_is_changed_last_and_lrp_mode_first():
    aes = provisioning.steps(provisioning.plan(BASE))
    lrp = provisioning.steps(provisioning.plan(BASE, mode="lrp"))
    assert "ChangeKey 0" in aes[-1]
    assert not any("LRP" in step for step in aes)
    assert "00000000020000000000" in lrp[1]


@pytest.mark.parametrize(
    ("base", "options", "problem"),
    [
        ("ping.example/t", {}, "web address"),
        (f"{BASE}?a=1", {}, "web address"),
        (f"{BASE}#a", {}, "web address"),
        (BASE, {"file_data": b"x"}, "whole blocks"),
        (BASE, {"file_data": bytes(80)}, "whole blocks"),
        (BASE + "/" + "x" * 200, {}, "256 bytes"),
        (BASE, {"layout": sun.Layout(mac_input="enc")}, "no enc"),
    ],
)
def test_what_no_tag_can_do_is_refused(base, options, problem):
    with pytest.raises(ValueError, match=problem):
        provisioning.plan(base, **options)
