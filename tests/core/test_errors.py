"""The catalogue of errors is complete and consistent."""

import ast
import re
from http import HTTPStatus
from pathlib import Path

import pytest

import core
from core.errors import CATALOGUE, DomainError

ROOT = Path(core.__file__).parent.parent


def raised_codes() -> set[str]:
    """Return every code that our sources raise literally, in Python and in SQL."""
    found: set[str] = set()
    for package in ("core", "hub", "gateway", "firmware_bridge"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id == "DomainError"
                    and node.args
                    and isinstance(node.args[0], ast.Constant)
                ):
                    found.add(str(node.args[0].value))
    for path in (ROOT / "migrations").rglob("*.sql"):
        found |= set(re.findall(r"EXCEPTION 'ping:([a-z_.]+)", path.read_text()))
    return found


@pytest.mark.parametrize("code", CATALOGUE)
def test_a_code_has_a_status_a_title_and_a_remedy(code: str) -> None:
    spec = CATALOGUE[code]
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", code)
    assert 400 <= HTTPStatus(spec.status) < 600
    assert spec.title
    assert spec.title[0].isupper()
    assert not spec.title.endswith(".")
    assert spec.remedy.endswith(".")


def test_every_code_that_is_raised_is_in_the_catalogue() -> None:
    found = raised_codes()
    assert {"service.unavailable", "ring.claim_refused"} <= found
    assert found <= set(CATALOGUE)


def test_an_error_tells_its_remedy_unless_it_has_something_better() -> None:
    error = DomainError("ring.not_found")
    assert (error.status, error.detail) == (404, CATALOGUE["ring.not_found"].remedy)
    assert DomainError("ring.not_found", "No ring here.").detail == "No ring here."
    assert error.errors == []


def test_a_code_that_does_not_exist_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        DomainError("no.such_code")
