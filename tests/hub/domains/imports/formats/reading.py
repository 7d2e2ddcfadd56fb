"""What readers make of a file, for tests of them."""

from datetime import UTC, datetime

from hub.domains.contacts.schemas import NewContact
from hub.domains.imports.formats.found import Format, FoundInteraction, Options, Reading
from hub.domains.imports.formats.readers import READERS

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def read(file_format: Format, data: bytes, **mapping: str) -> Reading:
    return READERS[file_format](data, Options(mapping, NOW))


def people(file_format: Format, data: bytes, **mapping: str) -> list[NewContact]:
    found = [entry.found for entry in read(file_format, data, **mapping).entries]
    return [item for item in found if isinstance(item, NewContact)]


def talks(file_format: Format, data: bytes) -> list[FoundInteraction]:
    found = [entry.found for entry in read(file_format, data).entries]
    return [item for item in found if isinstance(item, FoundInteraction)]


def methods(contact: NewContact) -> list[tuple[str, str, str | None]]:
    return [(item.kind, item.value, item.label) for item in contact.methods]
