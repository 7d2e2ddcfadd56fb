"""PostgreSQL: one lazy transaction per unit of work, with its actor, and registered queries.

The only package that imports asyncpg. Whatever form the loss of the database takes, callers see
`DomainError("service.unavailable")`; a broken constraint is `Conflict`.
"""

from core.db.failure import Conflict, Raced
from core.db.halving import by_halves
from core.db.listen import direct_address, listen
from core.db.pool import Pool, is_pooled
from core.db.query import Command, Query, command, query
from core.db.replica import Replica
from core.db.tx import Tx, assert_no_transaction, begin, network_forbidden

__all__ = [
    "Command",
    "Conflict",
    "Pool",
    "Query",
    "Raced",
    "Replica",
    "Tx",
    "assert_no_transaction",
    "begin",
    "by_halves",
    "command",
    "direct_address",
    "is_pooled",
    "listen",
    "network_forbidden",
    "query",
]
