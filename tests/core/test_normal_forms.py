"""One person is one form, in whichever of thirty spellings an address book has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.normal_forms import ADDRESS_MAX_CHARS, email, phone, region_of, vouched_email

ADAS_EMAIL = [
    "ada@example.com",
    "ADA@Example.COM",
    " ada@example.com\n",
    "mailto:ada@example.com?subject=x",
    "MAILTO:Ada%40example.com",
    "Ada Lovelace <ada@example.com>",
    '"Lovelace, Ada" <ada@example.com>',
    "<ada@example.com>",
    '"ada"@example.com',
    "ada@example.com.",
    "ada@example.com;",
    "\u200bada@example.com\ufeff",
    "ada@\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.com",
    "ada@example\u3002com",
    "'ada@example.com'",
    "\u202aada@example.com\u202c",
]
ADAS_PHONE = [
    "+4915150123456",
    "+49 151 50123456",
    "0151 50123456",
    "0151/50123456",
    "(0151) 50123456",
    "+49 (0)151 50123456",
    "0049 151 50123456",
    "tel:+49-151-50123456",
    "tel:0151-50123456;phone-context=+49",
    "\uff0b\uff14\uff19 \uff11\uff15\uff11 \uff15\uff10\uff11\uff12\uff13\uff14\uff15\uff16",
    "+\u0664\u0669 \u0661\u0665\u0661 \u0665\u0660\u0661\u0662\u0663\u0664\u0665\u0666",
    "\u202a+49 151 50123456\u202c",
    "+49.151.50123456",
    "0151\u20135012 3456",
    "+49\u00a0151\u00a050123456",
    "00 49 151 501 234 56",
]


@pytest.mark.req("ACC-15")
def test_one_person_is_one_form_in_thirty_spellings() -> None:
    assert len({*ADAS_EMAIL, *ADAS_PHONE}) >= 30
    assert {email(text) for text in ADAS_EMAIL} == {"ada@example.com"}
    assert {phone(text, "DE") for text in ADAS_PHONE} == {"+4915150123456"}


@pytest.mark.parametrize(
    ("region", "text", "form"),
    [
        ("GB", "07911 123456", "+447911123456"),
        ("US", "(212) 555-2368", "+12125552368"),
        ("US", "1-800-FLOWERS", "+18003569377"),
        ("MX", "55 1234 5678", "+525512345678"),
        ("IT", "06 6982 1234", "+390669821234"),
        ("AT", "0043 664 1234567", "+436641234567"),
        (None, "+41 79 123 45 67", "+41791234567"),
    ],
)
def test_numbers_are_read_by_the_rules_of_their_country(
    region: str | None, text: str, form: str
) -> None:
    assert phone(text, region) == form


@pytest.mark.parametrize(
    "text",
    ["", "Ada", "12", "0151 50123456", "+49 151 50123456 ext. 3", "+999 123", "x" * 400, "+"],
)
def test_what_is_nobodys_own_number_is_none(text: str) -> None:
    assert phone(text) is None


@pytest.mark.parametrize(
    "text",
    ["", "ada", "ada@", "@example.com", "a b@example.com", "ada@localhost", "ada@[192.0.2.1]"],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert email(text) is None
    assert email("x" * ADDRESS_MAX_CHARS + "@example.com") is None


def test_other_people_stay_others() -> None:
    people = ["ada@example.com", "a.da@example.com", "ada+news@example.com", "ada@example.org"]
    assert len({email(text) for text in people}) == len(people)


def test_international_domains_are_one_in_either_alphabet() -> None:
    spellings = ["ada@b\u00fccher.example", "ada@bu\u0308cher.example", "ada@XN--BCHER-KVA.example"]
    assert {email(text) for text in spellings} == {"ada@b\u00fccher.example"}


def test_a_provider_may_vouch_for_names_within_a_company() -> None:
    assert vouched_email(" Ada@localhost ") == "ada@localhost"
    assert vouched_email("Ada@Example.com") == email("ada@example.com")


def test_what_is_around_an_address_is_vouched_for_with_it() -> None:
    for text in ("Mallory <ada@example.com>", "mailto:ada@example.com", '"ada"@example.com'):
        assert vouched_email(text) == text.lower()
        assert email(text) == "ada@example.com"


def test_a_locale_names_its_region() -> None:
    locales = ["de-AT", "zh-Hans-CN", "en-GB-oed", "en", "es-419", None, ""]
    assert [region_of(locale) for locale in locales] == ["AT", "CN", "GB", None, None, None, None]


@given(st.text(max_size=60))
def test_a_normal_form_is_its_own_normal_form(text: str) -> None:
    for form_of in (email, phone):
        form = form_of(text)
        assert form is None or form_of(form) == form
