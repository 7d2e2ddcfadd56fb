"""What `list` commands print: a line for each, or JSON; that there is none goes to stderr."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

_Item = TypeVar("_Item")


def show(
    name: str,
    items: Sequence[_Item],
    line: Callable[[_Item], str],
    *,
    none: str,
    as_json: bool,
) -> None:
    """Print the items, as JSON under a name; `none` tells people what an empty list means."""
    if as_json:
        print(msgspec.json.encode({name: items}).decode())  # noqa: T201  # a command's output
        return
    for item in items:
        print(line(item))  # noqa: T201  # same
    if not items:
        # A program that reads the lines finds none.
        print(none, file=sys.stderr)  # noqa: T201  # same
