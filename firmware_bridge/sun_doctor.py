"""Says what is wrong with the set-up of a tag from one link that it wrote.

A tag writes over the characters of its template and leaves the others, so that a link is as long as
its template and shows where the tag wrote. What was really set is found by trying (sun_search.py)
and compared with what the template needs; offsets are named as the data sheet does.
"""

import re
from typing import Final, Literal, TypeAlias

import msgspec

from firmware_bridge import provisioning, sun, sun_search
from firmware_bridge.sun import ENCRYPTED, Layout
from firmware_bridge.sun_keys import FILE_KEY_NUMBER
from firmware_bridge.sun_search import KeySet, Opened, Signed
from firmware_bridge.sun_session import BLOCK, MAC_BYTES, PICC_BYTES, UID_BYTES, SunMode

Level: TypeAlias = Literal["error", "warning"]
Verdict: TypeAlias = Literal["accepted", "refused", "unproven"]
"""`unproven`: the shape is right, and no key was given that could tell more."""

_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_LINK_CHARACTERS_MAX: Final = 2048
_SIZES: Final[dict[int, str]] = {
    2 * PICC_BYTES["aes"]: "PICC data in AES mode",
    2 * PICC_BYTES["lrp"]: "PICC data in LRP mode",
    2 * MAC_BYTES: "a MAC",
    2 * UID_BYTES: "a UID",
}


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong, and what to do about it."""

    code: str
    level: Level
    text: str
    remedy: str


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a hub takes the link, what it says, and what is wrong, the cause first."""

    verdict: Verdict
    findings: list[Finding]
    mode: SunMode | None = None
    uid: str | None = None
    counter: int | None = None


def examine(
    link: str, keys: KeySet, *, layout: Layout = ENCRYPTED, mode: SunMode | None = None
) -> Diagnosis:
    """Say what is wrong with a link; `mode` is the one that the tag was meant to be in."""
    if len(link) > _LINK_CHARACTERS_MAX or not link.isascii() or not link.isprintable():
        return Diagnosis(verdict="refused", findings=[_not_a_link()])
    link = link.partition("#")[0]
    shape = _shape(link, layout)
    opened = _opened(link, keys, layout)
    signed = sun_search.find_signed(link, keys, opened)
    seen = signed.opened if signed else (opened[0] if opened else None)
    findings: list[Finding] = []
    if signed is not None:
        findings += _key_findings(signed)
    elif keys.known and (opened or not _has_error(shape)):
        findings += _unsigned_findings(opened)
    if seen is not None:
        findings += _seen_findings(seen, mode)
        misplaced = _place_findings(link, layout, seen, signed)
        findings += misplaced
        if signed is not None and misplaced:
            # The rest of the shape is what the wrong offset has done to it.
            shape = [item for item in shape if item.code == "plain_link"]
    findings += shape + _scheme_findings(link)
    return Diagnosis(
        verdict=_verdict(link, keys, layout, findings),
        findings=findings,
        mode=seen.mode if seen else None,
        uid=seen.uid.hex() if seen and seen.uid else None,
        counter=int.from_bytes(seen.counter, "little") if seen and seen.counter else None,
    )


def _verdict(link: str, keys: KeySet, layout: Layout, findings: list[Finding]) -> Verdict:
    if _has_error(findings):
        return "refused"
    try:
        parsed = sun.parse(link, layout)
        _, meta_key = next(keys.meta_keys(parsed.mode))
        sun.read(parsed, meta_key, lambda uid: next(keys.file_keys(parsed.mode, uid))[1])
    except sun.SunError:
        return "refused" if keys.known else "unproven"
    return "accepted"


def _has_error(findings: list[Finding]) -> bool:
    return any(item.level == "error" for item in findings)


def _not_a_link() -> Finding:
    return Finding(
        "not_hex",
        "error",
        "the link holds characters that are no hex digits of a mirror",
        "Set bit 0 (ASCII encoding) of SDMOptions, and read the link as the phone opens it.",
    )


def _opened(link: str, keys: KeySet, layout: Layout) -> list[Opened]:
    found = sun_search.find_opened(link, keys)
    try:
        places = sun.spans(link, layout)
    except sun.SunError:
        return found
    if "uid" in places and "counter" in places:
        found += sun_search.find_plain(link, places["uid"][0], places["counter"][0])
    return found


def _shape(link: str, layout: Layout) -> list[Finding]:
    """Return what is wrong with the parameters, whatever the keys are."""
    try:
        places = sun.spans(link, layout)
    except sun.SunError:
        text = "a parameter of the tag stands in the link twice"
        return [Finding("duplicate_parameter", "error", text, "Write the NDEF file anew.")]
    names = {"picc": layout.picc, "enc": layout.enc, "mac": layout.mac}
    wanted = ("mac",) if layout.plain or _is_plain(places) else ("picc", "mac")
    found = [_missing(link, names[part]) for part in wanted if part not in places]
    if layout.plain is None and _is_plain(places):
        found.append(_plain())
    for part in ("picc", "enc", "mac"):
        if part in places:
            start, end = places[part]
            found += _value_findings(part, names[part], link[start:end])
    order = [places[part][0] for part in ("picc", "enc", "mac") if part in places]
    if order != sorted(order):
        expected = ", ".join(names[part] for part in ("picc", "enc", "mac") if part in places)
        text = f"the parameters stand in another order than {expected}"
        remedy = "Put them in that order: the MAC ends what it covers, so it comes last."
        found.append(Finding("mirror_order", "error", text, remedy))
    return found


def _is_plain(places: dict[str, tuple[int, int]]) -> bool:
    return "picc" not in places and "uid" in places and "counter" in places


def _missing(link: str, name: str) -> Finding:
    others = [
        f"{found[1]} ({_SIZES[len(found[2])]})"
        for found in re.finditer(r"[?&]([^?&=]*)=([0-9A-Fa-f]+)(?=&|$)", link)
        if len(found[2]) in _SIZES
    ]
    text = f"the parameter {name} is missing"
    if others:
        text += f"; the link has {', '.join(others)}"
    remedy = f"Write {name}= and its zeros into the URL of the NDEF file, and count offsets anew."
    return Finding("missing_parameter", "error", text, remedy)


def _plain() -> Finding:
    return Finding(
        "plain_link",
        "error",
        "the link shows UID and counter in plain; the hub refuses such links, because the UID"
        " follows its owner through histories and logs",
        "Give SDMMetaRead key 2 instead of E, and mirror PICC data.",
    )


def _value_findings(part: str, name: str, value: str) -> list[Finding]:
    offset = {"picc": "PICCDataOffset", "enc": "SDMENCOffset", "mac": "SDMMACOffset"}[part]
    if not _HEX.fullmatch(value):
        if not value:
            text = f"{name} is empty"
            remedy = f"Leave zeros behind {name}= and point {offset} at the first."
        else:
            text = f"{name} holds characters that are no hex digits"
            remedy = (
                f"Set bit 0 (ASCII encoding) of SDMOptions; if it is set, {offset} or a neighbour"
                " is off and has written over a sign."
            )
        return [Finding("not_hex", "error", text, remedy)]
    if set(value) == {"0"}:
        text = f"{name} still holds the zeros of the template"
        remedy = f"Switch SDM on (FileOption 40), mirror it, and check {offset}."
        return [Finding("placeholder", "error", text, remedy)]
    size = len(value)
    if part == "enc":
        fits = size % (2 * BLOCK) == 0
        expected = f"a multiple of {2 * BLOCK}"
    elif part == "picc":
        fits = size in {2 * size for size in PICC_BYTES.values()}
        expected = "32 (AES mode) or 48 (LRP mode)"
    else:
        fits, expected = size == 2 * MAC_BYTES, str(2 * MAC_BYTES)
    if fits:
        return []
    if size > 1 and _is_hex_of_hex(value):
        text = f"{name} is the hex of hex digits: it was encoded twice"
        return [Finding("encoded_twice", "error", text, "Pass on what the tag wrote as it is.")]
    text = f"{name} has {size} characters, expected {expected}"
    remedy = f"Check {offset} and the number of zeros behind {name}= in the NDEF file."
    return [Finding("wrong_length", "error", text, remedy)]


def _is_hex_of_hex(value: str) -> bool:
    return len(value) % 2 == 0 and bool(re.fullmatch(rb"[0-9A-Fa-f]+", bytes.fromhex(value)))


def _key_findings(signed: Signed) -> list[Finding]:
    names: tuple[sun_search.KeyName | None, ...] = (signed.file, signed.opened.meta)
    found = [
        _wrong_key(number, name, signed.opened.mode)
        for number, name in enumerate(names, FILE_KEY_NUMBER)
        if name is not None and name != "right"
    ]
    if signed.upper_case:
        text = "the MAC is genuine for capitals: something has changed the link's letters"
        remedy = "Pass the link on as the tag wrote it; the MAC covers the characters."
        found.append(Finding("case_changed", "error", text, remedy))
    return found


def _unsigned_findings(opened: list[Opened]) -> list[Finding]:
    if not opened:
        text = "the PICC data opens with none of the keys"
        remedy = (
            "Key 2 of the tag (SDMMetaRead) is another one than the hub derives: give the master"
            " key of the hub that the tag was made for, or make the tag anew."
        )
        return [Finding("unknown_key", "error", text, remedy)]
    name = opened[0].meta
    found: list[Finding] = []
    if name is not None and name != "right":
        found.append(_wrong_key(2, name, opened[0].mode))
    text = "the MAC fits no key, place and input that were tried"
    remedy = (
        "Key 1 of the tag (SDMFileRead) is another one than the hub derives, or the link was"
        " altered behind the tag."
    )
    return [*found, Finding("mac_unknown", "error", text, remedy)]


def _wrong_key(number: int, name: sun_search.KeyName, mode: SunMode) -> Finding:
    role = "signs (SDMFileRead)" if number == 1 else "hides the UID (SDMMetaRead)"
    remedy = f"Change key {number} to the one that `pinghub ring provision` writes for this tag."
    match name:
        case "factory":
            text = f"key {number}, which {role}, is still the factory's: all zeros"
            return Finding("factory_key", "error", text, remedy)
        case "undiversified":
            text = f"key {number}, which {role}, is the master key itself, not diversified"
            remedy += " Change the master key too: whoever opens this tag has it."
            return Finding("undiversified_key", "error", text, remedy)
        case _:
            other = "LRP" if mode == "aes" else "AES"
            text = f"the tag is in {mode.upper()} mode, its key {number} is that of {other} mode"
            return Finding("key_of_other_mode", "error", text, remedy)


def _seen_findings(seen: Opened, mode: SunMode | None) -> list[Finding]:
    found: list[Finding] = []
    if mode is not None and seen.mode != mode:
        text = f"the tag is in {seen.mode.upper()} mode, not {mode.upper()}"
        remedy = (
            "LRP mode cannot be left: give it the keys of LRP mode, or take another tag."
            if seen.mode == "lrp"
            else "Switch it by SetConfiguration, option 05."
        )
        found.append(Finding("wrong_mode", "error", text, remedy))
    if seen.tag != sun.PICC_TAG:
        missing, bit = ("counter", 6) if seen.tag == sun_search.NO_COUNTER_TAG else ("UID", 7)
        text = f"the tag does not mirror its {missing}"
        found.append(Finding("not_mirrored", "error", text, f"Set bit {bit} of SDMOptions."))
    if seen.counter and not any(seen.counter):
        text = "the counter is 0: no tag shows that, it counts before it writes"
        remedy = "Read the tag itself; a link out of a tool or a template proves nothing."
        found.append(Finding("counter_zero", "error", text, remedy))
    if seen.counter_reversed:
        text = "the plain counter has its bytes in the wrong order: most significant first"
        found.append(Finding("counter_order", "error", text, "Write it as the tag does."))
    if seen.counter and int.from_bytes(seen.counter, "little") == sun.COUNTER_MAX:
        text = "the counter has reached its end: this tag cannot count any more"
        found.append(Finding("worn_out", "warning", text, "Replace the tag."))
    return found


def _place_findings(
    link: str, layout: Layout, seen: Opened, signed: Signed | None
) -> list[Finding]:
    """Compare where the tag wrote and what it signed with what its template asks for."""
    places = _template(link, layout, seen.mode)
    if places is None:
        return []
    url, wanted = places
    shift = provisioning.file_shift(url)
    found: list[Finding] = []
    if seen.meta is not None and seen.at != wanted["picc"]:
        found.append(_off("PICCDataOffset", seen.at + shift, wanted["picc"] + shift))
    if signed is None:
        return found
    if signed.at != wanted["mac"]:
        found.append(_off("SDMMACOffset", signed.at + shift, wanted["mac"] + shift))
    input_at = provisioning.mac_input_at(url, wanted, layout.mac_input)
    # With the MAC in another place, an empty input has moved with it.
    empty = signed.input_at == signed.at and input_at == wanted["mac"]
    if signed.input_at != input_at and not empty:
        found.append(_off("SDMMACInputOffset", signed.input_at + shift, input_at + shift))
    return found


def _off(name: str, actual: int, wanted: int) -> Finding:
    text = f"{name} is {actual}, must be {wanted}"
    code = {
        "PICCDataOffset": "picc_offset",
        "SDMMACOffset": "mac_offset",
        "SDMMACInputOffset": "mac_input_offset",
    }[name]
    remedy = f"Set {name} to {wanted} ({wanted.to_bytes(3, 'little').hex().upper()})."
    return Finding(code, "error", text, remedy)


def _template(
    link: str, layout: Layout, mode: SunMode
) -> tuple[str, dict[provisioning.Part, int]] | None:
    """Return the template of a link, known by its length; None when the link has another shape."""
    base = link.partition("?")[0]
    layout = msgspec.structs.replace(layout, plain=None)
    for blocks in range(provisioning.ENC_BLOCKS_MAX + 1):
        url, places = provisioning.template(base, mode=mode, layout=layout, enc_blocks=blocks)
        if len(url) == len(link):
            return url, places
    return None


def _scheme_findings(link: str) -> list[Finding]:
    if link.startswith("http://"):
        text = "the link is not encrypted on its way (http)"
        return [Finding("not_https", "warning", text, "Write https:// into the NDEF file.")]
    return []
