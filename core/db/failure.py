"""What asyncpg raises, said in our words."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import asyncpg

from core.errors import CATALOGUE, DomainError

RETRY_AFTER_SECONDS: Final = 2
_RAISED_PREFIX: Final = "ping:"

# A SIGKILLed server shows as any of these, depending on what the connection was doing.
_LOST: Final = (
    OSError,  # refused, reset, host unreachable; TimeoutError is one
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,  # "cannot switch to state …" after a SIGKILL during a query
    asyncpg.OperatorInterventionError,  # shutdown, crash, starting up, cancelled by a timeout
    asyncpg.InsufficientResourcesError,  # too many connections, disk full, out of memory
    asyncpg.TransactionRollbackError,  # deadlock, serialization: the same request may succeed
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    # Before bootstrap there is no login or no database; a process waits for them as for a server.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    # A migration has changed what a prepared statement returns; the next one is prepared anew.
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
)
# The server could not store the value that the caller sent, such as text with a NUL.
_UNSTORABLE: Final = (
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.UntranslatableCharacterError,
    asyncpg.NumericValueOutOfRangeError,
    asyncpg.StringDataRightTruncationError,
)
_OF_THE_CLIENT: Final = (asyncpg.InterfaceError, asyncpg.InternalClientError)


class Conflict(Exception):  # noqa: N818  # a fact for the caller to translate, not a fault
    """A row breaks a unique, foreign-key or check constraint; services know which and answer."""

    def __init__(self, constraint_name: str) -> None:
        super().__init__(constraint_name)
        self.constraint_name = constraint_name


class Raced(DomainError):  # noqa: N818  # a fact for the caller, not a fault
    """Another transaction has changed what this serializable one read: it may succeed again."""

    def __init__(self) -> None:
        super().__init__("service.unavailable", retry_after_seconds=RETRY_AFTER_SECONDS)


@contextmanager
def translated() -> Generator[None]:
    """Turn driver errors into DomainError and Conflict; anything else passes."""
    try:
        yield
    except (OSError, asyncpg.PostgresError, *_OF_THE_CLIENT) as error:
        ours = _in_our_words(error)
        if ours is None:
            raise
        raise ours from error


def _in_our_words(error: Exception) -> Exception | None:
    """Return what callers shall see, or None for a mistake of ours, which stays visible."""
    match error:
        case asyncpg.IntegrityConstraintViolationError():
            return Conflict(getattr(error, "constraint_name", None) or "")
        case asyncpg.RaiseError():
            return _raised(str(error))
        case asyncpg.InsufficientPrivilegeError():
            return DomainError("auth.forbidden")
        case _ if isinstance(error, _LOST) or _is_closed(error):
            return Raced() if isinstance(error, asyncpg.SerializationError) else unavailable()
        # Exactly asyncpg.DataError is the client's own refusal, such as of an integer that is too
        # large; its other subclasses are mostly mistakes in our SQL.
        case _ if isinstance(error, _UNSTORABLE) or type(error) is asyncpg.DataError:
            return DomainError("request.invalid")
        case _:
            return None


def _raised(message: str) -> DomainError | None:
    code, _, detail = message.removeprefix(_RAISED_PREFIX).partition(" ")
    if not message.startswith(_RAISED_PREFIX) or code not in CATALOGUE:
        return None
    return DomainError(code, detail)


def unavailable() -> DomainError:
    """Return the error for a database that is away for now."""
    return DomainError("service.unavailable", retry_after_seconds=RETRY_AFTER_SECONDS)


def _is_closed(error: Exception) -> bool:
    # InterfaceError also stands for misuse of the driver.
    closed = ("clos", "released back to the pool")
    return isinstance(error, asyncpg.InterfaceError) and any(word in str(error) for word in closed)
