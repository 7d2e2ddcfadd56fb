"""How a device becomes a gateway and stays one: codes, certificates, their end."""

import os
from typing import Final
from uuid import UUID

from core.crypto import blind_index
from core.db import Tx
from hub.domains.certificates import queries, rules
from hub.domains.certificates.schemas import ClaimCode

CODE_SECONDS: Final = 15 * 60


async def new_claim_code(tx: Tx, gateway_id: UUID, index_key: bytes) -> ClaimCode:
    """Give a gateway of the actor a new claim code; a former one ends.

    Raises gateway.not_found, gateway.revoked.
    """
    code = rules.write_code(os.urandom(rules.CODE_BYTES))
    expires_at = await queries.new_code.one(
        tx, gateway_id, claim_code_hash(index_key, code), CODE_SECONDS
    )
    return ClaimCode(code, expires_at)


async def revoke_gateway(tx: Tx, gateway_id: UUID) -> None:
    """Cast a gateway of the actor out for good, with all its certificates; again is harmless.

    Raises gateway.not_found.
    """
    await queries.revoke.one(tx, gateway_id)


def claim_code_hash(index_key: bytes, code: str) -> bytes:
    """Return the blind index by which a gateway is found from its claim code."""
    return blind_index(index_key, "gateway.claim_code", rules.normalize_code(code))
