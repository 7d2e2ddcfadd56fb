"""API keys at the door: whose a key is, and what it may do.

What a look-up finds is believed for half a second by this process, so a revoked key is refused
everywhere within a second without anybody being told. Only hashes are compared.
"""

import asyncio
import hmac
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct
from prometheus_client import Counter

from core import api_key, clock, log
from core.actor import ANONYMOUS, SYSTEM
from core.db import Pool, begin
from core.errors import DomainError
from hub.http import queries

BELIEVED_SECONDS: Final = 0.5
_BELIEVED_MAX: Final = 4096
_NOTING_MAX: Final = 64

Refusal = Literal["malformed", "unknown", "expired", "ambiguous", "in_url", "scope", "closed"]
_REFUSED = Counter("pinghub_refused_api_key", "Requests with an API key refused.", ["reason"])
_logger = log.get("http.api_keys")


class KnownKey(Struct, frozen=True, kw_only=True):
    """A key that opens something: whose it is and for what."""

    id: UUID
    user_id: UUID
    prefix: str
    scopes: frozenset[str]


class _Believed(Struct, frozen=True):
    key: KnownKey
    secret_hash: bytes
    expires_at: datetime | None
    asked_at_seconds: float


class ApiKeys:
    """Looks keys up, remembers them for a moment, and notes that they are used."""

    def __init__(self, api: Pool, system: Pool) -> None:
        self._api = api
        self._system = system
        self._believed: dict[str, _Believed] = {}
        self._noting: set[asyncio.Task[None]] = set()

    async def find(self, text: str) -> KnownKey:
        """Return the key of a text, or raise auth.key_malformed, _invalid or _expired."""
        try:
            presented = api_key.read(text)
        except api_key.KeyFormatError:
            raise refused("malformed", "auth.key_malformed") from None
        found = self._believed.get(presented.prefix)
        if found is None or not self._is_fresh(found):
            found = await self._look_up(presented)
        # A prefix belongs to one key: another secret is nobody's.
        elif not hmac.compare_digest(found.secret_hash, presented.secret_hash):
            raise refused("unknown", "auth.key_invalid")
        if found.expires_at is not None and found.expires_at <= clock.now():
            raise refused("expired", "auth.key_expired")
        return found.key

    async def close(self) -> None:
        """Let the notes that are being written end."""
        await asyncio.gather(*self._noting, return_exceptions=True)

    async def _look_up(self, presented: api_key.Presented) -> _Believed:
        # Counted from before the question: what was revoked meanwhile is not believed for longer.
        asked_at_seconds = clock.monotonic_seconds()
        async with begin(self._api, ANONYMOUS, read_only=True) as tx:
            row = await queries.find_api_key.first(tx, presented.secret_hash)
        if row is None:
            raise refused("unknown", "auth.key_invalid")
        known = KnownKey(
            id=row.id, user_id=row.user_id, prefix=row.prefix, scopes=frozenset(row.scopes)
        )
        found = _Believed(known, presented.secret_hash, row.expires_at, asked_at_seconds)
        self._believed.pop(row.prefix, None)
        while len(self._believed) >= _BELIEVED_MAX:
            del self._believed[next(iter(self._believed))]
        self._believed[row.prefix] = found
        if row.is_use_unnoted and len(self._noting) < _NOTING_MAX:
            # Beside the request, which need not wait; left out, the next look-up does it.
            task = asyncio.create_task(self._note_use(row.id))
            self._noting.add(task)
            task.add_done_callback(self._noting.discard)
        return found

    async def _note_use(self, key_id: UUID) -> None:
        try:
            async with begin(self._system, SYSTEM) as tx:
                await queries.note_api_key_use.run(tx, key_id)
        except Exception as error:  # noqa: BLE001  # whatever it is, the next look-up tries again
            _logger.warning("api_key_use_unnoted", error_type=type(error).__name__)

    @staticmethod
    def _is_fresh(found: _Believed) -> bool:
        return clock.monotonic_seconds() - found.asked_at_seconds < BELIEVED_SECONDS


def refused(reason: Refusal, code: str, detail: str = "") -> DomainError:
    """Return a refusal of a request with a key, counted."""
    _REFUSED.labels(reason).inc()
    return DomainError(code, detail)
