"""The brokers' file is replaced whole, and never by an older list."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from core import authority as ca
from hub.providers import revocation_file

NOW = datetime.now(UTC)
PAIR = ca.create("Ping Hub of tests", now=NOW, years=1)
AUTHORITY = ca.load(PAIR.key, PAIR.certificate)


def of(number: int) -> bytes:
    return ca.revocation_list(AUTHORITY, [], number=number, now=NOW)


def number_in(path: Path) -> int:
    found = x509.load_pem_x509_crl(path.read_bytes()).extensions
    return found.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_a_newer_list_replaces_an_older_one_and_not_the_other_way_round(tmp_path: Path) -> None:
    path = tmp_path / "made" / "crl.pem"
    assert revocation_file.replace(path, of(5), 5)
    assert not revocation_file.replace(path, of(4), 4)
    assert number_in(path) == 5
    assert revocation_file.replace(path, of(5), 5), "the same one again, with a later next update"
    assert revocation_file.replace(path, of(6), 6)
    assert number_in(path) == 6
    assert sorted(item.name for item in path.parent.iterdir()) == ["crl.pem", "crl.pem.lock"]


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_who_may_read_the_list_is_not_changed(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "crl.pem"
    revocation_file.replace(path, of(1), 1)
    assert path.stat().st_mode & 0o777 == 0o644, "for a broker that runs as somebody else"
    path.chmod(mode)
    assert revocation_file.replace(path, of(2), 2)
    assert path.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("found", [b"", b"not a list", PAIR.certificate.encode()])
def test_what_is_no_list_is_replaced(tmp_path: Path, found: bytes) -> None:
    path = tmp_path / "crl.pem"
    path.write_bytes(found)
    assert revocation_file.replace(path, of(1), 1)
    assert number_in(path) == 1


def test_a_crash_while_writing_leaves_the_former_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "crl.pem"
    revocation_file.replace(path, of(1), 1)

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space"):
            revocation_file.replace(path, of(2), 2)
    assert number_in(path) == 1
    assert revocation_file.replace(path, of(2), 2)
    assert number_in(path) == 2
