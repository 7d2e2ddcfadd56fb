"""Identifiers: UUID version 7 (RFC 9562), ordered by time, so an id is also a list position."""

import os
import secrets
import time
from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
RingId = NewType("RingId", UUID)
GatewayId = NewType("GatewayId", UUID)
ConversationId = NewType("ConversationId", UUID)
MessageId = NewType("MessageId", UUID)
EventId = NewType("EventId", UUID)
SessionId = NewType("SessionId", UUID)


def new_id() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits."""
    unix_ms = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (unix_ms & (1 << 48) - 1) << 80
    value |= 0x7 << 76
    value |= (random_bits >> 68) << 64
    value |= 0b10 << 62
    value |= random_bits & (1 << 62) - 1
    return UUID(int=value)


def new_token(size_bytes: int = 32) -> str:
    """Return an unguessable URL-safe token of `size_bytes` random bytes."""
    return secrets.token_urlsafe(size_bytes)
