"""One line of `pinghub gateway diagnose`."""

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at; `remedy` says what to do when it is not well."""

    check: str
    ok: bool
    detail: str
    remedy: str = ""
