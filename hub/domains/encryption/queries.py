"""SQL of data keys, and of passing over every sealed value."""

from uuid import UUID

from msgspec import Struct

from core.db import command, query
from hub.domains.encryption.schemas import ColumnUse, StoredKey

list_keys = query(
    StoredKey,
    """
    SELECT id, scope, number, wrapped, wrapped_by,
        extract(epoch FROM seals_from - now())::float8 AS seals_in_seconds, created_at
    FROM data_keys
    ORDER BY scope, number
    """,
    login="system",
)

add_key = command(
    """
    INSERT INTO data_keys (id, scope, number, wrapped, wrapped_by, seals_from)
    VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
    ON CONFLICT DO NOTHING
    """,
    login="system",
)

rewrap_key = command(
    """
    UPDATE data_keys
    SET wrapped = $3, wrapped_by = $4
    WHERE id = $1 AND wrapped = $2
    """,
    login="system",
)

retire_key = command(
    """
    UPDATE data_keys
    SET wrapped = NULL, wrapped_by = NULL, retired_at = now()
    WHERE id = $1 AND retired_at IS NULL
    """,
    login="system",
)


class SealedRow(Struct, frozen=True):
    """A sealed value and the row that it is bound to."""

    row_id: UUID
    sealed: bytes


find_sealed = query(
    SealedRow,
    """
    SELECT row_id, sealed
    FROM app.find_sealed($1, $2, $3, $4, $5, $6)
    ORDER BY row_id
    """,
    login="system",
)

reseal = query(int, "SELECT app.reseal($1, $2, $3, $4, $5, $6)", login="system")

count_sealed = query(
    ColumnUse,
    """
    SELECT mark, amount AS values
    FROM app.count_sealed($1, $2)
    ORDER BY mark
    """,
    login="system",
)

count_indexes = query(
    ColumnUse,
    """
    SELECT mark, amount AS values
    FROM app.count_indexes($1, $2)
    ORDER BY mark
    """,
    login="system",
)
