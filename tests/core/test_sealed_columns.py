"""The list of sealed columns is the data dictionary's, and each stands in one scope."""

import re
from pathlib import Path

import pytest

from core.crypto import FieldCipher
from core.data_keys import DataKeys
from core.sealed_columns import SCOPES, SEALED_COLUMNS

DICTIONARY = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


def documented() -> set[str]:
    """Return the columns whose meaning begins with "sealed"."""
    found: set[str] = set()
    for part in re.split(r"^## ", DICTIONARY.read_text(), flags=re.MULTILINE)[1:]:
        table = part.split("\n", 1)[0]
        found |= {
            f"{table}.{column}"
            for column in re.findall(r"^\| (\w+) \| \w+ \| sealed\b", part, re.MULTILINE)
        }
    return found


def test_the_data_dictionary_calls_the_same_columns_sealed() -> None:
    assert documented() == {item.place for item in SEALED_COLUMNS}


def test_columns_between_which_values_move_share_their_keys() -> None:
    for item in SEALED_COLUMNS:
        assert SCOPES[item.bound_to] == item.scope


def test_a_column_that_is_not_listed_is_not_sealed() -> None:
    data_keys = DataKeys(cache_seconds=10, announce_seconds=1)
    data_keys.put(1, "people", 1, bytes(32), seals_in_seconds=-1)
    data_keys.list_all({1: "people"})
    cipher = FieldCipher(None, data_keys)
    assert cipher.seal(b"x", column="users.email", row=b"")
    with pytest.raises(KeyError, match=r"users\.shoe_size"):
        cipher.seal(b"x", column="users.shoe_size", row=b"")
