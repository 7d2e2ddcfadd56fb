"""A hub that claims gateways and renews their certificates, without a database."""

import json
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway import claim
from tests.fixtures.authority import Authority

GATEWAY = "019abcde-0000-7000-8000-00000000000a"
CODE = "ABCD-EFGH-JKMN-PQRS"
DAY = timedelta(days=1)


def certify(
    authority: Authority,
    csr: bytes,
    name: str = GATEWAY,
    *,
    age: timedelta = timedelta(minutes=5),
    life: timedelta = 90 * DAY,
) -> str:
    """Return a certificate for a request, as a hub issues it: the subject is the hub's choice."""
    request = x509.load_der_x509_csr(csr)
    assert request.is_signature_valid
    public_key = request.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    issuer = x509.load_pem_x509_certificate(authority.ca_pem.encode())
    began = datetime.now(UTC) - age
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer.subject)
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(authority._key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )


class ClaimDouble:
    """POST /v1/gateways/claim: a code is good for one request, and for that again and again."""

    def __init__(self, authority: Authority, mqtt_url: str = "mqtts://localhost:8883") -> None:
        self.authority = authority
        self.mqtt_url = mqtt_url
        self.used: dict[str, tuple[str, dict[str, Any]]] = {}
        self.asked = 0
        self.answer: tuple[int, bytes] | None = None
        """Given instead of a certificate."""
        self.age = timedelta(minutes=5)
        self.life = 90 * DAY
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # its name in the base
                length = int(self.headers["Content-Length"])
                status, body = double._answered(self.path, self.rfile.read(length))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def speak_tls(self, certificate: Path, key: Path) -> str:
        """Serve HTTPS from now on; return the address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        return f"https://localhost:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answered(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.asked += 1
        if self.answer is not None:
            return self.answer
        assert path == "/v1/gateways/claim"
        asked = json.loads(body)
        code, csr = asked["claim_code"], asked["csr"]
        if code not in self.used and code == CODE:
            der = x509.load_pem_x509_csr(csr.encode()).public_bytes(Encoding.DER)
            certificate = certify(self.authority, der, age=self.age, life=self.life)
            self.used[code] = (
                csr,
                {
                    "gateway_id": GATEWAY,
                    "certificate": certificate,
                    "ca": self.authority.ca_pem,
                    "mqtt_url": self.mqtt_url,
                    "not_after": "2027-01-01T00:00:00Z",
                },
            )
        known = self.used.get(code)
        if known is None or known[0] != csr:
            return problem(409, "gateway.claim_refused", "The code is wrong or already used.")
        return 200, json.dumps(known[1]).encode()


def problem(status: int, code: str, detail: str) -> tuple[int, bytes]:
    """Return an answer as the hub words its refusals (RFC 9457)."""
    return status, json.dumps({"code": code, "detail": detail, "status": status}).encode()


def claimed(folder: Path, authority: Authority, mqtt_url: str, **options: Any) -> Path:
    """Claim with a double and return the identity's folder."""
    hub = ClaimDouble(authority, mqtt_url)
    for name, value in options.items():
        setattr(hub, name, value)
    try:
        claim.claim(folder, CODE, hub.url, force=True)
    finally:
        hub.close()
    return folder
