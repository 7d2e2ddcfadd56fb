"""`pinghub flags …`: feature flags and cohorts, for operators."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Annotated, Final, TypeVar
from uuid import UUID

import msgspec
from cyclopts import App, Group, Parameter
from cyclopts.validators import Number

from core import config
from core.actor import SYSTEM
from core.db import Tx
from core.errors import DomainError
from hub.domains.flags import service
from hub.domains.flags.schemas import ChangeFlag, Cohort, CohortMember, Flag, Name, PutCohort
from hub.http.page import Page
from hub.processes import listing
from hub.processes.system_pool import work_once

app = App(
    name="flags",
    help="Feature flags, and the cohorts for whom they are on first.",
    help_format="markdown",
    group_commands=Group("Commands"),
)
cohorts = App(name="cohort", help="Cohorts: groups of users that flags name.")
app.command(cohorts)
AsJson = Annotated[bool, Parameter(name="--json", negative="")]
_Found = TypeVar("_Found")
_Kind = TypeVar("_Kind", bound=msgspec.Struct)
_PAGE: Final = 200
# The audit log says by which way it was done.
_OPERATOR: Final = msgspec.structs.replace(SYSTEM, endpoint="pinghub flags")


@app.command(name="list")
def list_flags(*, as_json: AsJson = False) -> None:
    """Show all flags, and for whom they are on."""
    flags = _all(lambda tx, cursor: service.list_flags(tx, limit=_PAGE, cursor=cursor))
    none = "no flags yet; `pinghub flags set <key> --enabled` makes one"
    listing.show("flags", flags, _line, none=none, as_json=as_json)


@app.command(
    name="set",
    help_epilogue=(
        "Examples:\n\n"
        "- `pinghub flags set new-cards --enabled --cohorts beta`  for a cohort\n\n"
        "- `pinghub flags set new-cards --percentage 10`  and a tenth of all others\n\n"
        "- `pinghub flags set new-cards --no-enabled`  off for everybody, at once"
    ),
)
def set_flag(
    key: str,
    *,
    enabled: bool | None = None,
    percentage: Annotated[int | None, Parameter(validator=Number(gte=0, lte=100))] = None,
    cohorts: str | None = None,
    description: str | None = None,
    as_json: AsJson = False,
) -> None:
    """Change a flag, or make it; what is not given stays. Within a second that holds everywhere.

    Parameters
    ----------
    key
        Its name: a-z, 0-9, `_`, `.` and `-`.
    enabled
        Without it the flag is off for everybody, whatever else it says.
    percentage
        Of all users; raised, it takes the flag away from nobody.
    cohorts
        For whom it is on too, separated by commas; empty for none.
    description
        What it is about.
    """
    given: dict[str, object] = {
        "enabled": enabled,
        "percentage": percentage,
        "cohorts": None if cohorts is None else _split(cohorts),
        "description": description,
    }
    change = _read({name: value for name, value in given.items() if value is not None}, ChangeFlag)
    name = _named(key)
    flag = _with_database(lambda tx: service.set_flag(tx, name, change))
    _done(flag, _line(flag), as_json=as_json)


@app.command
def remove(key: str, *, as_json: AsJson = False) -> None:
    """Remove a flag, which turns it off for everybody.

    Parameters
    ----------
    key
        Its name.
    """
    _with_database(lambda tx: service.remove_flag(tx, key))
    _done({"removed": key}, f"removed {key}", as_json=as_json)


@cohorts.command(name="list")
def list_cohorts(*, as_json: AsJson = False) -> None:
    """Show all cohorts, and whom they take by tier or role."""
    found = _all(lambda tx, cursor: service.list_cohorts(tx, limit=_PAGE, cursor=cursor))
    none = "no cohorts yet; `pinghub flags cohort set <name>` makes one"
    listing.show("cohorts", found, _cohort_line, none=none, as_json=as_json)


@cohorts.command(name="set")
def set_cohort(
    name: str, *, tiers: str = "", roles: str = "", description: str = "", as_json: AsJson = False
) -> None:
    """Make a cohort, or replace what it says; its members stay.

    Parameters
    ----------
    name
        What flags call it.
    tiers
        Whoever pays for one of these belongs to it: free, pro, enterprise.
    roles
        Whoever has one of these belongs to it: user, moderator, admin.
    description
        Who they are.
    """
    fields: dict[str, object] = {
        "tiers": _split(tiers),
        "roles": _split(roles),
        "description": description,
    }
    new, cohort_name = _read(fields, PutCohort), _named(name)
    cohort = _with_database(lambda tx: service.put_cohort(tx, cohort_name, new))
    _done(cohort, f"{cohort.name} is set", as_json=as_json)


@cohorts.command(name="remove")
def remove_cohort(name: str, *, as_json: AsJson = False) -> None:
    """Remove a cohort that no flag names.

    Parameters
    ----------
    name
        What flags called it.
    """
    _with_database(lambda tx: service.remove_cohort(tx, name))
    _done({"removed": name}, f"removed {name}", as_json=as_json)


@cohorts.command
def members(name: str, *, as_json: AsJson = False) -> None:
    """Show who was put into a cohort.

    Parameters
    ----------
    name
        The cohort.
    """
    found = _all(lambda tx, cursor: service.list_members(tx, name, limit=_PAGE, cursor=cursor))
    none = f"nobody was put into {name}"
    listing.show("members", found, _member_line, none=none, as_json=as_json)


@cohorts.command
def add(name: str, *user_ids: UUID, as_json: AsJson = False) -> None:
    """Put users into a cohort, all or none; again is harmless.

    Parameters
    ----------
    name
        The cohort.
    user_ids
        The ids of their accounts.
    """
    _of_each(user_ids, lambda tx, user_id: service.add_member(tx, name, user_id))
    _done({"added": user_ids}, f"{len(user_ids)} in {name}", as_json=as_json)


@cohorts.command
def drop(name: str, *user_ids: UUID, as_json: AsJson = False) -> None:
    """Take users out of a cohort; again is harmless.

    Parameters
    ----------
    name
        The cohort.
    user_ids
        The ids of their accounts.
    """
    _of_each(user_ids, lambda tx, user_id: service.remove_member(tx, name, user_id))
    _done({"dropped": user_ids}, f"{len(user_ids)} out of {name}", as_json=as_json)


def _line(flag: Flag) -> str:
    for_whom = ", ".join([f"{flag.percentage} %", *flag.cohorts])
    return f"{flag.key}  {'on' if flag.enabled else 'off'}  {for_whom}  {flag.description}".rstrip()


def _cohort_line(cohort: Cohort) -> str:
    taken = ", ".join((*cohort.tiers, *cohort.roles)) or "members"
    return f"{cohort.name}  {taken}  {cohort.description}".rstrip()


def _member_line(member: CohortMember) -> str:
    return f"{member.user_id}  since {member.created_at:%Y-%m-%d %H:%M}"


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _named(name: str) -> str:
    with _told():
        return msgspec.convert(name, Name)


def _read(fields: dict[str, object], kind: type[_Kind]) -> _Kind:
    with _told():
        return msgspec.convert(fields, kind)


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except msgspec.ValidationError as error:
        raise DomainError("request.invalid", str(error)) from None


def _all(ask: Callable[[Tx, str | None], Awaitable[Page[_Kind]]]) -> list[_Kind]:
    async def work(tx: Tx) -> list[_Kind]:
        found = await ask(tx, None)
        items = found.items
        while found.next_cursor is not None:
            found = await ask(tx, found.next_cursor)
            items = [*items, *found.items]
        return items

    return _with_database(work)


def _of_each(user_ids: tuple[UUID, ...], act: Callable[[Tx, UUID], Awaitable[None]]) -> None:
    async def work(tx: Tx) -> None:
        for user_id in user_ids:
            await act(tx, user_id)

    _with_database(work)


def _with_database(work: Callable[[Tx], Awaitable[_Found]]) -> _Found:
    return asyncio.run(work_once(config.load(), _OPERATOR, work))


def _done(said: object, text: str, *, as_json: bool) -> None:
    print(msgspec.json.encode(said).decode() if as_json else text)  # noqa: T201  # a command's output
