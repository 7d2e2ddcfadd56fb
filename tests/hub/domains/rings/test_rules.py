"""How a ring's card is read."""

import pytest

from hub.domains.rings.rules import normalize_claim_code


@pytest.mark.parametrize("spelling", ["KQ7F2MXD9TRA", "kq7f-2mxd-9tra", " KQ7F 2MXD  9TRA-"])
def test_spellings_of_one_code_are_one_code(spelling: str):
    assert normalize_claim_code(spelling) == "KQ7F2MXD9TRA"
