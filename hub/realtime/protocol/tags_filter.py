"""Filters on the tags of publications, compiled once per subscription into a function.

A missing tag fits only `neq`, `nin`, `nex` and an `in` that lists the empty text. Numbers are
decimals without exponent; what is no number fits no numeric comparison.
"""

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from hub.realtime.protocol.messages import FilterNode

TagsFilter = Callable[[Mapping[str, str]], bool]
"""Says by a publication's tags whether a subscriber wants it."""

# Every publication is compared with every node of every filter.
_NODES_MAX: Final = 256
_DEPTH_MAX: Final = 32
# It lives as long as its subscription, and a client may have a hundred.
_TEXT_MAX_CHARACTERS: Final = 16_384
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]{1,19})?")
_NUMBER_MAX_CHARACTERS: Final = 200

_TEXT: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "eq": operator.eq,
    "sw": str.startswith,
    "ew": str.endswith,
    "ct": operator.contains,
}
_NUMERIC: Final[Mapping[str, Callable[[Decimal, Decimal], bool]]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


class InvalidFilterError(Exception):
    """The filter is not well-formed, or larger than allowed."""


def compile_filter(node: FilterNode) -> TagsFilter:
    """Return the filter as a function, or raise InvalidFilterError."""
    _check_size(node)
    return _compile(node)


def _check_size(root: FilterNode) -> None:
    level = [root]
    nodes = depth = characters = 0
    while level:
        nodes += len(level)
        depth += 1
        # Each of the values costs more than its characters.
        characters += sum(
            len(node.key) + len(node.val) + sum(map(len, node.vals)) + 16 * len(node.vals)
            for node in level
        )
        if nodes > _NODES_MAX or depth > _DEPTH_MAX or characters > _TEXT_MAX_CHARACTERS:
            raise InvalidFilterError("the filter is too large")
        level = [child for node in level for child in node.nodes]


def _compile(node: FilterNode) -> TagsFilter:
    if not node.op:
        return _comparison(node)
    children = [_compile(child) for child in node.nodes]
    if node.op == "not" and len(children) == 1:
        (child,) = children
        return lambda tags: not child(tags)
    if node.op == "and" and children:
        return lambda tags: all(child(tags) for child in children)
    if node.op == "or" and children:
        return lambda tags: any(child(tags) for child in children)
    raise InvalidFilterError("unknown operation, or not as many nodes as it takes")


def _comparison(node: FilterNode) -> TagsFilter:
    key, cmp, val = node.key, node.cmp, node.val
    takes_list = cmp in ("in", "nin")
    takes_nothing = cmp in ("ex", "nex")
    if (
        bool(val) == (takes_list or takes_nothing)
        or bool(node.vals) != takes_list
        or not (key or takes_nothing)
    ):
        raise InvalidFilterError("a comparison lacks its key or values, or has others")
    if takes_nothing:
        wanted = cmp == "ex"
        return lambda tags: (key in tags) is wanted
    if takes_list:
        vals, wanted = frozenset(node.vals), cmp == "in"
        return lambda tags: (tags.get(key, "") in vals) is wanted
    if cmp == "neq":
        return lambda tags: tags.get(key) != val
    if cmp in _TEXT:
        return _text_comparison(key, _TEXT[cmp], val)
    if cmp in _NUMERIC:
        return _numeric_comparison(key, _NUMERIC[cmp], val)
    raise InvalidFilterError("unknown comparison")


def _text_comparison(key: str, fits: Callable[[str, str], bool], val: str) -> TagsFilter:
    def wants(tags: Mapping[str, str]) -> bool:
        tag = tags.get(key)
        return tag is not None and fits(tag, val)

    return wants


def _numeric_comparison(key: str, fits: Callable[[Decimal, Decimal], bool], val: str) -> TagsFilter:
    bound = _number(val)

    def wants(tags: Mapping[str, str]) -> bool:
        number = _number(tags.get(key, ""))
        return number is not None and bound is not None and fits(number, bound)

    return wants


def _number(text: str) -> Decimal | None:
    if len(text) > _NUMBER_MAX_CHARACTERS or not _NUMBER.fullmatch(text):
        return None
    return Decimal(text)
