"""Texts as their words are compared: app.plain_text of the database, for what is not in it."""

import re
import unicodedata
from typing import Final

UNSEEN: Final = "\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
"""Marks that turn, join or part writing, for regular expressions. They are copied along."""
_NOT_PLAIN: Final = re.compile(f"[\u0300-\u036f{UNSEEN}]")


def plain_text(text: str) -> str:
    """Return a text without cases, accents, unseen marks and forms of the same letter."""
    if text.isascii():
        return text.lower()
    lower = _NOT_PLAIN.sub("", unicodedata.normalize("NFKD", text)).lower()
    # At the end of a word, but not where it was in capitals.
    return lower.replace("\u03c2", "\u03c3")
