"""Friends over REST: the newest first, page by page, whatever their profiles show to others."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.fixtures.app import User

NewUser = Callable[[str], Awaitable[User]]


async def befriend(admin: Any, one: User, other: User) -> None:
    await admin.fetchval("SELECT app.befriend($1, $2, 'request')", one.id, other.id)


async def names(user: User, **query: Any) -> tuple[list[str], str | None]:
    page = (await user.client.get("/v1/friends", params=query)).json()
    return [friend["display_name"] for friend in page["items"]], page["next_cursor"]


@pytest.mark.req("API-04")
async def test_friends_are_listed_page_by_page_the_newest_first(
    ada: User, grace: User, new_user: NewUser, admin: Any
) -> None:
    friends = [await new_user(f"Friend {number}") for number in range(5)]
    for friend in friends:
        await befriend(admin, ada, friend)
    # Of somebody else's friends nothing is told, though one shares a friend with them.
    await befriend(admin, grace, friends[0])
    shown: list[str] = []
    cursor: dict[str, str] = {}
    for expected in (2, 2, 1):
        page, following = await names(ada, limit=2, **cursor)
        assert len(page) == expected
        shown += page
        cursor = {"cursor": following} if following else {}
    assert not cursor
    assert shown == [friend.full_name for friend in reversed(friends)]
    assert (await names(grace))[0] == [friends[0].full_name]
    assert (await names(friends[0]))[0] == ["Grace Hopper", "Ada Lovelace"]


async def test_a_friend_who_shows_their_profile_to_nobody_else_is_listed(
    ada: User, grace: User, admin: Any
) -> None:
    await admin.execute("UPDATE profiles SET visibility = 'private'")
    assert await names(ada) == ([], None)
    await befriend(admin, ada, grace)
    assert (await names(ada))[0] == ["Grace Hopper"]
    await ada.client.delete(f"/v1/friends/{grace.id}")
    assert await names(ada) == ([], None)
