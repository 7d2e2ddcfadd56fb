"""The contact card that a user hands over when rings touch."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

# Python's `$` also stands before a last line feed, which `(?!\n)` refuses.
Line = Annotated[
    str, Meta(min_length=1, max_length=120, pattern=r"^(?=.*\S)[^\u0000-\u001f\u007f]*$(?!\n)")
]
Email = Annotated[
    str, Meta(min_length=3, max_length=254, pattern=r"^[^\s@\u0000-\u001f\u007f]+@[^\s@]+$(?!\n)")
]
Phone = Annotated[str, Meta(min_length=3, max_length=32, pattern=r"^[+0-9(][0-9 ()./-]*$(?!\n)")]
Url = Annotated[
    str, Meta(max_length=300, pattern=r"^https?://[!-~]+$(?!\n)", examples=["https://example.com"])
]
Note = Annotated[str, Meta(max_length=1000, pattern=r"^[^\u0000]*$")]


class Card(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user tells of themselves; the other side keeps what it was told."""

    full_name: Line
    emails: Annotated[list[Email], Meta(max_length=5)] = []
    phones: Annotated[list[Phone], Meta(max_length=5)] = []
    company: Line | None = None
    job_title: Line | None = None
    urls: Annotated[list[Url], Meta(max_length=5)] = []
    note: Note | None = None


class StoredCard(Struct, frozen=True):
    """A user with the sealed card, or the name that stands for one."""

    user_id: UUID
    full_name: str
    card: bytes | None
