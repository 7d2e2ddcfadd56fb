"""The bands that the page draws are those that the hub computes by."""

import re
from pathlib import Path

from hub.domains.relationships import rules

CURVE = Path(__file__).parents[3] / "hub/console/static/curve.js"


def test_the_bands_behind_the_curve_are_those_of_the_rules() -> None:
    drawn = re.findall(r'band: "(\w+)", from: (\d+)', CURVE.read_text())
    assert [(band, float(low)) for band, low in drawn] == [
        (band, max(low, 0.0)) for band, low in rules.BANDS
    ]
