"""`pinghub ring doctor|provision|emulate`: tags and links on the desk of who sets them up."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from core import config
from core.crypto import parse_key
from core.errors import ConfigError, DomainError
from firmware_bridge import provisioning, sun, sun_doctor, sun_keys
from firmware_bridge.durations import parse_duration
from firmware_bridge.sun_search import KeySet
from firmware_bridge.sun_session import BLOCK, SunMode

_Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, for scripts.")]
_Hex16 = Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{32}$")]
_MASTER_KEY: Final = "keys.sun_master_key"
_EXIT_REFUSED: Final = 1


class KeysFile(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of one tag, as `provision --out` writes them."""

    nfc_uid: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{14}$")]
    sun_mode: SunMode
    sun_meta_key: _Hex16
    sun_file_key: _Hex16
    keys: list[_Hex16] = []
    """Keys 0 to 4 of the tag."""


def doctor(
    url: str,
    /,
    *,
    keys: Path | None = None,
    mode: SunMode | None = None,
    as_json: _Json = False,
) -> None:
    """Say what is wrong with the set-up of a tag, from a link that it wrote.

    Tries the keys, modes, places and MAC inputs that people mix up, and names the offset, field or
    key to change. Keys come from `--keys`, else from the hub's master key (`keys.sun_master_key`);
    without either only the shape is judged, and factory keys are tried. The link is not used up:
    nothing is recorded.

    Exit code 0: the hub takes the link (or, without keys, the shape is right); 1: it does not.

    Args:
        url: The link as the phone opened it, in quotes.
        keys: File with the tag's keys, as `pinghub ring provision --out` writes it.
        mode: The mode that the tag was meant to be in.
        as_json: Print JSON, for scripts.
    """
    found = sun_doctor.examine(url.strip(), _key_set(keys), mode=mode)
    if as_json:
        print(msgspec.json.encode(found).decode())  # noqa: T201  # a command's output
    else:
        _print_diagnosis(found)
    if found.verdict == "refused":
        sys.exit(_EXIT_REFUSED)


def provision(
    uid: str,
    /,
    *,
    base: str = "",
    mode: SunMode = "aes",
    file_data: str = "",
    out: Path | None = None,
    show_keys: Annotated[bool, Parameter(negative="")] = False,
    as_json: _Json = False,
) -> None:
    """Write out how to set up a ring's NTAG 424 DNA tag: NDEF file, SDM settings, keys, order.

    Needs the hub's master key (`keys.sun_master_key`). Keys go to `--out`, readable by you only, or
    with `--show-keys` to the screen; without either the plan is printed without them.

    Args:
        uid: The tag's UID, 14 hex digits.
        base: What links begin with; default: `server.public_url` and /t.
        mode: AES, or LRP, which a tag never leaves again.
        file_data: Text in the file that links carry encrypted; filled up with zeros.
        out: File for the tag's keys; it must not exist.
        show_keys: Print the tag's keys.
        as_json: Print JSON, for scripts.
    """
    uid_bytes = _read_uid(uid)
    master = _master_key()
    if master is None:
        raise ConfigError(f"{_MASTER_KEY} is not set: the hub needs the same")
    data = file_data.encode()
    data = data.ljust(-(-len(data) // BLOCK) * BLOCK, b"0")
    try:
        plan = provisioning.plan(base or _default_base(), mode=mode, file_data=data)
    except ValueError as error:
        raise DomainError("request.invalid", str(error)) from None
    kept = KeysFile(
        nfc_uid=uid_bytes.hex(),
        sun_mode=mode,
        sun_meta_key=sun_keys.meta_key(master, mode).hex(),
        sun_file_key=sun_keys.file_key(master, uid_bytes, mode).hex(),
        keys=[key.hex() for key in sun_keys.all_keys(master, uid_bytes, mode)],
    )
    if out is not None:
        _write_secret(out, msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
    shown = _plan_shown(plan, uid_bytes)
    if show_keys:
        shown["keys"] = kept.keys
    if as_json:
        print(json.dumps(shown, indent=2))  # noqa: T201  # a command's output
        return
    _print_plan(shown)
    if out is not None:
        print(f"Keys are in {out}.")  # noqa: T201  # a command's output
    elif not show_keys:
        print("Keys are not shown: use --out FILE or --show-keys.")  # noqa: T201  # same


def emulate(
    device_id: str = "",
    /,
    *,
    rings: Path | None = None,
    base: str = "",
    counter: int = 0,
    count: int | None = None,
    every: str = "5s",
    ble: str = "",
    encrypted: Annotated[bool, Parameter(negative="")] = False,
    as_json: _Json = False,
) -> None:
    """Be a ring on this machine, to test a phone app without one: fresh links, a radio if wanted.

    Prints links that open once each, their counters rising over restarts too. With `--ble` it also
    advertises as a ring and sends taps, until Ctrl-C or `--count`.

    Args:
        device_id: Which ring of the file; default: its first.
        rings: File with rings, as `pinghub edge add-rings` writes it; default:
            $PINGHUB_HOME/rings.json.
        base: What links begin with; default: `server.public_url` and /t.
        counter: Count on from here, when the hub has already seen reads of this tag.
        count: Taps until the end; 0: for ever. Default: 1, with --ble for ever.
        every: Time between taps, as `5s` or `500ms`.
        ble: HCI transport to advertise on, as `usb:0` or `serial:/dev/ttyACM0,1000000`.
        encrypted: Demand pairing, as real rings do.
        as_json: Print one JSON line per tap.
    """
    try:
        from firmware_bridge.virtual import emulation, simulation  # noqa: PLC0415  # extra `edge`
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is missing: run `make install`") from None
    entries = simulation.read_rings(rings or config.home() / "rings.json")
    found = [e for e in entries if device_id.lower() in ("", e.device_id.lower())]
    if not found:
        raise DomainError("ring.not_found", f"the file has no ring {device_id}")
    plan = emulation.Plan(
        base=base or _default_base(),
        counter=counter,
        count=count if count is not None else 0 if ble else 1,
        every_seconds=parse_duration(every),
        transport=ble,
        encrypted=encrypted,
    )

    def show(shown: emulation.Shown) -> None:
        text = msgspec.json.encode(shown).decode()
        if not as_json:
            record = f"boot {shown.boot} seq {shown.seq}" if shown.seq else ""
            text = "  ".join(part for part in (shown.link, record) if part)
        print(text, flush=True)  # noqa: T201  # the result

    asyncio.run(emulation.run(found[0], config.home() / "emulated", plan, show))


def _key_set(path: Path | None) -> KeySet:
    if path is None:
        return KeySet(master=_master_key())
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=KeysFile)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError:
        raise ConfigError(f"{path} is no file of `pinghub ring provision --out`") from None
    return KeySet(
        tag=sun_keys.TagKeys(
            meta=bytes.fromhex(kept.sun_meta_key), file=bytes.fromhex(kept.sun_file_key)
        )
    )


def _master_key() -> bytes | None:
    text = config.load().keys.sun_master_key
    if not text:
        return None
    try:
        return parse_key(text, sun_keys.KEY_BYTES)
    except ValueError as error:
        raise ConfigError(f"{_MASTER_KEY} is {error}") from None


def _default_base() -> str:
    return config.load().server.public_url.rstrip("/") + "/t"


def _read_uid(text: str) -> bytes:
    try:
        uid = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        uid = b""
    if len(uid) != sun.UID_BYTES:
        raise DomainError("request.invalid", "a UID has 14 hex digits, as 04A1B2C3D4E5F6")
    return uid


def _write_secret(path: Path, content: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _plan_shown(plan: provisioning.TagPlan, uid: bytes) -> dict[str, Any]:
    return {
        "uid": uid.hex().upper(),
        "mode": plan.mode,
        "url": plan.url,
        "ndef_file": plan.ndef_file.hex().upper(),
        "file_settings": plan.file_settings.hex().upper(),
        "offsets": plan.offsets,
        "key_numbers": {
            "SDMFileRead": sun_keys.FILE_KEY_NUMBER,
            "SDMMetaRead": sun_keys.META_KEY_NUMBER,
            "write": 0,
            "change": 0,
        },
        "key_version": provisioning.KEY_VERSION,
        "steps": provisioning.steps(plan),
    }


def _print_plan(shown: dict[str, Any]) -> None:
    rows = [
        ("tag", f"{shown['uid']}, {shown['mode'].upper()} mode"),
        ("link", shown["url"]),
        ("NDEF file (02)", shown["ndef_file"]),
        ("ChangeFileSettings", shown["file_settings"]),
        *((name, f"{value} ({value:#x})") for name, value in shown["offsets"].items()),
        *((f"key {number}", key) for number, key in enumerate(shown.get("keys", ()))),
    ]
    for name, value in rows:
        print(f"{name:<20} {value}")  # noqa: T201  # a command's output
    for number, step in enumerate(shown["steps"], 1):
        print(f"{number}. {step}")  # noqa: T201  # a command's output


def _print_diagnosis(found: sun_doctor.Diagnosis) -> None:
    words = {
        "accepted": "The hub takes this link.",
        "refused": "The hub refuses this link.",
        "unproven": "The shape is right; without keys nothing more can be said.",
    }
    print(words[found.verdict])  # noqa: T201  # a command's output
    if found.mode:
        seen = f"{found.mode.upper()} mode, UID {(found.uid or 'hidden').upper()}"
        print(f"  {seen}, counter {found.counter}")  # noqa: T201  # same
    for item in found.findings:
        print(f"{item.level}: {item.text} [{item.code}]")  # noqa: T201  # same
        print(f"  {item.remedy}")  # noqa: T201  # same
