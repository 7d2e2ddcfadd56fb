"""How likely two contacts are one person."""

from datetime import UTC, date, datetime
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from hub.domains.contact_merges import rules
from hub.domains.contact_merges.schemas import Candidate, MergeRecord, Noted
from hub.domains.contacts.schemas import YEAR_UNKNOWN, ContactRow

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
TAGS = st.lists(st.sampled_from(["x", "y", "z"]), unique=True)
NOBODY = ContactRow(
    id=UUID(int=1),
    user_id=UUID(int=2),
    full_name="Nobody",
    first_name=None,
    last_name=None,
    company=None,
    job_title=None,
    linkedin_url=None,
    avatar_url=None,
    location=None,
    bio=None,
    notes=None,
    birthday=None,
    context=Raw(b"{}"),
    source="manual",
    strength=0.0,
    last_interaction_at=None,
    frequency=None,
    tags=[],
    is_self=False,
    linked_user_id=None,
    linked_by=None,
    archived_at=None,
    merged_into_id=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
)
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
        (
            replace(
                NOTHING, one_words="a lovelace", other_words="ada lovelace", shared_kinds=["phone"]
            ),
            True,
        ),
        (
            replace(
                NOTHING, one_words="cerf vint", other_words="cerf vinton", shared_kinds=["phone"]
            ),
            True,
        ),
        (
            replace(
                NOTHING, one_words="dirac mary", other_words="dirac paul", shared_kinds=["phone"]
            ),
            False,
        ),
        (
            replace(
                NOTHING, one_words="bob kahn", other_words="kahn robert", shared_kinds=["email"]
            ),
            True,
        ),
        (
            replace(NOTHING, one_words="huber", other_words="franz gruber", shared_kinds=["email"]),
            False,
        ),
        (
            replace(
                NOTHING,
                one_words="mama",
                other_words="erika muster",
                shared_kinds=["email", "phone"],
            ),
            True,
        ),
        (
            replace(
                NOTHING, one_words="mama", other_words="erika muster", shared_kinds=["linkedin"]
            ),
            True,
        ),
        (replace(NOTHING, one_words="mama", other_words="erika muster", is_same_user=True), True),
    ],
)
def test_what_is_suggested_and_what_is_not(pair: Candidate, suggested: bool) -> None:
    assert (rules.score(pair)[0] >= rules.SUGGESTED_FROM) == suggested


NOTES = st.none() | st.sampled_from(["one", "two", "three"])


@given(mine=NOTES, others=st.lists(NOTES, min_size=1, max_size=3), order=st.randoms())
def test_notes_are_given_back_in_whatever_order_merges_are_undone(
    mine: str | None, others: list[str | None], order: Random
) -> None:
    now = mine
    done: list[tuple[str | None, Noted]] = []
    for theirs in others:
        now, how = rules.noted(now, theirs)
        done.append((theirs, how))
    order.shuffle(done)
    for theirs, how in done:
        now = rules.unnoted(now, theirs, how)
    assert now == mine


def test_notes_that_are_too_long_together_stay_as_they_are() -> None:
    assert rules.noted("a" * 6000, "b" * 6000) == ("a" * 6000, "kept")


@given(
    mine=TAGS,
    others=st.lists(TAGS, min_size=1, max_size=3),
    order=st.randoms(),
)
def test_tags_are_given_back_in_whatever_order_merges_are_undone(
    mine: list[str], others: list[list[str]], order: Random
) -> None:
    kept = replace(NOBODY, tags=mine)
    done: list[tuple[ContactRow, MergeRecord]] = []
    for tags in others:
        merged = replace(NOBODY, tags=tags)
        kept, record = rules.fill(kept, merged, "kept")
        done.append((merged, record))
    assert set(kept.tags) == {tag for tags in (mine, *others) for tag in tags}
    order.shuffle(done)
    for merged, record in done:
        kept = rules.unfill(kept, merged, record)
    assert kept.tags == mine
