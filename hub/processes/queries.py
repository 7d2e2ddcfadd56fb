"""What `pinghub doctor` asks of PostgreSQL."""

from msgspec import Struct

from core.db import query


class Server(Struct, frozen=True):
    """The database server and its one extension."""

    version: str
    vector_version: str | None


SERVER = query(
    Server,
    """
    SELECT
      current_setting('server_version') AS version,
      (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS vector_version
    """,
)
