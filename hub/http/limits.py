"""Rate limits: GCRA in Redis, one table of policies, open when Redis is away.

Fail-open is a decision: losing Redis must not take the REST interface down with it. A failure opens
a breaker, so that an outage delays one request per `_BREAK_SECONDS`, not each of them.
"""

import asyncio
import math
from datetime import timedelta
from typing import Any, Final, Literal

import msgspec
from prometheus_client import Counter
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from throttled.asyncio.rate_limiter import BaseRateLimiter, RateLimiterRegistry, per_duration
from throttled.asyncio.store import RedisStore
from throttled.exceptions import StoreUnavailableError

from core import clock, log

DEADLINE_SECONDS: Final = 0.2
_BREAK_SECONDS: Final = 1.0
# Calls wait for a free connection instead of failing: 500 at once must not mean 500 sockets.
_CONNECTIONS_MAX: Final = 32

_REFUSED = Counter("pinghub_limit_refused", "Requests refused by a rate limit.", ["policy"])
_UNCHECKED = Counter("pinghub_limit_unchecked", "Requests let through while Redis was away.")


class Policy(msgspec.Struct, frozen=True):
    """At most `quota` requests per window, as a burst or spread.

    Per user, however they authenticate; per actor, where each API key counts for itself; or per
    address.
    """

    name: str
    quota: int
    window_seconds: int
    by: Literal["user", "actor", "ip"]


POLICIES: Final = {
    policy.name: policy
    for policy in (
        Policy("default", 600, 60, "actor"),
        Policy("refused_key", 60, 60, "ip"),
        Policy("auth", 10, 60, "ip"),
        Policy("login", 60, 60, "ip"),
        Policy("gateway_claim", 10, 60, "ip"),
        # Each one takes room at the MQTT broker, which keeps all it knows in one file.
        Policy("gateway_registration", 60, 3_600, "user"),
        Policy("gateway_calls", 30, 60, "user"),
        Policy("claim", 30, 60, "user"),
        Policy("search", 60, 60, "user"),
        Policy("ai", 100, 60, "user"),
        Policy("enrichment", 50, 86_400, "user"),
        Policy("media", 10, 3_600, "user"),
    )
}


class Allowance(msgspec.Struct, frozen=True):
    """What a policy still grants to one subject."""

    policy: Policy
    refused: bool
    remaining: int
    reset_after_seconds: float
    retry_after_seconds: float

    def headers(self) -> dict[str, str]:
        """Return the header fields that tell a client where it stands."""
        policy = self.policy
        return {
            "RateLimit-Limit": str(policy.quota),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(math.ceil(self.reset_after_seconds)),
            "RateLimit-Policy": f'"{policy.name}";q={policy.quota};w={policy.window_seconds}',
        }

    def wait_seconds(self) -> int:
        """Return the whole seconds after which the same request is granted, at least 1."""
        return max(1, math.ceil(self.retry_after_seconds))


class Limiter:
    """Counts requests of all hubs in one Redis."""

    def __init__(self, url: str, key_prefix: str) -> None:
        self._store = RedisStore(
            server=url,
            options={
                "CONNECTION_POOL_CLASS": "redis.asyncio.BlockingConnectionPool",
                "CONNECTION_POOL_KWARGS": {
                    "max_connections": _CONNECTIONS_MAX,
                    "timeout": DEADLINE_SECONDS,
                    # A repeated call would count twice.
                    "retry": Retry(NoBackoff(), 0),
                },
                "SOCKET_TIMEOUT": DEADLINE_SECONDS,
                "SOCKET_CONNECT_TIMEOUT": DEADLINE_SECONDS,
            },
        )
        gcra = RateLimiterRegistry.get("gcra")
        self._limiters: dict[str, BaseRateLimiter] = {
            policy.name: gcra(
                per_duration(timedelta(seconds=policy.window_seconds), policy.quota),
                self._store,
                key_prefix=f"{key_prefix}:limit",
            )
            for policy in POLICIES.values()
        }
        self._closed_until = 0.0

    async def take(self, policy: Policy, subject: str) -> Allowance | None:
        """Count one request of `subject`; None when Redis is away and nothing was counted."""
        if clock.monotonic_seconds() < self._closed_until:
            _UNCHECKED.inc()
            return None
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                result = await self._limiters[policy.name].limit(f"{policy.name}:{subject}")
        except (StoreUnavailableError, OSError, TimeoutError) as error:
            self._closed_until = clock.monotonic_seconds() + _BREAK_SECONDS
            _UNCHECKED.inc()
            log.get("limits").warning("limit_unchecked", error_type=type(error).__name__)
            return None
        state = result.state
        if result.limited:
            _REFUSED.labels(policy.name).inc()
        return Allowance(
            policy=policy,
            refused=result.limited,
            remaining=0 if result.limited else state.remaining,
            reset_after_seconds=state.reset_after,
            retry_after_seconds=state.retry_after,
        )

    async def close(self) -> None:
        """Give the connections back."""
        client: Any = self._store._backend.get_client()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # the store has no close of its own
        await client.connection_pool.disconnect()
