"""`pinghub users …`: people's roles and subscriptions, for operators."""

import asyncio
import getpass
import platform
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Literal, TypeVar
from uuid import UUID

import msgspec
from cyclopts import App, Group, Parameter

from core import config
from core.actor import SYSTEM, Actor, Role
from core.db import Tx
from hub.domains.accounts import service
from hub.domains.accounts.schemas import KnownAccount, SubscriptionStatus, SubscriptionTier
from hub.processes import listing
from hub.processes.system_pool import work_once

app = App(
    name="users",
    help="People with an account: who administers, and what is paid for.",
    help_format="markdown",
    group_commands=Group("Commands"),
)
AsJson = Annotated[bool, Parameter(name="--json", negative="")]
_Found = TypeVar("_Found")
_PAGE: Final = 200


@app.command(
    name="list",
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub users list --role admin`  who administers\n\n"
        "- `pinghub users list --name lovelace --json | jq -r '.users[].id'`"
    ),
)
def list_users(*, name: str = "", role: Role | None = None, as_json: AsJson = False) -> None:
    """Show accounts of people; that somebody looked stands in the audit log.

    Parameters
    ----------
    name
        A part of the name.
    role
        Only those with this role.
    """

    async def work(tx: Tx) -> list[KnownAccount]:
        found: list[KnownAccount] = []
        while True:
            after = found[-1].id if found else None
            rows = await service.find_accounts(tx, name=name, role=role, after=after, limit=_PAGE)
            found += rows
            if len(rows) < _PAGE:
                return found

    found = _with_database("list", work)
    none = "no such account" if name or role else "no accounts yet"
    listing.show("users", found, _told, none=none, as_json=as_json)


@app.command(
    name="grant-role",
    help_epilogue="Example: `pinghub users grant-role 0198… admin`",
)
def grant_role(
    user: UUID, role: Literal["moderator", "admin"], /, *, as_json: AsJson = False
) -> None:
    """Make somebody moderator or admin; they sign in again, and then have the role.

    Parameters
    ----------
    user
        The account's id, as `pinghub users list` shows it.
    role
        What they become.
    """
    _change("grant-role", lambda tx: service.set_role(tx, user, role), as_json=as_json)


@app.command(name="revoke-role")
def revoke_role(user: UUID, /, *, as_json: AsJson = False) -> None:
    """Take a role away: within a second their tokens open nothing, and they sign in again.

    Parameters
    ----------
    user
        The account's id.
    """
    _change("revoke-role", lambda tx: service.set_role(tx, user, "user"), as_json=as_json)


@app.command(name="set-subscription")
def set_subscription(
    user: UUID,
    tier: SubscriptionTier,
    /,
    *,
    status: SubscriptionStatus = "active",
    as_json: AsJson = False,
) -> None:
    """Say what somebody pays for.

    Parameters
    ----------
    user
        The account's id.
    tier
        What is paid for.
    status
        Whether it is paid.
    """
    _change(
        "set-subscription",
        lambda tx: service.set_subscription(tx, user, tier, status),
        as_json=as_json,
    )


def _change(command: str, work: Callable[[Tx], Awaitable[KnownAccount]], *, as_json: bool) -> None:
    changed = _with_database(command, work)
    _print(msgspec.json.encode(changed).decode() if as_json else _told(changed))


def _told(user: KnownAccount) -> str:
    last = "never" if user.last_login_at is None else f"{user.last_login_at:%Y-%m-%d %H:%M}"
    paid = f"{user.subscription_tier} {user.subscription_status}"
    return f"{user.id}  {user.full_name}: {user.role}, {paid}, last sign-in {last}"


def _operator(command: str) -> Actor:
    """Return who acts here: nobody with an account, so the audit log keeps the machine's login."""
    who = f"{getpass.getuser()}@{platform.node()}"
    return msgspec.structs.replace(SYSTEM, endpoint=f"pinghub users {command}", user_agent=who)


def _with_database(command: str, work: Callable[[Tx], Awaitable[_Found]]) -> _Found:
    return asyncio.run(work_once(config.load(), _operator(command), work))


def _print(text: str) -> None:
    print(text)  # noqa: T201  # a command's output
