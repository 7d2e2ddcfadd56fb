"""The page has words for whatever the hub says of an import."""

import re
from pathlib import Path
from typing import get_args

import pytest

from hub.domains.imports.formats.found import ProblemCode, RemarkCode

WORDS = (Path(__file__).parents[3] / "hub/console/static/words.js").read_text()


@pytest.mark.parametrize(
    ("name", "codes"), [("IMPORT_PROBLEMS", ProblemCode), ("IMPORT_REMARKS", RemarkCode)]
)
def test_each_code_of_an_import_has_words(name: str, codes: object) -> None:
    listed = re.search(rf"const {name} = \{{\n(.+?)\n}};", WORDS, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r"^  (\w+):", listed[1], re.MULTILINE)) == set(get_args(codes))
