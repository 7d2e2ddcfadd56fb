"""Pure rules of reading files."""

from typing import Final

from hub.domains.imports.formats.found import Entry, ProblemCode
from hub.domains.imports.schemas import RowStatus

# Nothing is wrong with these entries; there is nothing to bring in.
_SKIPPED: Final[frozenset[ProblemCode]] = frozenset(
    {"in_future", "no_contact", "no_participant", "not_a_person"}
)


def refused_as(entry: Entry) -> RowStatus:
    """Return what becomes of an entry that has nothing to bring in."""
    return "skipped" if all(item.code in _SKIPPED for item in entry.problems) else "failed"
