"""The world that strangers look into."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from tests.fixtures.administrator import WithRole
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import NewRing, User
from tests.fixtures.touching import Meetings
from tests.isolation.belongings import Belongings, give_everything


async def unlimited(*_args: object, **_more: object) -> None:
    """Let everything pass, as a limiter does whose Redis is away."""


@pytest_asyncio.fixture
async def world(
    meetings: Meetings,
    new_user: Callable[[str], Awaitable[User]],
    make_ring: Callable[[], Awaitable[NewRing]],
    new_key: NewKey,
    with_role: WithRole,
) -> AsyncIterator[Belongings]:
    """Return one of everything that is Ada's; requests are not counted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meetings.hub.resources.limiter, "take", unlimited)
        made = await give_everything(meetings, new_user, make_ring, new_key, with_role)
        yield made
        for client in made.askers.values():
            await client.aclose()
