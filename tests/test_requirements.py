"""The traceability between requirements and tests is itself checked."""

import pytest

from tests.requirements import checklist


@pytest.fixture
def claimed_numbers(request: pytest.FixtureRequest) -> dict[str, str]:
    return {
        number: item.nodeid
        for item in request.session.items
        for marker in item.iter_markers("req")
        for number in marker.args
    }


def test_every_requirement_claimed_by_a_test_exists(claimed_numbers):
    unknown = {n: test for n, test in claimed_numbers.items() if n not in checklist()}
    assert not unknown


def test_the_checklist_is_read_completely():
    numbers = checklist()
    assert len(numbers) > 250
    assert numbers["RNG-01"].startswith("Ring tap event")
    assert numbers["RNG-05"].startswith("Taps survive loss of link")
    assert "RTM-05" in numbers
