"""`make requirements`: which requirements are proved, by which tests, and which are not yet.

A requirement is named in docs/requirements.md, a proof is a test marked `req("RNG-01")`. Collecting
tests proves nothing by itself: the list is true when the suite is green.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest

CHECKLIST = Path(__file__).parent.parent / "docs" / "requirements.md"
# At the start of an item, behind another one, or behind its source; not inside a text.
_ITEM = re.compile(
    r"(?:(?<=^- )|(?<=\. )|(?<=\] ))([A-Z]{3}-\d{2}) (.+?)(?= \[|\. [A-Z]{3}-\d{2}|$)", re.MULTILINE
)


def checklist() -> dict[str, str]:
    """Return every requirement number with the beginning of its text, in the document's order."""
    return {number: text.strip() for number, text in _ITEM.findall(CHECKLIST.read_text())}


class Collector:
    """A pytest plugin that remembers which tests carry which requirement numbers."""

    def __init__(self) -> None:
        self.tests: dict[str, set[str]] = defaultdict(set)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        for marker in item.iter_markers("req"):
            for number in marker.args:
                self.tests[number].add(item.nodeid.split("[")[0])


def main() -> int:
    """Print the table; return 1 when a test claims a requirement that does not exist."""
    collector = Collector()
    code = pytest.main(["--collect-only", "-m", "", "-p", "no:terminal"], [collector])
    if code:
        print(f"collecting the tests failed: pytest exit code {int(code)}", file=sys.stderr)
        return int(code)
    required = checklist()
    for number, text in required.items():
        proofs = sorted(collector.tests.get(number, ()))
        print(f"{'proved ' if proofs else 'not yet'} {number}  {text[:90]}")
        for proof in proofs:
            print(f"                 {proof}")
    proved = sum(number in collector.tests for number in required)
    print(f"{proved} of {len(required)} requirements are proved")
    unknown = sorted(set(collector.tests) - set(required))
    for number in unknown:
        print(f"{number} is claimed by a test but is not in {CHECKLIST.name}", file=sys.stderr)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
