"""Rate limits: GCRA in Redis, one table of policies, a tier's factor on an account's own ones.

Losing Redis must not take the REST interface down with it, so most policies are open then: each
hub counts for itself. Those that guard guessing, money or room refuse, but not before they have
waited longer. A failure opens a breaker, so that an outage delays one request per `_BREAK_SECONDS`,
not each of them.
"""

import asyncio
import ipaddress
import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Literal

import msgspec
from prometheus_client import Counter
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from throttled.asyncio.rate_limiter import (
    BaseRateLimiter,
    RateLimiterRegistry,
    RateLimitResult,
    per_duration,
)
from throttled.asyncio.store import MemoryStore, RedisStore
from throttled.exceptions import StoreUnavailableError

from core import clock, config, log
from core.errors import ConfigError, DomainError

Tier = Literal["free", "pro", "enterprise"]

DEADLINE_SECONDS: Final = 0.2
# Who is refused has to come again, so Redis has time for a hiccup; clients wait for 10 s and more.
GUARD_DEADLINE_SECONDS: Final = 2.0
_BREAK_SECONDS: Final = 1.0
# Calls wait for a free connection instead of failing: 500 at once must not mean 500 sockets.
_CONNECTIONS_MAX: Final = 32
# Counted by one process while Redis is away; beyond that whoever came first is forgotten.
_OWN_SUBJECTS_MAX: Final = 10_000
# Whoever has one IPv6 address has the others of its network too (RFC 6177).
_IPV6_PREFIX_BITS: Final = 64

_REFUSED = Counter("pinghub_limit_refused", "Requests refused by a rate limit.", ["policy"])
_UNCHECKED = Counter(
    "pinghub_limit_unchecked", "Requests not counted together as Redis was away.", ["outcome"]
)


class Policy(msgspec.Struct, frozen=True):
    """At most `quota` requests per window, spread or, after a pause, `burst` of them at once.

    Per user, however they authenticate; per actor, where each API key counts for itself; or per
    address.
    """

    name: str
    quota: int
    window_seconds: int
    by: Literal["user", "actor", "ip"]
    burst: int = 0
    """0: as many as `quota`."""
    pro: int = 1
    """How many times the quota and burst an account of this tier has."""
    enterprise: int = 1
    without_redis: Literal["open", "closed"] = "open"
    """What becomes of requests that cannot be counted together: this hub alone counts them, or
    they are refused."""

    @property
    def is_by_tier(self) -> bool:
        """Whether it makes a difference which tier an account is in."""
        return self.by != "ip" and (self.pro, self.enterprise) != (1, 1)

    @property
    def deadline_seconds(self) -> float:
        """How long a request waits for Redis."""
        return DEADLINE_SECONDS if self.without_redis == "open" else GUARD_DEADLINE_SECONDS

    def factor(self, tier: Tier) -> int:
        """Return how many times the quota an account of a tier has."""
        return {"free": 1, "pro": self.pro, "enterprise": self.enterprise}[tier]


POLICIES: Final[Mapping[str, Policy]] = {
    policy.name: policy
    for policy in (
        Policy("default", 600, 60, "actor", pro=5, enterprise=20),
        Policy("refused_key", 60, 60, "ip"),
        Policy("auth", 10, 60, "ip"),
        Policy("login", 60, 60, "ip"),
        Policy("gateway_claim", 10, 60, "ip", without_redis="closed"),
        # Each one takes room at the MQTT broker, which keeps all it knows in one file.
        Policy("gateway_registration", 60, 3_600, "user", without_redis="closed"),
        Policy("gateway_calls", 30, 60, "user"),
        Policy("claim", 30, 60, "user", without_redis="closed"),
        # Addresses, not requests: with the burst at most 500 in any 24 hours.
        Policy("identity_match", 400, 86_400, "user", burst=100, without_redis="closed"),
        # The same, of all accounts behind an address: where anybody may sign up, accounts are free.
        Policy("identity_match_ip", 10_000, 86_400, "ip", burst=1_000, without_redis="closed"),
        Policy("search", 60, 60, "user", pro=5, enterprise=20),
        Policy("ai", 100, 60, "user", without_redis="closed"),
        Policy("enrichment", 50, 86_400, "user", without_redis="closed"),
        Policy("import", 30, 3_600, "user", without_redis="closed"),
        Policy("media", 10, 3_600, "user", without_redis="closed"),
    )
}


def policies(settings: config.Limits) -> dict[str, Policy]:
    """Return the table with the operator's changes, or raise ConfigError."""
    for name in settings.policies.keys() - POLICIES.keys():
        known = ", ".join(POLICIES)
        raise ConfigError(f"limits.policies.{name}: there is no such policy, but {known}")
    changed = dict(POLICIES)
    for name, change in settings.policies.items():
        if change.without_redis == "open" and POLICIES[name].without_redis == "closed":
            raise ConfigError(
                f"limits.policies.{name}.without_redis: what guards guessing, money or room cannot "
                "be open; leave it out"
            )
        given = {key: to for key, to in msgspec.structs.asdict(change).items() if to is not None}
        changed[name] = msgspec.structs.replace(POLICIES[name], **given)
    return changed


def address_subject(address: str) -> str:
    """Return whom the limit of an address counts: itself, of IPv6 its network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), _IPV6_PREFIX_BITS), strict=False))


class Allowance(msgspec.Struct, frozen=True):
    """What a policy still grants to one subject."""

    policy: Policy
    quota: int
    refused: bool
    remaining: int
    reset_after_seconds: float
    retry_after_seconds: float

    def headers(self) -> dict[str, str]:
        """Return the fields by which a client paces itself (draft-ietf-httpapi-ratelimit-headers).

        `t` is when the whole burst is there again; some of it is much sooner.
        """
        name, window_seconds = self.policy.name, self.policy.window_seconds
        reset_seconds = math.ceil(self.reset_after_seconds)
        return {
            "RateLimit-Policy": f'"{name}";q={self.quota};w={window_seconds}',
            "RateLimit": f'"{name}";r={self.remaining};t={reset_seconds}',
        }

    def wait_seconds(self) -> int:
        """Return the whole seconds after which the same request is granted, at least 1."""
        return max(1, math.ceil(self.retry_after_seconds))


class Limiter:
    """Counts requests of all hubs in one Redis."""

    def __init__(
        self, url: str, key_prefix: str, policies: Mapping[str, Policy] = POLICIES
    ) -> None:
        self.policies = policies
        self._key_prefix = f"{key_prefix}:limit"
        self._store = RedisStore(
            server=url,
            options={
                "CONNECTION_POOL_CLASS": "redis.asyncio.BlockingConnectionPool",
                "CONNECTION_POOL_KWARGS": {
                    "max_connections": _CONNECTIONS_MAX,
                    # Who may wait for less has a deadline of their own.
                    "timeout": GUARD_DEADLINE_SECONDS,
                    # A repeated call would count twice.
                    "retry": Retry(NoBackoff(), 0),
                },
                "SOCKET_TIMEOUT": GUARD_DEADLINE_SECONDS,
                "SOCKET_CONNECT_TIMEOUT": GUARD_DEADLINE_SECONDS,
            },
        )
        self._own_store = MemoryStore(options={"MAX_SIZE": _OWN_SUBJECTS_MAX})
        self._limiters: dict[tuple[str, int, bool], BaseRateLimiter] = {}
        self._closed_until: dict[str, float] = {"open": 0.0, "closed": 0.0}

    async def take(
        self, name: str, subject: str, *, tier: Tier = "free", cost: int = 1
    ) -> Allowance | None:
        """Count a request of `subject` under the policy of that name, as `cost` of them.

        A cost of 0 counts nothing and asks what is left. None when Redis is away and it passes; a
        policy that is closed then raises service.unavailable.
        """
        policy = self.policies[name]
        factor = policy.factor(tier)
        # A tier counts anew: whoever pays for more need not wait for what they had less of.
        key = f"{name}:{subject}" if tier == "free" else f"{name}:{tier}:{subject}"
        if clock.monotonic_seconds() < self._closed_until[policy.without_redis]:
            return await self._take_alone(policy, factor, key, cost)
        try:
            async with asyncio.timeout(policy.deadline_seconds):
                result = await self._limiter(policy, factor).limit(key, cost)
        except (StoreUnavailableError, OSError, TimeoutError) as error:
            self._note_failure(policy)
            log.get("limits").warning("limit_unchecked", error_type=type(error).__name__)
            return await self._take_alone(policy, factor, key, cost)
        return _allowance(policy, factor, result)

    async def close(self) -> None:
        """Give the connections back."""
        client: Any = self._store._backend.get_client()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # the store has no close of its own
        await client.connection_pool.disconnect()

    async def _take_alone(
        self, policy: Policy, factor: int, key: str, cost: int
    ) -> Allowance | None:
        """Count in this process alone: it can refuse, but not tell what all hubs grant."""
        is_open = policy.without_redis == "open"
        _UNCHECKED.labels("passed" if is_open else "refused").inc()
        if not is_open:
            raise DomainError("service.unavailable", "Limits cannot be counted for now; retry.")
        result = await self._limiter(policy, factor, alone=True).limit(key, cost)
        return _allowance(policy, factor, result) if result.limited or not cost else None

    def _note_failure(self, policy: Policy) -> None:
        until = clock.monotonic_seconds() + _BREAK_SECONDS
        # A hiccup that was too long for an open policy says nothing to those that wait longer.
        self._closed_until["open"] = until
        self._closed_until[policy.without_redis] = until

    def _limiter(self, policy: Policy, factor: int, *, alone: bool = False) -> BaseRateLimiter:
        found = self._limiters.get((policy.name, factor, alone))
        if found is None:
            window, quota = timedelta(seconds=policy.window_seconds), policy.quota * factor
            rate = per_duration(window, quota, (policy.burst or policy.quota) * factor)
            gcra = RateLimiterRegistry.get("gcra")
            store = self._own_store if alone else self._store
            found = gcra(rate, store, key_prefix=self._key_prefix)
            self._limiters[policy.name, factor, alone] = found
        return found


def _allowance(policy: Policy, factor: int, result: RateLimitResult) -> Allowance:
    state = result.state
    if result.limited:
        _REFUSED.labels(policy.name).inc()
    return Allowance(
        policy=policy,
        quota=policy.quota * factor,
        refused=result.limited,
        remaining=0 if result.limited else state.remaining,
        reset_after_seconds=state.reset_after,
        retry_after_seconds=state.retry_after,
    )
