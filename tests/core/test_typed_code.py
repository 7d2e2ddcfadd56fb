"""Codes as people read and type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import typed_code

codes = st.one_of(st.binary(min_size=8, max_size=8), st.binary(min_size=10, max_size=10))


@given(random=codes)
def test_a_code_survives_how_people_type_it(random: bytes) -> None:
    code = typed_code.write(random)
    plain = typed_code.normalize(code)
    groups = {8: 3, 10: 4}[len(random)]
    assert [len(group) for group in code.split("-")] == [4] * groups
    assert len(plain) == 4 * groups
    assert not set(plain) & set("ILOU")
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert typed_code.normalize(typed) == plain


@given(one=st.binary(min_size=10, max_size=10), other=st.binary(min_size=10, max_size=10))
def test_codes_of_different_random_bytes_differ(one: bytes, other: bytes) -> None:
    assert (typed_code.write(one) == typed_code.write(other)) == (one == other)


@pytest.mark.parametrize("spelling", ["KQ7F2MXD9TRA", "kq7f-2mxd-9tra", " KQ7F 2MXD  9TRA-"])
def test_spellings_of_one_code_are_one_code(spelling: str) -> None:
    assert typed_code.normalize(spelling) == "KQ7F2MXD9TRA"
