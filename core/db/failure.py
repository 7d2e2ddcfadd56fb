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
)
# The server could not store the value that the caller sent, such as text with a NUL.
_UNSTORABLE: Final = (
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.UntranslatableCharacterError,
    asyncpg.NumericValueOutOfRangeError,
    asyncpg.StringDataRightTruncationError,
)
_CONFIGURATION: Final = asyncpg.ClientConfigurationError


class Conflict(Exception):  # noqa: N818  # a fact for the caller to translate, not a fault
    """A row breaks a unique, foreign-key or check constraint; services know which and answer."""

    def __init__(self, constraint_name: str) -> None:
        super().__init__(constraint_name)
        self.constraint_name = constraint_name


@contextmanager
def translated() -> Generator[None]:
    """Turn driver errors into DomainError and Conflict; anything else passes."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        name: str | None = getattr(error, "constraint_name", None)
        raise Conflict(name or "") from error
    except asyncpg.RaiseError as error:
        code, _, detail = str(error).removeprefix(_RAISED_PREFIX).partition(" ")
        if not str(error).startswith(_RAISED_PREFIX) or code not in CATALOGUE:
            raise
        raise DomainError(code, detail) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise DomainError("auth.forbidden") from error
    except _UNSTORABLE as error:
        raise DomainError("request.invalid") from error
    except _LOST as error:
        raise unavailable() from error
    except asyncpg.InterfaceError as error:
        if isinstance(error, ValueError) and not isinstance(error, _CONFIGURATION):
            # Refused by the client, such as an integer that is too large for its column.
            raise DomainError("request.invalid") from error
        if not _means_lost(error):
            raise
        raise unavailable() from error


def unavailable() -> DomainError:
    """Return the error for a database that is away for now."""
    return DomainError("service.unavailable", retry_after_seconds=RETRY_AFTER_SECONDS)


def _means_lost(error: asyncpg.InterfaceError) -> bool:
    # InterfaceError also stands for misuse of the driver, which must stay visible.
    return "clos" in str(error) or "released back to the pool" in str(error)
