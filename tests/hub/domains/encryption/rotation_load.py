"""People who use two hubs at once while keys change: each read and write must come out right."""

import asyncio
import json
import os
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from joserfc import jwt
from joserfc.jwk import OctKey

from core import clock, config
from core.actor import SYSTEM
from core.crypto import FieldCipher
from core.db import Pool, begin
from core.ids import new_id
from hub.domains.accounts import service as accounts
from hub.domains.rings import service as rings
from tests.fixtures.app import pem_key, user_actor
from tests.fixtures.tags import link

ISSUER = "http://127.0.0.1:9/auth/v1"
SECRET = "a shared secret of a project, thirty-two bytes and more"
PROVIDER_SETTINGS = {
    "kind": "supabase",
    "issuer": ISSUER,
    "jwt_secret": SECRET,
    "trusts_email": True,
}
PROVIDER = msgspec.convert(PROVIDER_SETTINGS, config.LoginProvider)


def for_serving(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """Add what a hub needs that knows these people."""
    keys = folder / "signing-keys.pem"
    keys.write_text(pem_key())
    return {
        **environment,
        "PINGHUB_AUTH__SIGNING_KEYS": str(keys),
        "PINGHUB_AUTH__PROVIDERS": json.dumps({"supabase": PROVIDER_SETTINGS}),
    }


def token(subject: str, email: str) -> str:
    """Return an access token of somebody who is signed in elsewhere."""
    now = clock.unix_seconds()
    claims = {
        "iss": ISSUER,
        "aud": "authenticated",
        "role": "authenticated",
        "sub": subject,
        "session_id": str(new_id()),
        "iat": now,
        "exp": now + 3600,
        "email": email,
        "user_metadata": {"full_name": "Ada", "email_verified": True},
    }
    key = OctKey.import_key(SECRET)
    return jwt.encode({"alg": "HS256", "kid": "legacy"}, claims, key, algorithms=["HS256"])


@dataclass
class Load:
    """Requests to several hubs, and what came of them."""

    hubs: Sequence[httpx.AsyncClient]
    pace_seconds: float
    done: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    _turn: int = 0

    async def person(self, number: int) -> None:
        """Read what is sealed, write it, sign up, be found and refused by one's address."""
        email = f"person-{number}@example.com"
        me = {"Authorization": f"Bearer {token(f'person {number}', email)}"}
        await self._expect(self._hub(), "GET", "/v1/me", me)
        consent = {"granted": True, "text_version": 1}
        path = "/v1/me/consents/contact_matching"
        await self._expect(self._hub(), "PUT", path, me, json=consent)
        turn = 0
        while not self.is_over.is_set():
            turn += 1
            one, other = self._hub(), self._hub()
            answer = await self._expect(one, "GET", "/v1/me", me)
            self._check("read", answer.get("email") == email, answer)
            card = {"full_name": f"{number} {turn}", "phones": [f"+49151{turn:08}"]}
            await self._expect(one, "PUT", "/v1/me/card", me, json=card)
            answer = await self._expect(other, "GET", "/v1/me/card", me)
            self._check("write", answer.get("full_name") == card["full_name"], answer)
            if turn % 3 == 0:
                await self._sign_up(one, other)
            if turn % 3 == 1:
                thief = {"Authorization": f"Bearer {token(secrets.token_hex(8), email)}"}
                answer = await self._expect(other, "GET", "/v1/me", thief, status=401)
                self._check("refused by address", "detail" in answer, answer)
            if turn % 10 == 2:
                friend = f"Person-{number ^ 1}@Example.com"
                asked = [{"form": "plain", "kind": "email", "value": friend}]
                answer = await self._expect(
                    one, "POST", "/v1/contacts/match", me, json={"addresses": asked}
                )
                self._check("matched", len(answer.get("matches", [])) == 1, answer)
            await asyncio.sleep(self.pace_seconds)

    async def tag(self, uid: bytes) -> None:
        """Hold a ring up to a phone again and again."""
        counter = 0
        while not self.is_over.is_set():
            counter += 1
            query = urlsplit(link(counter, uid)).query
            accepting = {"Accept": "application/json"}
            await self._expect(self._hub(), "GET", f"/t?{query}", accepting)
            self.done["tapped"] += 1
            await asyncio.sleep(self.pace_seconds * 2)

    def _hub(self) -> httpx.AsyncClient:
        self._turn += 1
        return self.hubs[self._turn % len(self.hubs)]

    async def _sign_up(self, one: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
        """Two hubs see a new person at once: it is one person, and each knows them afterwards."""
        subject = secrets.token_hex(8)
        new = {"Authorization": f"Bearer {token(subject, f'{subject}@example.com')}"}
        answers = await asyncio.gather(
            *(self._expect(hub, "GET", "/v1/me", new) for hub in (one, other))
        )
        self._check("signed up", len({answer.get("id") for answer in answers}) == 1, answers)

    async def _expect(
        self,
        hub: httpx.AsyncClient,
        method: str,
        path: str,
        headers: dict[str, str],
        *,
        status: int = 200,
        **more: Any,
    ) -> dict[str, Any]:
        answer = await hub.request(method, path, headers=headers, **more)
        self.done["requests"] += 1
        if answer.status_code != status:
            self.failures.append(f"{method} {path.partition('?')[0]}: {answer.text}")
            return {}
        return answer.json()

    def _check(self, what: str, is_right: bool, answer: object) -> None:
        self.done[what] += 1
        if not is_right:
            self.failures.append(f"{what}: {answer}")


async def make_tag(pool: Pool, cipher: FieldCipher, index_key: bytes) -> bytes:
    """Make a ring of somebody's; return the UID of its tag."""
    uid = b"\x04" + os.urandom(6)
    async with begin(pool, SYSTEM) as tx:
        owner = await accounts.add_user(
            tx,
            full_name="Owner",
            email="owner@example.com",
            timezone="UTC",
            cipher=cipher,
            index_key=index_key,
        )
        made = await rings.add_ring(
            tx,
            device_id=os.urandom(8),
            nfc_uid=uid,
            claim_code=os.urandom(6).hex(),
            cipher=cipher,
            index_key=index_key,
        )
    async with begin(pool, user_actor(owner)) as tx:
        await rings.give_ring(tx, made.id, owner, "A ring")
    return uid


async def use(load: Load, people: int, uids: Sequence[bytes], work: Any) -> None:
    """Let people and rings use the hubs while `work` is done; raises what any of them raises."""

    async def then_end() -> None:
        try:
            await work
        finally:
            load.is_over.set()

    async with asyncio.TaskGroup() as group:
        for number in range(people):
            group.create_task(load.person(number))
        for uid in uids:
            group.create_task(load.tag(uid))
        group.create_task(then_end())
