"""Admits gateways at the MQTT broker and expels them, where its dynamic security lets us."""

from typing import Final
from uuid import UUID

from prometheus_client import Counter

from core import log
from core.actor import SYSTEM
from core.db import Tx, begin
from core.errors import DomainError
from hub.domains.admissions import service
from hub.domains.events.schemas import Errand, Event
from hub.providers import dynamic_security
from hub.providers.outside import Outside

# While the broker has not read the list of revoked certificates, such a gateway can still connect,
# without any rights; after it has, a connection from before is ended here.
_REVOKED_AGAIN_SECONDS: Final = 600.0
# Nor does it know a replaced device by its name, which is the new one's too. Two or three turns:
# each one disturbs the new device as well, for as long as it takes to connect again.
_REPLACED_AGAIN_SECONDS: Final = 150.0

_log = log.get("admissions")
_corrected = Counter(
    "pinghub_admissions_corrected", "Gateways the broker had wrong, by what was done", ["action"]
)


async def follow(_tx: Tx, event: Event) -> Errand:
    """Make the broker treat a gateway as the database says, whatever the event said."""
    gateway_id: UUID = event.subject_id

    async def settle(outside: Outside) -> None:
        if not outside.settings.mqtt.dynamic_security:
            return
        done: bool | None = None
        # Until it stands still: an errand may be overtaken on its way by that of a newer event.
        while done is not (wanted := await _is_admitted(outside, gateway_id)):
            act = dynamic_security.admit if wanted else dynamic_security.expel
            await act(outside.mqtt, [str(gateway_id)])
            done = wanted
        _log.info("gateway_admitted" if wanted else "gateway_expelled", gateway_id=str(gateway_id))

    return settle


async def reconcile(_tx: Tx) -> Errand:
    """Make the broker's gateways those of the database: it may have been wiped, or we away."""

    async def compare(outside: Outside) -> None:
        if not outside.settings.mqtt.dynamic_security:
            return
        try:
            difference = await dynamic_security.reconcile(outside.mqtt, lambda: _admitted(outside))
            async with begin(outside.system(), SYSTEM, read_only=True) as tx:
                revoked = await service.list_lately_revoked(tx, _REVOKED_AGAIN_SECONDS)
                replaced = await service.list_lately_replaced(tx, _REPLACED_AGAIN_SECONDS)
            await dynamic_security.expel(outside.mqtt, [str(item) for item in revoked])
            await dynamic_security.admit(outside.mqtt, [str(item) for item in replaced])
        except DomainError as error:
            if error.code != "service.unavailable":
                raise
            _log.warning("reconciliation_waits", reason=error.detail)
            return
        if difference.to_admit or difference.to_expel:
            admitted, expelled = len(difference.to_admit), len(difference.to_expel)
            _corrected.labels("admitted").inc(admitted)
            _corrected.labels("expelled").inc(expelled)
            _log.warning("admissions_corrected", admitted=admitted, expelled=expelled)

    return compare


async def _admitted(outside: Outside) -> set[UUID]:
    async with begin(outside.system(), SYSTEM, read_only=True) as tx:
        return await service.list_admitted(tx)


async def _is_admitted(outside: Outside, gateway_id: UUID) -> bool:
    async with begin(outside.system(), SYSTEM, read_only=True) as tx:
        return await service.is_admitted(tx, gateway_id)
