"""Vault's transit engine as its API documentation has it, over HTTP: encrypt, decrypt, rotate.

Faithful in what we use: ciphertexts `vault:v<version>:<base64>`, `associated_data` of AEAD keys,
400 for a ciphertext that does not open, 403 for a wrong token, 404 for an unknown path, 503 sealed.
"""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.a-token-of-the-test"


class TransitDouble:
    """One server with one transit key, `pinghub`."""

    def __init__(self) -> None:
        self.versions = [AESGCM(os.urandom(32))]
        self.is_sealed = False
        self.calls: list[str] = []
        self.url = ""

    def rotate(self) -> None:
        """Do what `vault write -f transit/keys/pinghub/rotate` does."""
        self.versions.append(AESGCM(os.urandom(32)))

    def answer(self, path: str, token: str, body: dict[str, str]) -> tuple[int, dict[str, object]]:
        """Return status and body of one request."""
        self.calls.append(path)
        if self.is_sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if token != TOKEN:
            return 403, {"errors": ["permission denied"]}
        bound = base64.b64decode(body["associated_data"])
        if path == "/v1/transit/encrypt/pinghub":
            nonce, version = os.urandom(12), len(self.versions)
            sealed = self.versions[-1].encrypt(nonce, base64.b64decode(body["plaintext"]), bound)
            text = f"vault:v{version}:{base64.b64encode(nonce + sealed).decode()}"
            return 200, {"data": {"ciphertext": text, "key_version": version}}
        if path == "/v1/transit/decrypt/pinghub":
            try:
                _, version, content = body["ciphertext"].split(":")
                raw = base64.b64decode(content)
                opened = self.versions[int(version[1:]) - 1].decrypt(raw[:12], raw[12:], bound)
            except (ValueError, IndexError, InvalidTag):
                return 400, {"errors": ["cipher: message authentication failed"]}
            return 200, {"data": {"plaintext": base64.b64encode(opened).decode()}}
        return 404, {"errors": []}


@asynccontextmanager
async def serving(double: TransitDouble) -> AsyncIterator[TransitDouble]:
    """Serve it on a free port of loopback."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        token = next((line[15:] for line in head if line.lower().startswith("x-vault-token")), "")
        body = json.loads(await reader.readexactly(int(fields["content-length"])))
        status, answer = double.answer(head[0].split()[1], token.strip(), body)
        content = json.dumps(answer).encode()
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (status, len(content), content)
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    double.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield double
    finally:
        server.close()
        await server.wait_closed()
