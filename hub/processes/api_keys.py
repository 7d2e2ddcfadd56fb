"""`pinghub api-key …`: API keys of users and service accounts, for operators."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Final, TypeVar
from uuid import UUID

import msgspec
from cyclopts import App, Group, Parameter
from cyclopts.validators import Number
from rich.console import Console

from core import clock, config
from core.actor import SYSTEM
from core.db import Tx
from core.errors import DomainError
from hub.domains.api_keys import service
from hub.domains.api_keys.schemas import AccountKey, ApiKeyCreated, NewApiKey, NewServiceAccount
from hub.http.scopes import MEANINGS
from hub.processes import listing
from hub.processes.system_pool import work_once

app = App(
    name="api-key",
    help="API keys of users and service accounts, as the operator of the hub sees them.",
    help_format="markdown",
    group_commands=Group("Commands"),
)
AsJson = Annotated[bool, Parameter(name="--json", negative="")]
_Found = TypeVar("_Found")
_PAGE: Final = 200
# The audit log says by which way it was done.
_OPERATOR: Final = msgspec.structs.replace(SYSTEM, endpoint="pinghub api-key")


@app.command(
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub api-key create billing --new-account Billing --scopes taps:read`  a service"
        " account and its first key\n\n"
        "- `pinghub api-key create report --account 0198… --scopes taps:read,rings:read --days 30"
        " --json | jq -r .key`"
    )
)
def create(
    name: str,
    *,
    scopes: str,
    account: UUID | None = None,
    new_account: str = "",
    days: Annotated[int | None, Parameter(validator=Number(gte=1, lte=36_500))] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once.

    Parameters
    ----------
    name
        What the key is called in lists.
    scopes
        What it may do, separated by commas; a wrong one lists them all.
    account
        The id of a user or service account.
    new_account
        The name of a service account to make instead.
    days
        How long it works; without, until it is revoked.
    """
    if (account is None) == (not new_account):
        raise DomainError("request.invalid", "Give either --account or --new-account.")
    new = _new_key(name, scopes, days)

    async def work(tx: Tx) -> tuple[UUID, ApiKeyCreated]:
        owner = account or (await service.create_service_account(tx, _named(new_account))).id
        return owner, await service.create_key_of(tx, owner, new)

    owner, made = _with_database(work)
    if as_json:
        _print(msgspec.json.encode({"user_id": owner, **msgspec.to_builtins(made)}).decode())
    else:
        _print(f"{made.key}")
        Console(stderr=True, markup=False, highlight=False, soft_wrap=True).print(
            f"key {made.prefix} of account {owner}; it is shown this once"
        )


@app.command(name="list")
def list_keys(*, account: UUID | None = None, as_json: AsJson = False) -> None:
    """Show the keys that are not revoked, the newest first, never their secrets.

    Parameters
    ----------
    account
        Only those of one account.
    """

    async def work(tx: Tx) -> list[AccountKey]:
        found: list[AccountKey] = []
        while True:
            before = found[-1].id if found else None
            rows = await service.list_all_keys(tx, account, limit=_PAGE, before=before)
            found += rows
            if len(rows) < _PAGE:
                return found

    found = _with_database(work)
    listing.show("keys", found, _line, none="no keys that work", as_json=as_json)


@app.command
def revoke(prefix: str, *, as_json: AsJson = False) -> None:
    """End a key for good; within a second nobody takes it.

    Parameters
    ----------
    prefix
        The key's 12 characters between the underscores.
    """
    key_id = _with_database(lambda tx: service.revoke_by_prefix(tx, prefix))
    _print(msgspec.json.encode({"id": key_id}).decode() if as_json else f"revoked {prefix}")


def _line(key: AccountKey) -> str:
    used = "never used" if key.last_used_at is None else f"used {key.last_used_at:%Y-%m-%d %H:%M}"
    ends = "" if key.expires_at is None else f", ends {key.expires_at:%Y-%m-%d}"
    return f"{key.prefix}  {key.account_kind} {key.user_id}, {used}{ends}: {','.join(key.scopes)}"


def _new_key(name: str, scopes: str, days: int | None) -> NewApiKey:
    ends_at = None if days is None else clock.now() + timedelta(days=days)
    given = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    unknown = sorted(set(given) - set(MEANINGS))
    if unknown or not given:
        raise DomainError("request.invalid", f"Scopes are: {', '.join(MEANINGS)}.")
    fields = {"name": name, "scopes": given, "expires_at": ends_at}
    try:
        return msgspec.convert(fields, NewApiKey)
    except msgspec.ValidationError as error:
        raise DomainError("request.invalid", str(error)) from None


def _named(name: str) -> str:
    try:
        return msgspec.convert({"name": name}, NewServiceAccount).name
    except msgspec.ValidationError as error:
        raise DomainError("request.invalid", str(error)) from None


def _with_database(work: Callable[[Tx], Awaitable[_Found]]) -> _Found:
    return asyncio.run(work_once(config.load(), _OPERATOR, work))


def _print(text: str) -> None:
    print(text)  # noqa: T201  # a command's output
