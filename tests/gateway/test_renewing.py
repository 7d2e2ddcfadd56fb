"""A gateway with a certificate at the real mosquitto: taps, refusals by name, renewal, crashes."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from core.edge import CertificateReply, CertificateRequest
from gateway import identity, renewal, renewing, signing_request
from gateway.daemon import Gateway
from tests.fixtures.authority import Authority
from tests.fixtures.rings import eventually, ring_id
from tests.fixtures.tls_mqtt import TlsMosquitto
from tests.gateway.claim_double import GATEWAY, certify, claimed
from tests.gateway.hub_double import HubDouble
from tests.gateway.processes import running_gateway, tap_by

DUE = timedelta(days=70)
Claim = Callable[..., Path]


@pytest.fixture
def broker(tls_mosquitto: TlsMosquitto) -> TlsMosquitto:
    tls_mosquitto.admit(GATEWAY)
    return tls_mosquitto


@pytest.fixture
def hub(broker: TlsMosquitto) -> Iterator[HubDouble]:
    double = HubDouble(broker.hub_url, tls=broker.authority.context())
    yield double
    double.close()


@pytest.fixture
def claim(broker: TlsMosquitto, tmp_path: Path) -> Claim:
    def make(authority: Authority | None = None, **options: Any) -> Path:
        chosen = authority or broker.authority
        return claimed(tmp_path / "identity", chosen, broker.gateway_url, **options)

    return make


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(renewing, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(renewal, "ASK_BASE_SECONDS", 0.2)
    monkeypatch.setattr(renewal, "TRIAL_SECONDS", 0.1)


def signs(broker: TlsMosquitto) -> Callable[[CertificateRequest], CertificateReply]:
    def reply(request: CertificateRequest) -> CertificateReply:
        certificate = certify(broker.authority, request.csr).encode()
        ca = broker.authority.ca_pem.encode()
        return CertificateReply(id=request.id, certificate=certificate, ca=ca)

    return reply


def running(folder: Path, tmp_path: Path):
    return running_gateway("", tmp_path, id="", identity_path=str(folder))


async def carries(gateway: Gateway, hub: HubDouble, seq: int) -> None:
    """Show that a tap goes all the way."""
    assert await tap_by(gateway, seq)
    await eventually(lambda: (ring_id(1), 1, seq) in hub.rows, "the tap", 10)


async def renewed(folder: Path, before: bytes) -> None:
    await eventually(
        lambda: (
            (folder / "certificate.pem").exists()
            and (folder / "certificate.pem").read_bytes() != before
            and not (folder / "renewing").exists()
            and not (folder / "accepted").exists()
        ),
        "the new certificate",
        10,
    )


@pytest.mark.req("RNG-03")
async def test_a_claimed_gateway_carries_taps_over_tls_under_its_own_id(claim, hub, tmp_path):
    async with running(claim(), tmp_path) as gateway:
        await carries(gateway, hub, 1)
        assert hub.gateways == {GATEWAY}
        health = await gateway.health()
    assert health.identity == "certificate"
    assert health.certificate_expires_ms is not None
    assert (health.certificate_problem, health.renewal) == ("", "fresh")


async def test_a_certificate_is_renewed_with_a_new_key_and_taps_go_on(claim, broker, hub, tmp_path):
    folder = claim(age=DUE)
    certificate, key = (folder / "certificate.pem").read_bytes(), (folder / "key.pem").read_bytes()
    hub.certify = signs(broker)
    async with running(folder, tmp_path) as gateway:
        await carries(gateway, hub, 1)
        await renewed(folder, certificate)
        await carries(gateway, hub, 2)
        await eventually(lambda: gateway.uplink.is_up, "the link")
        expires_ms = (await gateway.health()).certificate_expires_ms
    assert (folder / "key.pem").read_bytes() != key
    assert expires_ms == identity.validity(folder / "certificate.pem").not_after_ms
    assert len(hub.requests) == 1
    assert b"PRIVATE" not in hub.requests[0].csr


async def test_an_answer_that_was_lost_is_asked_for_with_the_same_request(
    claim, broker, hub, tmp_path
):
    folder = claim(age=DUE)
    before = (folder / "certificate.pem").read_bytes()
    sign = signs(broker)
    hub.certify = lambda request: sign(request) if len(hub.requests) > 2 else None
    async with running(folder, tmp_path):
        await renewed(folder, before)
    assert len({request.csr for request in hub.requests}) == 1


async def test_a_gateway_that_ended_while_it_asked_goes_on_with_the_same_request(
    claim, broker, hub, tmp_path
):
    folder = claim(age=DUE)
    before = (folder / "certificate.pem").read_bytes()
    async with running(folder, tmp_path):
        await eventually(lambda: hub.requests, "the request", 10)
    hub.certify = signs(broker)
    async with running(folder, tmp_path) as gateway:
        await renewed(folder, before)
        await carries(gateway, hub, 1)
    assert len({request.csr for request in hub.requests}) == 1


@pytest.mark.parametrize("code", ["revoked", "malformed", "not_due", "unavailable"])
async def test_a_refused_renewal_leaves_the_gateway_working(claim, hub, tmp_path, code):
    folder = claim(age=DUE)
    before = (folder / "certificate.pem").read_bytes()
    hub.certify = lambda request: CertificateReply(id=request.id, code=code)
    async with running(folder, tmp_path) as gateway:
        await eventually(lambda: hub.requests, "the request", 10)
        await carries(gateway, hub, 1)
        if code != "not_due":
            await eventually(lambda: gateway._renewing.problem == code, "the word")
    assert (folder / "certificate.pem").read_bytes() == before


async def test_certificates_that_the_broker_refuses_are_given_up_for_the_old_one(
    claim, hub, tmp_path
):
    folder = claim(age=DUE)
    before = (folder / "certificate.pem").read_bytes()
    stranger = Authority(tmp_path / "stranger")

    def reply(request: CertificateRequest) -> CertificateReply:
        certificate = certify(stranger, request.csr).encode()
        ca = (folder / "ca.pem").read_bytes()
        return CertificateReply(id=request.id, certificate=certificate, ca=ca)

    hub.certify = reply
    async with running(folder, tmp_path) as gateway:
        await eventually(lambda: gateway._renewing.problem == "successor_refused", "the word", 20)
        await carries(gateway, hub, 1)
    assert (folder / "certificate.pem").read_bytes() == before
    assert not (folder / "renewing").exists()


@pytest.mark.parametrize("garbage", [b"", b"-----BEGIN CERTIFICATE-----", b"\xff" * 100])
async def test_an_answer_that_is_no_certificate_of_ours_is_refused(
    claim, hub, broker, tmp_path, garbage
):
    folder = claim(age=DUE)
    ca = broker.authority.ca_pem.encode()
    hub.certify = lambda request: CertificateReply(id=request.id, certificate=garbage, ca=ca)
    async with running(folder, tmp_path) as gateway:
        await eventually(lambda: gateway._renewing.problem == "answer_malformed", "the word", 10)
        await carries(gateway, hub, 1)


async def test_an_answer_to_another_request_is_ignored(claim, hub, broker, tmp_path):
    folder = claim(age=DUE)
    sign = signs(broker)

    def reply(request: CertificateRequest) -> CertificateReply:
        good = sign(request)
        return CertificateReply(id=b"other", certificate=good.certificate, ca=good.ca)

    hub.certify = reply
    async with running(folder, tmp_path) as gateway:
        await eventually(lambda: len(hub.requests) > 1, "the repetition", 10)
        await carries(gateway, hub, 1)
    assert identity.held(folder, "renewing") == "request"


async def problem_of(gateway: Gateway, word: str) -> None:
    await eventually(lambda: gateway.uplink.problem == word, f"the word {word}", 10)
    assert await tap_by(gateway, 1)
    assert (await gateway.spool.stats()).pending == 1
    assert (await gateway.health()).certificate_problem == word


@pytest.mark.parametrize(("age_days", "word"), [(91, "certificate_expired"), (-1, "clock_wrong")])
async def test_a_certificate_that_does_not_hold_now_is_named_and_taps_are_kept(
    claim, broker, tmp_path, age_days, word
):
    folder = claim()
    csr = signing_request.request_of((folder / "key.pem").read_bytes(), GATEWAY)
    certificate = certify(broker.authority, csr, age=timedelta(days=age_days))
    (folder / "certificate.pem").write_text(certificate)
    async with running(folder, tmp_path) as gateway:
        await problem_of(gateway, word)


async def test_a_gateway_of_another_hub_is_refused_by_name(claim, broker, tmp_path):
    stranger = Authority(tmp_path / "stranger")
    folder = claim(stranger)
    (folder / "ca.pem").write_text(broker.authority.ca_pem)
    async with running(folder, tmp_path) as gateway:
        await problem_of(gateway, "certificate_refused")


async def test_a_broker_of_another_ca_is_not_trusted(claim, tmp_path):
    async with running(claim(Authority(tmp_path / "stranger")), tmp_path) as gateway:
        await problem_of(gateway, "hub_not_trusted")


async def test_a_broker_under_another_name_is_not_trusted(claim, broker, tmp_path):
    folder = claim()
    names = json.loads((folder / "identity.json").read_text())
    names["mqtt_url"] = broker.gateway_url.replace("localhost", "127.0.0.2")
    (folder / "identity.json").write_text(json.dumps(names))
    async with running(folder, tmp_path) as gateway:
        await eventually(lambda: gateway.uplink.problem, "a word", 10)
        assert gateway.uplink.problem in ("hub_name_mismatch", "unreachable")


async def test_an_expelled_gateway_is_told_so_and_comes_back_when_it_is_admitted(
    claim, broker, hub, tmp_path
):
    async with running(claim(), tmp_path) as gateway:
        await carries(gateway, hub, 2)
        await asyncio.to_thread(broker.expel, GATEWAY)
        await problem_of(gateway, "certificate_refused")
        await asyncio.to_thread(broker.admit, GATEWAY)
        await eventually(lambda: (ring_id(1), 1, 1) in hub.rows, "the kept tap", 20)


async def test_a_revoked_certificate_is_refused_by_name(claim, broker, tmp_path):
    folder = claim()
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    broker.authority._revoked.append(certificate.serial_number)
    broker.authority.write_revocations()
    await asyncio.to_thread(broker.restart)
    async with running(folder, tmp_path) as gateway:
        await problem_of(gateway, "certificate_refused")
