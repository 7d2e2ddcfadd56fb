"""Which reader reads which format."""

from collections.abc import Callable, Mapping
from typing import Final

from hub.domains.imports.formats import calendar, calls, mail, phone, spreadsheets, vcard
from hub.domains.imports.formats.found import Format, Options, Reading

READERS: Final[Mapping[Format, Callable[[bytes, Options], Reading]]] = {
    "calendar": calendar.read,
    "calls_xml": calls.read,
    "csv": spreadsheets.read_mapped,
    "google_csv": spreadsheets.read_google,
    "linkedin_csv": spreadsheets.read_linkedin,
    "mail": mail.read,
    "outlook_csv": spreadsheets.read_outlook,
    "phone_json": phone.read,
    "vcard": vcard.read,
}
