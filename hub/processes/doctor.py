"""`pinghub doctor`: a table of every dependency, its state, and what to do."""

import json
import sys
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from core import config
from hub.processes.checks import CHECKS, Finding

_STYLES: Final = {"ok": "green", "idle": "yellow", "failed": "bold red"}


def doctor(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> None:
    """Check every dependency; exit code 1 when one has failed.

    Parameters
    ----------
    as_json
        Print {"healthy": …, "checks": […]} instead of the table.
    """
    settings = config.load()
    findings = [check(settings) for check in CHECKS]
    healthy = all(finding.state != "failed" for finding in findings)
    if as_json:
        report = {"healthy": healthy, "checks": msgspec.to_builtins(findings)}
        print(json.dumps(report, indent=2))  # noqa: T201  # a command's output
    else:
        Console().print(_table(findings))
    sys.exit(0 if healthy else 1)


def _table(findings: list[Finding]) -> Table:
    table = Table("dependency", "state", "what was found", "what to do", box=None, pad_edge=False)
    for finding in findings:
        state = Text(finding.state, style=_STYLES[finding.state])
        table.add_row(finding.name, state, finding.detail, finding.fix)
    return table
