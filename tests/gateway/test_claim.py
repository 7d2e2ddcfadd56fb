"""From a code to an identity, and every way in which that fails or is cut off."""

import json
import os
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from core import durable
from gateway import claim, identity
from gateway.claim import ClaimError
from gateway.cli import app
from tests.fixtures.authority import Authority
from tests.fixtures.ports import free_port
from tests.gateway.claim_double import CODE, GATEWAY, ClaimDouble, problem


@pytest.fixture
def hub(authority: Authority) -> Iterator[ClaimDouble]:
    double = ClaimDouble(authority)
    yield double
    double.close()


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "home" / "identity"


def refusal(folder: Path, code: str, hub: str, *, force: bool = False) -> ClaimError:
    with pytest.raises(ClaimError) as caught:
        claim.claim(folder, code, hub, force=force)
    assert caught.value.remedy
    return caught.value


def test_a_code_becomes_an_identity_whose_key_never_left(hub, folder):
    claimed = claim.claim(folder, CODE, hub.url, force=False)
    found = identity.load(folder)
    assert found is not None
    assert (claimed.gateway_id, found.gateway_id) == (GATEWAY, GATEWAY)
    assert (found.mqtt_url, found.hub_url) == ("mqtts://localhost:8883", hub.url)
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    request = x509.load_pem_x509_csr(hub.used[CODE][0].encode())
    assert certificate.public_key() == request.public_key()
    assert isinstance(request.public_key(), ec.EllipticCurvePublicKey)
    assert "PRIVATE" not in hub.used[CODE][0]
    assert sorted(path.name for path in folder.iterdir()) == [
        "ca.pem",
        "certificate.pem",
        "identity.json",
        "key.pem",
    ]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_second_claim_is_refused_unless_forced(hub, folder):
    claim.claim(folder, CODE, hub.url, force=False)
    key = (folder / "key.pem").read_bytes()
    refused = refusal(folder, CODE, hub.url)
    assert (refused.exit_code, refused.problem) == (3, "already_claimed")
    assert hub.asked == 1
    hub.used.clear()  # the owner made a new code
    claim.claim(folder, CODE, hub.url, force=True)
    assert (folder / "key.pem").read_bytes() != key


def test_a_refused_new_claim_leaves_the_old_identity(hub, folder):
    claim.claim(folder, CODE, hub.url, force=False)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert refusal(folder, "wrong", hub.url, force=True).problem == "gateway.claim_refused"
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("answer", "exit_code", "word"),
    [
        (problem(409, "gateway.claim_refused", "used"), 1, "gateway.claim_refused"),
        (problem(429, "limit.exceeded", "wait"), 1, "limit.exceeded"),
        (problem(503, "service.unavailable", "later"), 4, "service.unavailable"),
        ((404, b"<html>nginx"), 4, "no_hub"),
        ((200, b"<html>hotel"), 1, "answer_malformed"),
        ((200, b"{}"), 1, "answer_malformed"),
        (
            (
                200,
                json.dumps(
                    {"gateway_id": "../x", "certificate": "", "ca": "", "mqtt_url": ""}
                ).encode(),
            ),
            1,
            "answer_malformed",
        ),
    ],
)
def test_what_the_hub_refuses_is_named_and_leaves_no_identity(hub, folder, answer, exit_code, word):
    hub.answer = answer
    refused = refusal(folder, CODE, hub.url)
    assert (refused.exit_code, refused.problem) == (exit_code, word)
    assert identity.load(folder) is None
    hub.answer = None
    claim.claim(folder, CODE, hub.url, force=False)


def test_a_broker_without_tls_is_refused(hub, folder):
    hub.mqtt_url = "mqtt://localhost:1883"
    assert refusal(folder, CODE, hub.url).problem == "answer_malformed"


def test_a_certificate_for_another_key_is_refused(hub, authority, folder):
    hub.answer = None
    other = authority.issue(GATEWAY)
    claim.claim(folder.with_name("other"), CODE, hub.url, force=False)
    answer = hub.used[CODE][1] | {"certificate": other.certificate_path.read_text()}
    hub.answer = 200, json.dumps(answer).encode()
    assert refusal(folder, CODE, hub.url).problem == "answer_malformed"
    assert identity.load(folder) is None


@pytest.mark.parametrize("age", [timedelta(days=-1), timedelta(days=91)])
def test_a_wrong_clock_is_found_before_anything_is_changed(hub, folder, age):
    hub.age = age
    refused = refusal(folder, CODE, hub.url)
    assert (refused.exit_code, refused.problem) == (5, "clock_wrong")
    assert identity.load(folder) is None


def test_an_absent_hub_is_unreachable(folder):
    refused = refusal(folder, CODE, f"http://127.0.0.1:{free_port()}")
    assert (refused.exit_code, refused.problem) == (4, "hub_unreachable")


@pytest.mark.parametrize(
    "address",
    [
        "http://hub.example.com",
        "ftp://127.0.0.1",
        "hub",
        "https://",
        "https://user:secret@hub.example.com",
        "https://hub:99999",
        "http://127.0.0.1.example.com",
    ],
)
def test_an_address_over_which_a_code_would_be_seen_is_refused(folder, address):
    refused = refusal(folder, CODE, address)
    assert (refused.exit_code, refused.problem) == (2, "hub_address")
    assert not folder.exists()


def test_a_hub_that_nobody_vouches_for_is_not_told_the_code(hub, authority, folder):
    server = authority.issue("localhost", hosts=("localhost",))
    url = hub.speak_tls(server.certificate_path, server.key_path)
    refused = refusal(folder, CODE, url)
    assert (refused.exit_code, refused.problem) == (5, "hub_not_trusted")
    assert hub.asked == 0


def test_a_hub_whose_certificate_has_ended_points_to_the_clock(hub, authority, folder, monkeypatch):
    server = authority.issue("localhost", hosts=("localhost",), days=-1)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_path))
    url = hub.speak_tls(server.certificate_path, server.key_path)
    refused = refusal(folder, CODE, url)
    assert (refused.exit_code, refused.problem) == (5, "clock_wrong")


def test_a_hub_with_https_is_claimed_from(hub, authority, folder, monkeypatch):
    server = authority.issue("localhost", hosts=("localhost",))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_path))
    url = hub.speak_tls(server.certificate_path, server.key_path)
    assert claim.claim(folder, CODE, url, force=False).hub_url == url


def test_https_spoken_to_a_port_of_http_is_named(hub, folder):
    refused = refusal(folder, CODE, hub.url.replace("http", "https"))
    assert (refused.exit_code, refused.problem) == (5, "tls_failed")


def test_a_folder_that_cannot_be_written_is_named(hub, tmp_path):
    (tmp_path / "file").write_text("")
    refused = refusal(tmp_path / "file" / "identity", CODE, hub.url)
    assert (refused.exit_code, refused.problem) == (2, "folder_unwritable")


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("step", range(25))
def test_a_claim_that_was_killed_at_any_step_is_repeated_with_the_same_code(
    hub, folder, monkeypatch, step
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

    with monkeypatch.context() as patch:
        patch.setattr(durable.os, "fsync", dying(os.fsync))
        patch.setattr(Path, "replace", dying(Path.replace))
        patch.setattr(Path, "rename", dying(Path.rename))
        with pytest.raises(_Killed):
            claim.claim(folder, CODE, hub.url, force=False)
    if identity.load(folder) is None:
        claim.claim(folder, CODE, hub.url, force=False)
    found = identity.load(folder)
    assert found is not None
    assert found.gateway_id == GATEWAY
    identity.present(identity.tls_context(), folder)
    assert len(hub.used) == 1


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        app(["claim", *arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PINGHUB_HOME", str(tmp_path))
    monkeypatch.setenv("PINGHUB_CONFIG", str(tmp_path / "none.toml"))
    return tmp_path


def test_the_command_says_what_was_done_and_what_comes_next(hub, home, capsys):
    app(["claim", CODE, "--hub", hub.url], result_action="return_value")
    shown = capsys.readouterr().out
    assert GATEWAY in shown
    assert "89 days" in shown
    assert "pinghub gateway run" in shown
    assert (home / "gateway-identity" / "key.pem").exists()
    assert run(CODE, "--hub", hub.url) == 3
    assert "--force" in capsys.readouterr().err


def test_the_command_speaks_json(hub, home, capsys):
    assert run("nonsense", "--hub", hub.url, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == "gateway.claim_refused"
    assert "code" in told["remedy"]
    app(["claim", CODE, "--hub", hub.url, "--json"], result_action="return_value")
    assert json.loads(capsys.readouterr().out)["gateway_id"] == GATEWAY
