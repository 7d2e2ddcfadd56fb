"""Normal forms of e-mail addresses and telephone numbers: however written, one form per person.

What two spellings share is decided by the libraries' knowledge (RFC 5321 and IDNA; ITU-T E.164 and
each country's numbering plan), never by rules of single providers: dots and tags in a local part
stay, as they are somebody else's address elsewhere.
"""

import re
import unicodedata
from typing import Final, Literal
from urllib.parse import unquote

AddressKind = Literal["email", "phone"]

ADDRESS_MAX_CHARS: Final = 320
"""Of an address as it is written, with a name around it."""
# Zero-width marks and direction signs that address books and web pages leave in what is copied.
_INVISIBLE: Final = re.compile(
    r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
_SCHEME: Final = re.compile(r"^(mailto|tel|sms|callto):(//)?", re.IGNORECASE)
# Before a country's code, as the ITU recommends it (E.164); not everywhere: the rules of a region
# that is known go first.
_ABROAD: Final = re.compile(r"^(\(?)00(?=[1-9])")
_AROUND: Final = re.compile(r"""[\s<>()\[\]"',:;%?]""")
_REGION: Final = re.compile(r"^[A-Za-z]{2,3}(?:-[A-Za-z]{4})?-([A-Za-z]{2})(?:-|$)")


def email(text: str) -> str | None:
    """Return an e-mail address in lower case with its domain as Unicode; None: it is none."""
    # 20 ms that no start of a process has to wait for.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415  # see above

    cleaned = _cleaned(text)
    if cleaned is None:
        return None
    try:
        found = validate_email(
            cleaned.rstrip(".,;"),
            allow_quoted_local=True,
            allow_display_name=True,
            check_deliverability=False,
        )
    except EmailNotValidError:
        return None
    # Formally local parts have cases; nobody gives two people addresses that differ in them.
    return unicodedata.normalize("NFC", found.normalized.lower())


def vouched_email(text: str) -> str:
    """Return the form of an address that a sign-in provider vouches for, which need not be public.

    Names within a company (`ada@mail`) are no addresses of the Internet, yet somebody's. What has
    something around it, as in address books, is vouched for as a whole and not for what is inside.
    """
    bare = unicodedata.normalize("NFC", text.strip().lower())
    form = None if _AROUND.search(bare) else email(bare)
    return bare if form is None else form


def phone(text: str, region: str | None = None) -> str | None:
    """Return a telephone number as E.164; None: it is none, or nobody's alone (an extension).

    `region`: the ISO 3166 code of whoever wrote it, by whose rules it is read without a `+`;
    where there is none, `00` is read as `+`.
    """
    # 30 ms, as above.
    import phonenumbers  # noqa: PLC0415  # see above

    cleaned = _cleaned(text)
    if cleaned is None:
        return None
    try:
        # Digits of other scripts and full-width forms are digits.
        digits = unicodedata.normalize("NFKC", cleaned)
        number = phonenumbers.parse(digits if region else _ABROAD.sub(r"\1+", digits), region)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def region_of(locale: str | None) -> str | None:
    """Return the region that a locale names: `de-AT` is of AT; None: it names none."""
    found = _REGION.match(locale or "")
    return found[1].upper() if found else None


def _cleaned(text: str) -> str | None:
    """Return a text without what is around an address; None: it is too long to be one."""
    if len(text) > ADDRESS_MAX_CHARS:
        return None
    visible = " ".join(_INVISIBLE.sub("", text).split())
    bare = _SCHEME.sub("", visible)
    if bare != visible:
        bare = unquote(bare.partition("?")[0])
    return bare.strip().strip("'`") or None
