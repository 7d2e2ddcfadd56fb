"""The files of an identity: a successor takes its place whole, at whatever step the power fails."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import durable
from gateway import identity, refusals
from gateway.identity import IdentityError, Validity
from gateway.refusals import REMEDIES
from tests.fixtures.authority import Authority
from tests.gateway.claim_double import GATEWAY, certify, claimed


class _Killed(BaseException):
    pass


@pytest.fixture
def folder(authority: Authority, tmp_path: Path) -> Path:
    return claimed(tmp_path / "identity", authority, "mqtts://localhost:8883")


def succeed(folder: Path, authority: Authority) -> None:
    """Do what a renewal does on the disk."""
    csr = identity.request(folder, "renewing", GATEWAY)
    certificate = certify(authority, csr, age=timedelta(minutes=1)).encode()
    identity.keep_certificate(folder, "renewing", certificate, authority.ca_pem.encode())
    identity.accept(folder, "renewing")


def is_whole(folder: Path) -> bool:
    found = identity.load(folder)
    assert found is not None
    identity.present(identity.tls_context(), folder)
    return found.gateway_id == GATEWAY


@pytest.mark.parametrize("step", range(20))
def test_a_renewal_that_was_killed_at_any_step_leaves_a_whole_identity_and_goes_on(
    folder, authority, monkeypatch, step
):
    steps = 0

    def dying(action):
        def wrapped(*arguments, **options):
            nonlocal steps
            if steps == step:
                raise _Killed
            steps += 1
            return action(*arguments, **options)

        return wrapped

    before = (folder / "certificate.pem").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(durable.os, "fsync", dying(os.fsync))
        patch.setattr(Path, "replace", dying(Path.replace))
        patch.setattr(Path, "rename", dying(Path.rename))
        patch.setattr(Path, "rmdir", dying(Path.rmdir))
        with pytest.raises(_Killed):
            succeed(folder, authority)
    assert is_whole(folder)
    if identity.held(folder, "renewing") == "certificate":
        identity.accept(folder, "renewing")
    elif (folder / "certificate.pem").read_bytes() == before:
        succeed(folder, authority)
    assert is_whole(folder)
    assert (folder / "certificate.pem").read_bytes() != before
    assert sorted(path.name for path in folder.iterdir()) == [
        "ca.pem",
        "certificate.pem",
        "identity.json",
        "key.pem",
    ]


def test_a_request_is_the_same_until_it_is_discarded(folder):
    first = identity.request(folder, "renewing", GATEWAY)
    assert identity.request(folder, "renewing", GATEWAY) == first
    identity.discard(folder, "renewing")
    assert identity.request(folder, "renewing", GATEWAY) != first


def test_a_gateway_that_was_never_claimed_has_no_identity(tmp_path):
    assert identity.load(tmp_path / "none") is None


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem", "ca.pem"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(IdentityError, match=name.replace(".", r"\.")):
        identity.load(folder)


def test_a_damaged_file_is_named(folder):
    (folder / "identity.json").write_text("{")
    with pytest.raises(IdentityError, match=r"identity\.json"):
        identity.load(folder)


@given(now_ms=st.integers(0, 100))
def test_a_refusal_is_blamed_on_the_dates_only_when_they_are_to_blame(now_ms):
    word = refusals.refused(Validity(20, 80), now_ms)
    expected = "clock_wrong" if now_ms < 20 else "certificate_refused"
    assert word == ("certificate_expired" if now_ms >= 80 else expected)
    assert REMEDIES[word]
