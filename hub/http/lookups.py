"""Look-ups of people by their addresses: few for an account, and not many for a network either."""

from typing import Any

from litestar import Request

from core.errors import DomainError
from hub.http import limits
from hub.http.auth import client_address, user_id_of
from hub.http.deps import resources


async def take_lookups(request: Request[Any, Any, Any], addresses: int) -> None:
    """Count look-ups of that many addresses, whichever route makes them; raises limit.exceeded."""
    # The account first: one that has had its share takes nothing from others behind its address.
    counted = {
        "identity_match": str(user_id_of(request)),
        "identity_match_ip": limits.address_subject(client_address(request)),
    }
    for policy, subject in counted.items():
        allowance = await resources(request).limiter.take(policy, subject, cost=addresses)
        if allowance is not None and allowance.refused:
            raise DomainError("limit.exceeded", retry_after_seconds=allowance.wait_seconds())
