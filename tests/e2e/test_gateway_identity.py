"""A device claims a gateway over REST, comes in by its certificate, and is cast out."""

import ssl
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hub.processes.system import System
from hub.processes.watch import demo_users, sign_in
from tests.e2e.phone import call
from tests.fixtures.mqtt_peer import CLOSED, RefusedError, connected
from tests.fixtures.waiting import wait_until


class Device:
    """A machine that wants to be a gateway: its key, then its certificate."""

    def __init__(self, folder: Path, url: str, claim_code: str) -> None:
        folder.mkdir()
        key = ec.generate_private_key(ec.SECP256R1())
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([]))
            .sign(key, hashes.SHA256())
        )
        csr = request.public_bytes(Encoding.PEM).decode()
        claimed = call(url, "/v1/gateways/claim", {"claim_code": claim_code, "csr": csr})
        self.port = urlsplit(claimed["mqtt_url"]).port or 0
        (folder / "ca.pem").write_text(claimed["ca"])
        (folder / "certificate.pem").write_text(claimed["certificate"])
        (folder / "key.pem").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        self.context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        self.context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")

    def connected(self):
        return connected(self.port, self.context)

    def may_write(self, topic: str) -> bool:
        try:
            with self.connected() as peer:
                return peer.publish(topic) not in ("Not authorized", CLOSED)
        except RefusedError:
            return False

    def is_let_in(self) -> bool:
        try:
            with self.connected():
                return True
        except RefusedError:
            return False


def revoke(url: str, gateway_id: str, token: str) -> None:
    call(url, f"/v1/gateways/{gateway_id}", None, token, method="DELETE")


@pytest.fixture
def owner(system: System) -> str:
    return sign_in(system.url, demo_users(system.url)[0].id)


def test_a_claimed_gateway_comes_in_without_a_restart_and_a_revoked_one_goes_and_stays_out(
    system: System, owner: str, tmp_path: Path
):
    waits: list[float] = []
    for number in range(3):
        made: dict[str, Any] = call(
            system.url, "/v1/gateways", {"name": f"door {number}"}, owner, key=str(uuid4())
        )
        gateway_id, topic = made["id"], f"ping/v1/gw/{made['id']}/state"
        device = Device(tmp_path / gateway_id, system.url, made["claim_code"])
        wait_until(lambda d=device, t=topic: d.may_write(t), "the broker to admit the gateway")
        with device.connected() as peer:
            assert peer.publish(f"ping/v1/gw/{uuid4()}/other") == "Not authorized"
            revoke(system.url, gateway_id, owner)
            committed_at = time.monotonic()
            assert peer.wait_lost(10)
            waits.append(time.monotonic() - committed_at)
        assert not device.may_write(topic)

        def is_kept_out(device: Device = device) -> bool:
            # The supervisor looks whether the list of revoked certificates has changed.
            system.supervisor.tick()
            return not device.is_let_in()

        wait_until(is_kept_out, "the broker to read the list of revoked certificates")
    # Of three, as this machine may be busy with other tests in any one of them.
    print(f"connections ended {', '.join(f'{wait:.2f}' for wait in waits)} s after the answer")
    assert min(waits) < 1, waits
