"""How likely two contacts are one person."""

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hub.domains.contact_merges import rules
from hub.domains.contact_merges.schemas import Candidate
from hub.domains.contacts.schemas import YEAR_UNKNOWN

NOTHING = Candidate(
    one_id=UUID(int=1),
    one_name="",
    one_words="",
    one_company=None,
    one_job_title=None,
    one_company_plain=None,
    one_birthday=None,
    other_id=UUID(int=2),
    other_name="",
    other_words="",
    other_company=None,
    other_job_title=None,
    other_company_plain=None,
    other_birthday=None,
    shared_kinds=[],
    is_same_user=False,
)
SAME_NAME = replace(NOTHING, one_words="ada lovelace", other_words="ada lovelace")
WORDS = st.sampled_from(["", "ada", "ada lovelace", "ada byron lovelace", "grace hopper"])
DAYS = st.sampled_from([None, date(1815, 12, 10), date(1906, 12, 9), date(YEAR_UNKNOWN, 12, 10)])
PAIRS = st.builds(
    lambda one, other, mine, theirs, kinds, company, same: replace(
        NOTHING,
        one_words=one,
        other_words=other,
        one_birthday=mine,
        other_birthday=theirs,
        shared_kinds=kinds,
        one_company_plain=company,
        other_company_plain="engines",
        is_same_user=same,
    ),
    WORDS,
    WORDS,
    DAYS,
    DAYS,
    st.lists(st.sampled_from(["email", "phone", "linkedin", "twitter", "url"]), max_size=3),
    st.sampled_from([None, "engines", "navy"]),
    st.booleans(),
)


def swapped(pair: Candidate) -> Candidate:
    return replace(
        pair,
        one_words=pair.other_words,
        other_words=pair.one_words,
        one_birthday=pair.other_birthday,
        other_birthday=pair.one_birthday,
        one_company_plain=pair.other_company_plain,
        other_company_plain=pair.one_company_plain,
    )


@given(PAIRS)
def test_a_score_is_a_likelihood_whichever_comes_first(pair: Candidate) -> None:
    score, reasons = rules.score(pair)
    assert 0 <= score < 1
    assert (score, reasons) == rules.score(swapped(pair))
    assert bool(score) == bool(reasons)


@given(PAIRS, st.sampled_from(["email", "phone", "linkedin", "twitter", "url"]))
def test_another_address_in_common_never_makes_it_less_likely(pair, kind) -> None:
    more = replace(pair, shared_kinds=[*pair.shared_kinds, kind])
    assert rules.score(more)[0] >= rules.score(pair)[0]


@pytest.mark.parametrize(
    ("pair", "suggested"),
    [
        (SAME_NAME, False),
        (replace(SAME_NAME, one_company_plain="e", other_company_plain="e"), True),
        (replace(SAME_NAME, shared_kinds=["phone"]), True),
        (
            replace(SAME_NAME, one_birthday=date(1815, 12, 10), other_birthday=date(1815, 12, 10)),
            True,
        ),
        (
            replace(
                SAME_NAME,
                shared_kinds=["phone"],
                one_birthday=date(1815, 12, 10),
                other_birthday=date(1836, 5, 12),
            ),
            False,
        ),
        (replace(NOTHING, one_words="ada lovelace", other_words="ada"), False),
        (
            replace(NOTHING, one_words="ada lovelace", other_words="ada", shared_kinds=["email"]),
            True,
        ),
        (
            replace(
                NOTHING,
                one_words="ada",
                other_words="ada",
                one_company_plain="e",
                other_company_plain="e",
            ),
            False,
        ),
        (
            replace(
                NOTHING, one_words="ada byron", other_words="william king", shared_kinds=["phone"]
            ),
            False,
        ),
        (replace(NOTHING, is_same_user=True), True),
    ],
)
def test_what_is_suggested_and_what_is_not(pair: Candidate, suggested: bool) -> None:
    assert (rules.score(pair)[0] >= rules.SUGGESTED_FROM) == suggested
