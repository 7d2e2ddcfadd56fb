"""The dates of certificates, compared with what the library reads; bytes that are none."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from gateway import certificate_dates

KEY = ec.generate_private_key(ec.SECP256R1())
DATES = st.integers(86_400, 4_700_000_000).map(lambda at: datetime.fromtimestamp(at, UTC))


def issued(begin: datetime, end: datetime, name: str = "ca") -> str:
    common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().issuer_name(common).subject_name(common)
    builder = builder.public_key(KEY.public_key()).serial_number(x509.random_serial_number())
    made = builder.not_valid_before(begin).not_valid_after(end).sign(KEY, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


@given(begin=DATES, seconds=st.integers(0, 10**9), name=st.text("abc", min_size=1, max_size=60))
def test_begin_and_end_are_those_that_were_signed(begin, seconds, name):
    end = begin + timedelta(seconds=seconds)
    assert certificate_dates.read(issued(begin, end, name)) == (begin, end)


def test_of_several_certificates_the_first_counts():
    first, second = (datetime(year, 1, 1, tzinfo=UTC) for year in (2030, 2040))
    chain = issued(first, first) + issued(second, second)
    assert certificate_dates.read(chain) == (first, first)


PEM = issued(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@given(cut=st.integers(0, len(PEM) - 1), text=st.text(max_size=40))
def test_what_is_no_certificate_is_refused_and_never_more_than_that(cut, text):
    for broken in (PEM[:cut], PEM[:cut] + text + PEM[cut + 1 :], text):
        try:
            certificate_dates.read(broken)
        except ValueError:
            continue


NOTHING = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"


@pytest.mark.parametrize("text", ["", NOTHING, PEM.replace("CERTIFICATE", "PUBLIC KEY")])
def test_what_holds_no_certificate_is_refused(text):
    with pytest.raises(ValueError, match=r"certificate|PEM"):
        certificate_dates.read(text)
