"""Documents say what the code does: generated ones are fresh, named commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from core import config
from core.errors import CATALOGUE
from hub.cli import app
from tests import documents

PROJECT = Path(__file__).parents[2]
PROSE = sorted([PROJECT / "README.md", *(PROJECT / "docs").glob("**/*.md")])
CODE = re.compile(r"`([^`\n]+)`|^\s{4,}(\S.*)$|^((?:make|pinghub) .*)$", re.MULTILINE)


def commands(program: str) -> set[str]:
    """Return the first words after `make` or `pinghub` in code of README and docs."""
    found: set[str] = set()
    for path in PROSE:
        for groups in CODE.findall(path.read_text()):
            code = "".join(groups)
            found |= set(re.findall(rf"(?:^|[/\s(]){program} ([a-z][a-z-]*)", code))
    return found


@pytest.mark.parametrize("name", documents.GENERATED)
def test_a_generated_document_is_fresh(name: str):
    written = (PROJECT / "docs" / name).read_text()
    assert written == documents.GENERATED[name](), f"run `make docs` and commit docs/{name}"


def test_the_example_settings_are_the_defaults(tmp_path: Path):
    example = (PROJECT / "docs" / "pinghub.example.toml").read_text()
    path = tmp_path / "pinghub.toml"
    path.write_text(re.sub(r"^# (\w+ = .)", r"\1", example, flags=re.MULTILINE))
    environment = {"PINGHUB_HOME": str(tmp_path / "none"), "PINGHUB_CONFIG": str(path)}
    assert config.load(environment) == config.Settings()


def test_every_error_code_is_documented():
    text = (PROJECT / "docs" / "errors.md").read_text()
    assert [code for code in CATALOGUE if f"| `{code}` |" not in text] == []


def test_every_code_that_is_raised_is_in_the_catalogue():
    raised: set[str] = set()
    for package in ("core", "firmware_bridge", "gateway", "hub"):
        for path in (PROJECT / package).rglob("*.py"):
            raised |= set(re.findall(r"DomainError\(\s*\"([^\"]+)\"", path.read_text()))
    assert raised
    assert raised <= set(CATALOGUE)


def test_make_commands_in_the_documents_exist():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert commands("make") <= targets


def test_pinghub_commands_in_the_documents_exist():
    assert commands("pinghub") <= set(app)


def test_places_in_the_architecture_exist():
    text = (PROJECT / "docs" / "architecture.md").read_text()
    places = set(re.findall(r"`([a-z_]+/[\w/.-]*)`", text))
    assert len(places) > 40
    assert [place for place in sorted(places) if not (PROJECT / place).exists()] == []


def test_every_make_command_explains_itself():
    makefile = (PROJECT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert targets is not None
    inner = {"lint", "install", "install-dev"}
    explained = set(re.findall(r"^([a-z-]+):.*## \w", makefile, re.MULTILINE))
    assert set(targets[1].split()) - inner == explained


def test_the_locks_cover_the_dependencies_of_the_project():
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_has_hashes_and_no_addresses(name: str):
    text = (PROJECT / name).read_text()
    names = re.findall(r"^[a-z0-9][^\s=]*==", text, re.MULTILINE)
    assert len(names) > 30
    assert text.count("--hash=sha256:") >= len(names)
    assert "http" not in re.sub(r"^\s*#.*$|httpx?|httpcore|httptools", "", text, flags=re.MULTILINE)


def test_the_npm_lock_has_no_addresses():
    text = (PROJECT / "package-lock.json").read_text()
    assert '"integrity"' in text
    assert '"resolved"' not in text
