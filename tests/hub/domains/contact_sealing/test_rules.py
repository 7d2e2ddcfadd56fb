"""What two spellings of an address share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domains.contact_sealing import rules
from hub.domains.contacts.schemas import MethodKind


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("email", "Ada@Example.COM", " mailto:ada@example.com "),
        ("phone", "+49 151 50123456", "tel:+4915150123456"),
        ("phone", "0151 50123456", "+49 (151) 50 123 456"),
        ("linkedin", "https://www.linkedin.com/in/Ada/", "linkedin.com/in/ada?trk=x"),
        ("linkedin", "https://de.linkedin.com/in/ada", "@ada"),
        ("twitter", "https://x.com/Ada_L", "@ada_l"),
        ("url", "https://www.example.com/ada/", "http://example.com/ada"),
    ],
)
def test_spellings_of_one_address_are_one(kind: MethodKind, one: str, other: str) -> None:
    form = rules.normal_form(kind, one, "DE")
    assert form is not None
    assert form == rules.normal_form(kind, other, "DE")


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("email", "ada@example.com", "ada@example.org"),
        ("phone", "+49 151 50123456", "+49 151 50123457"),
        ("linkedin", "linkedin.com/in/ada", "linkedin.com/in/grace"),
        ("url", "https://example.com/?who=ada", "https://example.com/?who=grace"),
        ("phone", "4711", "4712"),
    ],
)
def test_different_addresses_stay_different(kind: MethodKind, one: str, other: str) -> None:
    assert rules.normal_form(kind, one, "DE") != rules.normal_form(kind, other, "DE")


def test_a_number_from_abroad_needs_no_region() -> None:
    form = rules.normal_form("phone", "+33 1 42 68 53 00", None)
    for text in ("0033142685300", "(0033) 1 42 68 53 00"):
        assert rules.normal_form("phone", text, None) == form
    assert rules.normal_form("phone", "0099", None) == "raw:0099"


def test_what_is_no_email_is_refused_and_what_is_no_number_is_kept() -> None:
    assert rules.normal_form("email", "ada at home", None) is None
    assert rules.normal_form("phone", "0151 50123456", None) == "raw:015150123456"
    assert rules.normal_form("url", "http://[", None) == "raw:http://["


@given(kind=st.sampled_from(["phone", "linkedin", "twitter", "url", "email"]), text=st.text())
def test_any_text_has_one_form_at_most_and_always_the_same(kind: MethodKind, text: str) -> None:
    form = rules.normal_form(kind, text, "GB")
    assert form == rules.normal_form(kind, text, "GB")
    assert form is not None or kind == "email"
