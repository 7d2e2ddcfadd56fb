"""Birthdays without a year."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DomainError
from hub.domains.contacts import rules
from hub.domains.contacts.schemas import YEAR_UNKNOWN


@given(st.dates())
def test_a_birthday_reads_as_it_was_written(day) -> None:
    text = day.isoformat()
    if day.year > YEAR_UNKNOWN:
        assert rules.shown_birthday(rules.stored_birthday(text)) == text
    assert rules.shown_birthday(rules.stored_birthday(f"-{text[4:]}")) == f"-{text[4:]}"


@pytest.mark.parametrize("text", ["2026-02-30", "--13-01", "1604-01-01", "0001-01-01"])
def test_a_day_that_never_was_is_refused(text: str) -> None:
    with pytest.raises(DomainError):
        rules.stored_birthday(text)
