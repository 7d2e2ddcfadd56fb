"""The paths that the products' own documents name, beside those under /v1: path by path.

Whoever builds a route that a document names adds its line, and docs/rest.md says so.
"""

from collections.abc import Mapping
from typing import Final

ALIASES: Final[Mapping[str, str]] = {
    "/api/admin/audit": "/v1/admin/audit",
    "/api/events": "/v1/interactions",
    "/api/search/events": "/v1/search/interactions",
    "/api/contacts/{contact_id}/intelligence": "/v1/contacts/{contact_id}/intelligence",
}
