"""Batches whose every item counts: one that the database cannot take keeps no other waiting."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from core import log
from core.db.failure import Conflict
from core.errors import DomainError

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")

_log = log.get("db")


async def by_halves(
    items: Sequence[_Item],
    record: Callable[[Sequence[_Item]], Awaitable[list[_Answer]]],
    *,
    refuse: Callable[[_Item], Awaitable[list[_Answer]]],
    defer: Callable[[_Item], list[_Answer]],
) -> list[_Answer]:
    """Return the answers of `record`, which takes a batch whole or not at all.

    A batch that fails is halved until the item is alone: `refuse` it when its values are why,
    `defer` it when the fault is ours. Raises DomainError("service.unavailable") while the database
    is away; then nobody is answered.
    """
    try:
        return await record(items)
    except Exception as error:  # sorted below: outage, bad value, fault of ours
        if _is_code(error, "service.unavailable"):
            raise
        if len(items) == 1:
            if isinstance(error, Conflict) or _is_code(error, "request.invalid"):
                return await refuse(items[0])
            # A fault of ours, not of the item: nothing final may come of it.
            _log.exception("item_deferred")
            return defer(items[0])
    middle = len(items) // 2
    return [
        *await by_halves(items[:middle], record, refuse=refuse, defer=defer),
        *await by_halves(items[middle:], record, refuse=refuse, defer=defer),
    ]


def _is_code(error: Exception, code: str) -> bool:
    return isinstance(error, DomainError) and error.code == code
