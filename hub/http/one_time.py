"""What lives for seconds: values sealed for a browser to carry, codes that are taken once.

A code is found in Redis by its hash, and what it stands for is sealed under it: who reads Redis can
use neither. Without Redis nothing is given or taken: a sign-in starts again, nobody is let in.
"""

import base64
from collections.abc import Awaitable
from typing import Final, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from core import ids, log
from core.crypto import DecryptionError, FieldCipher, KeyRing, blind_index, token_hash
from core.errors import DomainError

_CODE: Final = "one_time.code"
T = TypeVar("T")


class OneTime:
    """Sealed values, codes and notes that live for seconds."""

    def __init__(self, redis: Redis, key_prefix: str, index_key: bytes) -> None:
        self._redis = redis
        self._prefix = f"{key_prefix}:once:"
        # A key of its own, which all processes derive alike; nothing that it seals is stored.
        self._cipher = FieldCipher(KeyRing({0: blind_index(index_key, "keys.one_time", "")}))

    def seal(self, value: bytes, *, purpose: str, bound_to: str) -> str:
        """Return a value as text that only we can read, and only with what it is bound to."""
        sealed = self._cipher.seal(value, column=purpose, row=bound_to.encode())
        return base64.urlsafe_b64encode(sealed).decode()

    def open(self, sealed: str, *, purpose: str, bound_to: str) -> bytes | None:
        """Return what was sealed; None if it was changed, or for something else."""
        try:
            packed = base64.b64decode(sealed, b"-_", validate=True)
            return self._cipher.open(packed, column=purpose, row=bound_to.encode())
        except (DecryptionError, ValueError):
            return None

    async def put(self, value: bytes, *, purpose: str, seconds: int) -> str:
        """Return a new code that stands for a value, once, and for one purpose."""
        code = ids.new_token()
        digest = token_hash(f"{purpose}:{code}")
        sealed = self._cipher.seal(value, column=_CODE, row=digest)
        await _asked(self._redis.set(self._prefix + digest.hex(), sealed, ex=seconds))
        return code

    async def take(self, code: str, *, purpose: str) -> bytes | None:
        """Return what a code stands for and end it; None if it is unknown, used or too old."""
        digest = token_hash(f"{purpose}:{code}")
        sealed = await _asked(self._redis.getdel(self._prefix + digest.hex()))
        if not isinstance(sealed, bytes):
            return None
        try:
            return self._cipher.open(sealed, column=_CODE, row=digest)
        except DecryptionError:
            return None

    async def note(self, secret: str, *, seconds: int) -> bool:
        """Note that a secret was used, for so long; False if it was noted before."""
        key = self._prefix + token_hash(secret).hex()
        return bool(await _asked(self._redis.set(key, b"", ex=seconds, nx=True)))


async def _asked(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except (RedisError, OSError, TimeoutError) as error:
        log.get("one_time").warning("redis_unavailable", error_type=type(error).__name__)
        raise DomainError("service.unavailable") from None
