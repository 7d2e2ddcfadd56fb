"""API keys at the door: whose a key is, and what it may do.

What a look-up finds is believed for half a second by this process, so a revoked key is refused
everywhere within a second without anybody being told. Only hashes are compared.

A key that this process has not seen may be a guess: PostgreSQL is asked for it only while its
address may still guess. One that it knows is looked up whatever others behind that address do.
"""

import asyncio
import hmac
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
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
from hub.http.limits import Limiter

BELIEVED_SECONDS: Final = 0.5
_BELIEVED_MAX: Final = 4096
_NOTING_MAX: Final = 64
GUESSES: Final = "refused_key"
"""The policy that counts refused keys by address."""

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


class _Guessing:
    """What one address asks PostgreSQL for at present."""

    def __init__(self) -> None:
        self.visitors = 0
        self.under_way = 0
        self.ended = 0


class _LookUp(Struct, frozen=True):
    task: "asyncio.Task[_Believed | None]"
    asked_at_seconds: float


class ApiKeys:
    """Looks keys up, remembers them for a moment, and notes that they are used."""

    def __init__(self, api: Pool, system: Pool, limiter: Limiter) -> None:
        self._api = api
        self._system = system
        self._limiter = limiter
        self._believed: dict[str, _Believed] = {}
        self._look_ups: dict[tuple[bytes, str], _LookUp] = {}
        self._guessing: dict[str, _Guessing] = {}
        self._noting: set[asyncio.Task[None]] = set()

    async def find(self, text: str, address: str, count: Callable[[], Awaitable[None]]) -> KnownKey:
        """Return the key of a text, or raise auth.key_malformed, _invalid or _expired.

        `address`: whom its limit counts; `count` counts a refusal there, and may raise itself. An
        address that has used that up gets limit.exceeded for a key that this process does not know.
        """
        try:
            presented = api_key.read(text)
        except api_key.KeyFormatError:
            refusal = refused("malformed", "auth.key_malformed")
            await count()
            raise refusal from None
        known = self._believed.get(presented.prefix)
        is_known = known is not None and hmac.compare_digest(
            known.secret_hash, presented.secret_hash
        )
        if known is not None and self._is_fresh(known.asked_at_seconds):
            # A prefix belongs to one key: another secret is nobody's.
            found, is_counted = (known if is_known else None), False
        else:
            found, is_counted = await self._look_up(
                presented, address, count, is_guess=not is_known
            )
        if found is None:
            refusal = refused("unknown", "auth.key_invalid")
        elif found.expires_at is not None and found.expires_at <= clock.now():
            refusal = refused("expired", "auth.key_expired")
        else:
            return found.key
        if not is_counted:
            await count()
        raise refusal

    async def close(self) -> None:
        """Let the notes that are being written end."""
        look_ups = [item.task for item in self._look_ups.values()]
        await asyncio.gather(*self._noting, *look_ups, return_exceptions=True)

    async def _look_up(
        self,
        presented: api_key.Presented,
        address: str,
        count: Callable[[], Awaitable[None]],
        *,
        is_guess: bool,
    ) -> tuple[_Believed | None, bool]:
        """Return what is found, and whether that there is nothing was counted.

        Many requests with one key are one question, as long as its answer would be believed.
        """
        place = presented.secret_hash, address
        look_up = self._look_ups.get(place)
        if look_up is not None and self._is_fresh(look_up.asked_at_seconds):
            return await asyncio.shield(look_up.task), False
        asking = self._guess(presented, address, count) if is_guess else self._ask(presented)
        task = asyncio.create_task(asking)
        self._look_ups[place] = look_up = _LookUp(task, clock.monotonic_seconds())

        def end(task: asyncio.Task[_Believed | None]) -> None:
            if self._look_ups.get(place) is look_up:
                del self._look_ups[place]
            if not task.cancelled():
                task.exception()  # whoever waited may have gone

        task.add_done_callback(end)
        found = await asyncio.shield(task)
        return found, is_guess and found is None

    async def _guess(
        self, presented: api_key.Presented, address: str, count: Callable[[], Awaitable[None]]
    ) -> _Believed | None:
        async with self._guessed(address, count):
            found = await self._ask(presented)
            if found is None:
                await count()
        return found

    @asynccontextmanager
    async def _guessed(
        self, address: str, count: Callable[[], Awaitable[None]]
    ) -> AsyncGenerator[None]:
        """Let a question pass as one that the address may still be refused for, or raise.

        It stands for a refusal until that is counted, so that many at once are not too many.
        """
        guessing = self._guessing.setdefault(address, _Guessing())
        guessing.visitors += 1
        ended = guessing.ended
        try:
            allowance = await self._limiter.take(GUESSES, address, cost=0)
            left = (
                self._limiter.policies[GUESSES].quota if allowance is None else allowance.remaining
            )
            # Whatever ended since the limiter looked may not have been in what it saw.
            if guessing.under_way + guessing.ended - ended >= left:
                if not left:
                    await count()
                raise DomainError("limit.exceeded", retry_after_seconds=1)
            guessing.under_way += 1
            try:
                yield
            finally:
                guessing.under_way -= 1
                guessing.ended += 1
        finally:
            guessing.visitors -= 1
            if not guessing.visitors:
                del self._guessing[address]

    async def _ask(self, presented: api_key.Presented) -> _Believed | None:
        # Counted from before the question: what was revoked meanwhile is not believed for longer.
        asked_at_seconds = clock.monotonic_seconds()
        async with begin(self._api, ANONYMOUS, read_only=True) as tx:
            row = await queries.find_api_key.first(tx, presented.secret_hash)
        if row is None:
            known = self._believed.get(presented.prefix)
            if known is not None and known.secret_hash == presented.secret_hash:
                # Revoked: from now on it is a guess as any other.
                del self._believed[presented.prefix]
            return None
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
    def _is_fresh(asked_at_seconds: float) -> bool:
        return clock.monotonic_seconds() - asked_at_seconds < BELIEVED_SECONDS


def refused(reason: Refusal, code: str, detail: str = "") -> DomainError:
    """Return a refusal of a request with a key, counted."""
    _REFUSED.labels(reason).inc()
    return DomainError(code, detail)
