"""Who acts: the identity that reaches the database with every transaction."""

from typing import Literal

import msgspec

from core.ids import UserId

Role = Literal["user", "moderator", "admin"]
ActorKind = Literal["anonymous", "user", "api_key", "system"]


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """The author of a request; its fields become transaction settings that RLS policies read."""

    kind: ActorKind
    user_id: UserId | None = None
    role: Role = "user"
    session_id: str = ""
    request_id: str = ""
    ip: str = ""
    user_agent: str = ""
    endpoint: str = ""


ANONYMOUS = Actor(kind="anonymous")
SYSTEM = Actor(kind="system")
