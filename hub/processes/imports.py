"""`pinghub imports`: whose files are on their way, for operators; nothing of what is in them."""

import asyncio
from typing import Annotated, Final

from cyclopts import App, Group, Parameter

from core import clock, config
from hub.domains.imports import service
from hub.domains.imports.schemas import Seen
from hub.processes import listing
from hub.processes.system_pool import browse_once

app = App(
    name="imports",
    help="Files that people bring into their address books.",
    help_format="markdown",
    group_commands=Group("Commands"),
)
_SHOWN_MAX: Final = 200


@app.command(
    name="list",
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub imports list`  what is under way; what has not moved for minutes comes first,"
        " and waits for a worker: `pinghub doctor` says whether there is one\n\n"
        "- `pinghub imports list --failed --json | jq -r '.imports[].error'`  why, in the codes of"
        " docs/errors.md"
    ),
)
def list_imports(
    *,
    failed: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Show imports under way, of everybody, what has not moved for longest first; at most 200.

    Parameters
    ----------
    failed
        Those that failed instead.
    """
    found = asyncio.run(
        browse_once(
            config.load(), lambda tx: service.list_seen(tx, failed=failed, limit=_SHOWN_MAX)
        )
    )
    none = "none failed" if failed else "none under way"
    listing.show("imports", found, _told, none=none, as_json=as_json)


def _told(job: Seen) -> str:
    seconds = max(0, int((clock.now() - job.updated_at).total_seconds()))
    known = "" if job.items_total is None else f", {job.items_processed} of {job.items_total}"
    why = "" if job.error is None else f", {job.error}"
    return (
        f"{job.id}  user {job.user_id}: {job.format} {job.status}{why}{known},"
        f" last moved {seconds} s ago"
    )
