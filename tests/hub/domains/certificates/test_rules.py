"""When a certificate may be followed by another."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hub.domains.certificates import rules
from hub.domains.certificates.schemas import Issued

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def certificate(*, age_days: float, life_days: float = 90) -> Issued:
    began = NOW - timedelta(days=age_days)
    return Issued(b"k" * 32, b"", began, began + timedelta(days=life_days), began)


@given(age=st.floats(0, 200), life=st.floats(1, 825))
def test_a_certificate_is_due_when_little_more_than_a_third_is_left(
    age: float, life: float
) -> None:
    found = rules.is_due(certificate(age_days=age, life_days=life), NOW)
    if age >= life * 2 / 3:
        assert found
    if age < life * 0.63:
        assert not found


def test_without_a_valid_certificate_there_is_nothing_to_renew() -> None:
    assert not rules.may_renew([], None, NOW)


def test_a_fresh_certificate_is_not_renewed_whatever_the_gateway_reports() -> None:
    fresh = certificate(age_days=1)
    for in_use in (None, 0, rules.ends_ms(fresh)):
        assert not rules.may_renew([fresh], in_use, NOW)


def test_a_gateway_that_lost_the_key_of_its_new_certificate_gets_another_one() -> None:
    old, lost = certificate(age_days=61), certificate(age_days=0.5)
    assert rules.may_renew([lost, old], None, NOW)
    assert rules.may_renew([lost, old], rules.ends_ms(old), NOW)
    assert not rules.may_renew([lost, old], rules.ends_ms(lost), NOW)


def test_it_has_to_wait_an_hour_for_it() -> None:
    old, new = certificate(age_days=61), certificate(age_days=0.5 / 24)
    assert not rules.may_renew([new, old], rules.ends_ms(old), NOW)
