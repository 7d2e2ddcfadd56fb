"""What a file is, by how it begins: whatever a reader takes for its own."""

from collections.abc import Sequence
from typing import Final

from core.errors import DomainError
from hub.domains.imports.formats.found import Format, Options
from hub.domains.imports.formats.readers import READERS

HEAD_BYTES: Final = 65_536
"""Of a file: enough to tell."""
# The particular ones first: a mail may hold a card or a calendar, and so may a message in XML.
_ORDER: Final[Sequence[Format]] = (
    "calls_xml",
    "phone_json",
    "google_csv",
    "linkedin_csv",
    "outlook_csv",
    "mail",
    "vcard",
    "calendar",
)


def detect(head: bytes) -> Format | None:
    """Return which format a file has that begins so, None if no reader takes it."""
    return next((file_format for file_format in _ORDER if _is_taken(file_format, head)), None)


def _is_taken(file_format: Format, head: bytes) -> bool:
    try:
        READERS[file_format](head, Options())
    except DomainError:
        return False
    return True
