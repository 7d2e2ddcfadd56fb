"""`pinghub edge`: all gateways for the operator; ids only, as names are their owners'."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from cyclopts import App, Group, Parameter
from rich.console import Console

from core import config
from hub.domains.gateways import service
from hub.domains.gateways.schemas import EdgeStatus
from hub.processes.system_pool import browse_once

app = App(
    name="edge",
    help="Gateways, as the operator of the hub sees them.",
    help_format="markdown",
    group_commands=Group("Commands"),
)
app.command(
    "hub.processes.ring_batch:add_rings",
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub edge add-rings --count 5 --out rings.json`  for virtual rings: `pinghub gateway"
        " simulate --rings-file rings.json`\n\n"
        "- `pinghub edge add-rings --uid 04A1B2C3D4E5F6 --out rings.json`  with this NFC tag, set"
        " up as `pinghub ring provision` says\n\n"
        "- `jq -r '.[].claim_code' rings.json`  what to print on their cards"
    ),
)
_SHOWN_MAX: Final = 200


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub edge status`  who is online, what is wrong, what was refused today\n\n"
        "- `pinghub edge status --json | jq '.gateways[] | select(.alerts != [])'`"
    )
)
def status(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> None:
    """Show gateways (those with alerts first, at most 200), alerts, and refused taps by reason."""
    found = asyncio.run(browse_once(config.load(), lambda tx: service.edge_status(tx, _SHOWN_MAX)))
    if as_json:
        print(msgspec.json.encode(found).decode())  # noqa: T201  # a command's output
    else:
        _show(found)


def _show(found: EdgeStatus) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"gateways {found.online} online, {found.offline} offline")
    console.print(f"alerts   {_counts(found.alerts)}")
    console.print(f"refused  {_counts(found.rejected_today)} (taps of the last 24 hours)")
    for item in found.gateways:
        clock = "" if item.clock_error_ms is None else f", clock {item.clock_error_ms} ms"
        revision = _revision(item.config_rev, item.reported_rev, item.rejected_rev)
        console.print(
            f"{item.id} {item.status}, version {item.version or '-'}, config {revision},"
            f" {item.spool_pending} waiting{clock}{_days_left(item.certificate_expires_at)}"
        )
        if item.alerts:
            console.print(f"  {', '.join(item.alerts)}")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _revision(wanted: int, reported: int, rejected: int) -> str:
    if rejected == wanted and wanted > 0:
        return f"{wanted} REFUSED"
    return str(wanted) if reported >= wanted else f"{reported} of {wanted}"


def _days_left(ends_at: datetime | None) -> str:
    if ends_at is None:
        return ""
    days = (ends_at - datetime.now(UTC)).days
    return f", certificate {days} days" if days >= 0 else ", certificate ENDED"
