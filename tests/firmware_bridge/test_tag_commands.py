"""`pinghub ring doctor|provision|emulate`: what they print and keep, and where secrets go."""

import asyncio
import contextlib
import json
import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from core.errors import ConfigError, DomainError
from firmware_bridge import cli, sun, sun_keys
from firmware_bridge.virtual.controller import RadioController
from firmware_bridge.virtual.hci_server import HciServer
from tests.firmware_bridge.virtual.gateway_side import Listener, find
from tests.fixtures.rings import Air, eventually, ring_entry, ring_id, ring_key

MASTER = bytes(range(16))
UID = bytes.fromhex("04a1b2c3d4e5f6")
KEYS = sun_keys.tag_keys(MASTER, UID)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PINGHUB_HOME", str(tmp_path))
    monkeypatch.setenv("PINGHUB_SERVER__PUBLIC_URL", "https://ping.example/")
    monkeypatch.setenv("PINGHUB_KEYS__SUN_MASTER_KEY", MASTER.hex())
    return tmp_path


def run(*arguments: object) -> None:
    cli.app([str(argument) for argument in arguments], result_action="return_value")


def refused(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    return int(ended.value.code or 0)


def link(**changes: bytes) -> str:
    parts = {"meta_key": KEYS.meta, "file_key": KEYS.file, "uid": UID} | changes
    return sun.make_link("https://ping.example/t", counter=5, **parts)


def test_the_doctor_accepts_a_good_link_and_ends_well(capsys):
    run("doctor", link())
    out = capsys.readouterr().out
    assert out == ("The hub takes this link.\n  AES mode, UID 04A1B2C3D4E5F6, counter 5\n")


def test_the_doctor_names_what_is_wrong_and_ends_with_1(capsys):
    assert refused("doctor", link(file_key=bytes(16))) == 1
    out = capsys.readouterr().out
    assert "error: key 1, which signs (SDMFileRead), is still the factory's" in out
    assert "[factory_key]" in out


def test_the_doctors_json_is_for_scripts(capsys):
    assert refused("doctor", link(meta_key=bytes(16)), "--mode", "lrp", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "refused"
    assert [item["code"] for item in found["findings"]] == ["factory_key", "wrong_mode"]
    assert found["uid"] == UID.hex()


def test_without_keys_the_doctor_says_so(capsys, monkeypatch):
    monkeypatch.delenv("PINGHUB_KEYS__SUN_MASTER_KEY")
    run("doctor", link())
    assert "without keys nothing more" in capsys.readouterr().out


def test_the_doctor_reads_the_keys_that_provision_wrote(home: Path, capsys, monkeypatch):
    run("provision", UID.hex(), "--out", home / "tag.json")
    monkeypatch.delenv("PINGHUB_KEYS__SUN_MASTER_KEY")
    run("doctor", link(), "--keys", home / "tag.json")
    assert "The hub takes this link." in capsys.readouterr().out


def secrets_of(mode: sun.SunMode = "aes") -> list[str]:
    return [key.hex() for key in sun_keys.all_keys(MASTER, UID, mode)] + [MASTER.hex()]


@pytest.mark.parametrize("mode", ["aes", "lrp"])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_provision_keeps_its_secrets_in_a_file_of_ones_own(home: Path, mode, form, capsys):
    run("provision", UID.hex(), "--mode", mode, "--out", home / "tag.json", *form)
    shown = "".join(capsys.readouterr())
    assert not any(secret in shown.lower() for secret in secrets_of(mode))
    kept = json.loads((home / "tag.json").read_text())
    assert stat.S_IMODE((home / "tag.json").stat().st_mode) == 0o600
    assert kept["keys"] == secrets_of(mode)[:5]
    assert (kept["nfc_uid"], kept["sun_mode"]) == (UID.hex(), mode)
    assert MASTER.hex() not in (home / "tag.json").read_text()


def test_provision_shows_keys_only_when_asked(capsys):
    run("provision", "04:A1:B2:C3:D4:E5:F6", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert "keys" not in shown
    assert shown["offsets"]["PICCDataOffset"] == 32
    assert shown["key_numbers"] == {"SDMFileRead": 1, "SDMMetaRead": 2, "write": 0, "change": 0}
    run("provision", UID.hex(), "--show-keys")
    out = capsys.readouterr().out
    assert all(f"key {number} " in out for number in range(5))
    assert secrets_of()[1] in out


def test_provision_overwrites_nothing(home: Path):
    (home / "tag.json").write_text("mine")
    with pytest.raises(ConfigError, match="cannot be written"):
        run("provision", UID.hex(), "--out", home / "tag.json")
    assert (home / "tag.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["04A1"], "14 hex digits"),
        (["not hex"], "14 hex digits"),
        ([UID.hex(), "--base", "ftp://x"], "web address"),
        ([UID.hex(), "--file-data", "x" * 65], "blocks"),
    ],
)
def test_provision_refuses_what_no_tag_is(arguments, problem):
    with pytest.raises(DomainError, match=problem) as caught:
        run("provision", *arguments)
    assert caught.value.code == "request.invalid"


def test_a_missing_or_bad_master_key_is_named_and_not_quoted(monkeypatch):
    monkeypatch.setenv("PINGHUB_KEYS__SUN_MASTER_KEY", "hush")
    with pytest.raises(ConfigError, match=r"keys\.sun_master_key is not 16 bytes") as caught:
        run("provision", UID.hex())
    assert "hush" not in str(caught.value)
    monkeypatch.delenv("PINGHUB_KEYS__SUN_MASTER_KEY")
    with pytest.raises(ConfigError, match="is not set"):
        run("provision", UID.hex())


@pytest.mark.parametrize("content", [None, "{}", "[]", '{"nfc_uid": "zz"}'])
def test_a_bad_keys_file_is_one_line(home: Path, content):
    file = home / "keys.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"keys\.json"):
        run("doctor", link(), "--keys", file)


@pytest.fixture
def rings_file(home: Path) -> Path:
    file = home / "rings.json"
    entries = [ring_entry(1), ring_entry(2) | {"sun_mode": "lrp"}, ring_entry(3)]
    for name in ("nfc_uid", "sun_meta_key", "sun_file_key"):
        entries[2].pop(name, None)
    file.write_text(json.dumps(entries))
    return file


def emulated(capsys, *options: object) -> list[dict]:
    run("emulate", *options, "--json")
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(("number", "mode"), [(1, "aes"), (2, "lrp")])
def test_emulate_shows_genuine_links_whose_counter_rises_over_restarts(
    rings_file, capsys, number, mode
):
    name = ring_id(number).hex()
    shown = emulated(capsys, name, "--count", 2, "--every", "1ms")
    shown += emulated(capsys, name)
    shown += emulated(capsys, name, "--counter", 99)
    assert [tap["counter"] for tap in shown] == [1, 2, 3, 100]
    for found in shown:
        assert found["link"].startswith("https://ping.example/t?picc_data=")
        parsed = sun.parse(found["link"])
        read = sun.read(parsed, bytes(16), lambda _uid: ring_key(number))
        assert (read.counter, read.mode) == (found["counter"], mode)


def test_emulate_prints_links_for_people(rings_file, capsys):
    run("emulate", "--base", "http://10.0.0.5:8000/t")
    assert capsys.readouterr().out.startswith("http://10.0.0.5:8000/t?picc_data=")


def test_emulate_says_what_is_missing(rings_file, home: Path):
    with pytest.raises(DomainError) as caught:
        run("emulate", "ffffffffffffffff")
    assert caught.value.code == "ring.not_found"
    with pytest.raises(ConfigError, match="no NFC tag"):
        run("emulate", ring_id(3).hex())
    with pytest.raises(ConfigError, match="cannot be used"):
        run("emulate", "--ble", "tcp-client:127.0.0.1:1")
    with pytest.raises(ConfigError, match="does not exist"):
        run("emulate", "--rings", home / "none.json")


async def test_emulate_is_a_ring_on_the_air_until_it_is_told_to_stop(rings_file, air: Air):
    central = await air.central()
    server = HciServer(RadioController("dongle", air.link))
    await server.start("127.0.0.1", 0)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "firmware_bridge.cli", "emulate", ring_id(1).hex(), "--json"),
        *("--ble", f"tcp-client:127.0.0.1:{server.port}", "--every", "50ms"),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ.copy(),
    )
    assert process.stdout is not None
    try:
        first = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
        assert (first["counter"], first["boot"], first["seq"]) == (1, 1, 1)
        async with Listener(await find(central.scanner), central.client) as gateway:
            await eventually(lambda: len(gateway.seqs) >= 2, "two taps")
            assert gateway.seqs == list(range(gateway.seqs[0], gateway.seqs[-1] + 1))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await server.stop()
