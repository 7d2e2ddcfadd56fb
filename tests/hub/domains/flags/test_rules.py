"""A rollout only ever grows, and is spread evenly and differently for each flag."""

from collections import Counter
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hub.domains.flags.rules import is_in_cohort, is_rolled_out, percentile
from hub.domains.flags.schemas import Rule, Subject

KEYS = st.from_regex(r"[a-z][a-z0-9_.-]{0,63}", fullmatch=True)
RULE = Rule(key="new-cards", enabled=True, percentage=0, cohorts=[], tiers=[], roles=[])
ANYBODY = Subject(role="user", tier="free", cohorts=[])


def rule(key: str, percentage: int) -> Rule:
    return replace(RULE, key=key, percentage=percentage)


@given(KEYS, st.uuids(), st.integers(0, 100), st.integers(0, 100))
def test_a_higher_percentage_takes_a_flag_from_nobody(
    key: str, user_id: UUID, one: int, other: int
) -> None:
    lower, higher = sorted((one, other))
    assert is_rolled_out(rule(key, lower), user_id) <= is_rolled_out(rule(key, higher), user_id)


@given(KEYS, st.uuids())
def test_none_is_nobody_and_all_is_everybody(key: str, user_id: UUID) -> None:
    assert not is_rolled_out(rule(key, 0), user_id)
    assert is_rolled_out(rule(key, 100), user_id)
    assert not is_rolled_out(replace(rule(key, 100), enabled=False), user_id)


def test_a_user_s_place_is_the_same_in_every_process_and_release() -> None:
    user_id = UUID("019a0000-0000-7000-8000-000000000001")
    assert [percentile(key, user_id) for key in ("new-cards", "a", "b")] == [63, 86, 66]


def test_a_percentage_is_that_share_of_users() -> None:
    users = [uuid4() for _ in range(20_000)]
    share = sum(is_rolled_out(rule("new-cards", 10), user) for user in users) / len(users)
    assert 0.085 < share < 0.115  # seven standard deviations
    assert len(Counter(percentile("new-cards", user) for user in users)) == 100


def test_not_always_the_same_users_come_first() -> None:
    users = [uuid4() for _ in range(20_000)]
    first = {user for user in users if is_rolled_out(rule("one", 20), user)}
    both = sum(is_rolled_out(rule("other", 20), user) for user in first) / len(first)
    assert 0.15 < both < 0.25


def test_a_cohort_takes_members_tiers_and_roles() -> None:
    cohorts = replace(RULE, cohorts=["beta", "staff"], tiers=["pro"], roles=["moderator"])
    for subject in (
        replace(ANYBODY, cohorts=["beta"]),
        replace(ANYBODY, tier="pro"),
        replace(ANYBODY, role="moderator"),
    ):
        assert is_in_cohort(cohorts, subject)
        assert not is_in_cohort(replace(cohorts, enabled=False), subject)
        assert not is_in_cohort(RULE, subject)
    for subject in (ANYBODY, replace(ANYBODY, cohorts=["alpha"], tier="enterprise", role="admin")):
        assert not is_in_cohort(cohorts, subject)
