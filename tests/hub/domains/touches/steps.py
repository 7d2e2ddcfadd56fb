"""Steps of the tests of touches."""

from core.actor import SYSTEM
from core.db import begin
from hub.domains.touches import service
from tests.fixtures.touching import Meetings, Wearer

Worn = tuple[Wearer, Wearer]
HOUR_MS = 3_600_000
EXCHANGED = ["touch.mutual", "friendship.created", "touch.exchanged"]


async def share_always(meetings: Meetings, worn: Worn) -> None:
    for wearer in worn:
        await meetings.share(wearer.user, "always")


async def states(meetings: Meetings, worn: Worn) -> list[list[str]]:
    return [[item["state"] for item in await meetings.touches(wearer.user)] for wearer in worn]


async def ask(meetings: Meetings) -> None:
    """Look for the owners of all lone halves, as if each had waited long enough."""
    await meetings.admin.execute("UPDATE touches SET created_at = now() - interval '1 minute'")
    await ask_once(meetings)


async def ask_once(meetings: Meetings) -> bool:
    async with begin(meetings.hub.resources.system, SYSTEM) as tx:
        return await service.ask_owners(tx, meetings.hub.resources.cipher)
