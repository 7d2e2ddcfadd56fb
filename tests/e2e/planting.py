"""Two hundred secrets into a running system through its own routes, and where they must not be."""

import asyncio
import base64
import os
import secrets
import string
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import redis

from hub.processes.dumping import run_program
from tests.fixtures.patient import async_client
from tests.fixtures.stack import Stack

MARK = "plnt" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(8))
"""Stands in every secret that people choose the letters of."""
PHONE_MARK = "+4915150"
CONTROL = "control" + secrets.token_hex(4)
"""Written in the open, so that a search that finds nothing is known to look."""
CODE_MARK = "PQRS" + "".join(secrets.choice("23456789") for _ in range(4))


@dataclass
class Planted:
    """What was sent as a secret, what was given out as one, and where writing began."""

    wal_start: str
    secrets: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    """Made by the hub: tokens, keys, codes."""
    refusals: list[str] = field(default_factory=list)

    def wanted(self) -> list[bytes]:
        """Return what to look for: each secret as it is, in hex, and in base64 at any offset."""
        words = {MARK, PHONE_MARK, CODE_MARK} | self.given
        forms = {form for word in words for form in forms_of(word)}
        # All others are found by their marks.
        assert all(any(mark in word for mark in words) for word in self.secrets)
        return sorted(forms)


def forms_of(word: str) -> set[bytes]:
    """Return how a word may stand in bytes."""
    raw = word.encode()
    encoded = (base64.b64encode(bytes(skip) + raw) for skip in range(3))
    # What other bytes before and after it would change is left out.
    inner = {text[4 if skip else 0 :][: len(raw) * 4 // 3 - 3] for skip, text in enumerate(encoded)}
    return {raw, raw.hex().encode(), *(form for form in inner if len(form) >= 8)}


async def plant(stack: Stack) -> Planted:
    """Use every route that takes or gives a secret; also as nobody, and wrongly."""
    planted = Planted(await _ask(stack, "SELECT pg_current_wal_lsn()::text"))
    async with async_client(stack.url) as client:
        users = (await client.get("/v1/auth/development/users")).json()["items"]
        for number, user in enumerate(users[:2]):
            tokens = await _sign_in(client, user["id"], planted)
            client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
            await client.patch("/v1/me", json={"bio": CONTROL})
            await _plant_cards(client, planted, number)
            await _plant_addresses(client, planted, number)
            await _plant_keys(client, planted)
            await _plant_codes(client, planted)
            await _exchange(client, tokens["refresh_token"], planted)
    planted.given |= {ring[key] for ring in stack.rings for key in ("tap_key", "id_key", "nfc_uid")}
    planted.secrets |= planted.given
    return planted


def places(stack: Stack, planted: Planted) -> dict[str, bytes]:
    """Return everything that lies about after that: dump, write-ahead log, Redis, logs, metrics."""
    settings = stack.settings
    found = {
        "dump": run_program(
            settings.database.owner_url,
            "pg_dump",
            "--enable-row-security",
            "--exclude-extension=*",
        ).encode(),
        "wal": _read_wal(stack, planted.wal_start),
        "metrics": httpx.get(f"{stack.url}/metrics").content,
        "refusals": "\n".join(planted.refusals).encode(),
    }
    found |= {path.name: path.read_bytes() for path in stack.home.glob("logs/*.log")}
    found |= {str(path): path.read_bytes() for path in stack.home.glob("*/server.log")}
    with redis.Redis.from_url(settings.redis.url) as server:
        found |= {
            f"redis {key!r}": key + (server.dump(key) or b"") for key in server.scan_iter(count=500)
        }
    return found


async def _sign_in(client: httpx.AsyncClient, user_id: str, planted: Planted) -> dict[str, Any]:
    for _ in range(4):
        answer = await client.post("/v1/auth/development/sign-in", json={"user_id": user_id})
        tokens = answer.json()
        planted.given |= {tokens["access_token"], tokens["refresh_token"]}
    return tokens


async def _plant_cards(client: httpx.AsyncClient, planted: Planted, number: int) -> None:
    for turn in range(5):
        name = f"{MARK}-{number}{turn}"
        card = {
            "full_name": f"{name} Full Name",
            "emails": [f"{name}.{n}@secret.example" for n in range(5)],
            "phones": [f"{PHONE_MARK}{number}{turn}{n:04}" for n in range(3)],
            "company": f"{name} Company",
            "note": f"{name} note",
        }
        answer = await client.put("/v1/me/card", json=card)
        assert answer.is_success, answer.text
        assert name in (await client.get("/v1/me/card")).text
        planted.secrets |= {*card["emails"], *card["phones"]}
        planted.secrets |= {text for text in card.values() if isinstance(text, str)}
    broken = {"full_name": f"{MARK}-broken", "emails": [f"{MARK}-no-address"]}
    await _refused(client, planted, "PUT", "/v1/me/card", json=broken)


async def _plant_addresses(client: httpx.AsyncClient, planted: Planted, number: int) -> None:
    consent = "/v1/me/consents/contact_matching"
    version = (await client.get(consent)).json()["current_version"]
    answer = await client.put(consent, json={"granted": True, "text_version": version})
    assert answer.is_success, answer.text
    asked = [f"{MARK}.contact-{number}.{n}@secret.example" for n in range(30)]
    addresses = [{"form": "plain", "kind": "email", "value": text} for text in asked]
    answer = await client.post("/v1/contacts/match", json={"addresses": addresses})
    assert answer.json() == {"matches": [], "unreadable": []}, answer.text
    planted.secrets |= set(asked)
    wrong = [{"form": "sha256", "kind": "email", "value": f"{MARK}@secret.example"}]
    await _refused(client, planted, "POST", "/v1/contacts/match", json={"addresses": wrong})


async def _plant_keys(client: httpx.AsyncClient, planted: Planted) -> None:
    for n in range(4):
        answer = await client.post(
            "/v1/api-keys",
            json={"name": f"key {n}", "scopes": ["account:read"]},
            headers={"Idempotency-Key": secrets.token_hex(8)},
        )
        assert answer.is_success, answer.text
        planted.given.add(answer.json()["key"])
    await _refused(
        client, planted, "GET", "/v1/me", headers={"Authorization": f"Bearer {MARK}-token"}
    )


async def _plant_codes(client: httpx.AsyncClient, planted: Planted) -> None:
    for n in range(2):
        answer = await client.post("/v1/gateways", json={"name": f"gateway {os.urandom(4).hex()}"})
        assert answer.is_success, answer.text
        planted.given.add(answer.json()["claim_code"])
        code = f"{CODE_MARK}{n}{secrets.token_hex(2)}".upper()
        planted.secrets.add(code)
        claim = {"claim_code": code, "label": "ring"}
        await _refused(client, planted, "POST", "/v1/ring-claims", json=claim)


async def _exchange(client: httpx.AsyncClient, refresh_token: str, planted: Planted) -> None:
    for _ in range(2):
        answer = await client.post("/v1/auth/refresh", json={"refresh_token": refresh_token})
        refresh_token = answer.json()["refresh_token"]
        planted.given |= {refresh_token, answer.json()["access_token"]}
    wrong = {"refresh_token": f"{MARK}-refresh-token"}
    await _refused(client, planted, "POST", "/v1/auth/refresh", json=wrong)


async def _refused(
    client: httpx.AsyncClient, planted: Planted, method: str, path: str, **options: Any
) -> None:
    answer = await client.request(method, path, **options)
    assert 400 <= answer.status_code < 500
    planted.refusals.append(answer.text)


def _read_wal(stack: Stack, since: str) -> bytes:
    """Return the write-ahead log from a position on, as it lies on the disk."""
    end, size, first, folder = (
        asyncio.run(_ask(stack, sql))
        for sql in (
            "SELECT pg_current_wal_flush_lsn()::text",
            "SELECT pg_size_bytes(current_setting('wal_segment_size'))::text",
            f"SELECT pg_walfile_name('{since}')",
            "SELECT current_setting('data_directory')",
        )
    )
    # Those after the last one are old ones that wait for their turn.
    paths = sorted(path for path in Path(folder, "pg_wal").glob("0*") if path.name >= first)
    content = b"".join(path.read_bytes() for path in paths if len(path.name) == len(first))
    begin = _position(since) % int(size)
    return content[begin : begin + _position(end) - _position(since)]


def _position(lsn: str) -> int:
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


async def _ask(stack: Stack, sql: str) -> str:
    connection = await asyncpg.connect(stack.settings.database.superuser_url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()
