"""Reactions of certificates to events, and what has to be done from time to time."""

import asyncio
from pathlib import Path

from core import clock, log
from core.db import Tx
from hub.domains.certificates import service
from hub.domains.certificates.schemas import RevocationList
from hub.domains.events.schemas import Errand, Event
from hub.providers import revocation_file
from hub.providers.authority import open_authority
from hub.providers.outside import Outside

_log = log.get("certificates")


async def write_revocations(tx: Tx, _event: Event) -> Errand:
    """Tell brokers at once, by their file, what must not be accepted any more."""
    return _writing(await service.list_revoked(tx))


async def refresh(tx: Tx) -> Errand:
    """End certificates that have been followed by another one; write the brokers' file anew."""
    await service.supersede(tx)
    return _writing(await service.list_revoked(tx))


def _writing(revoked: RevocationList) -> Errand:
    async def write(outside: Outside) -> None:
        pki = outside.settings.pki
        authority = open_authority(pki)
        if authority is None or not pki.crl_path:
            return
        content = service.write_revocation_list(authority, revoked, clock.now())
        path = Path(pki.crl_path)
        if await asyncio.to_thread(revocation_file.replace, path, content, revoked.number):
            _log.info("revocations_written", certificates=len(revoked.certificates))

    return write
