"""What is said of an error code wherever it is explained."""

import msgspec


class ErrorSpec(msgspec.Struct, frozen=True):
    """What a code means: HTTP status, short title, and what the caller can do about it."""

    status: int
    title: str
    remedy: str
