"""Answers that readers keep: asked again, they cost no body, and nobody gets another's."""

import pytest

from tests.fixtures.app import Running, User


@pytest.mark.req("API-03")
async def test_a_list_is_sent_again_only_when_it_has_changed(ada: User, grace: User) -> None:
    empty = await ada.client.get("/v1/conversations")
    assert empty.headers["cache-control"] == "private, no-cache"
    assert "Authorization" in empty.headers["vary"]
    known = {"If-None-Match": empty.headers["etag"]}
    again = await ada.client.get("/v1/conversations", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == empty.headers["etag"]
    assert again.headers["cache-control"] == "private, no-cache"
    assert again.headers["x-request-id"] != empty.headers["x-request-id"]
    assert "content-type" not in again.headers
    assert "content-length" not in again.headers
    await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    changed = await ada.client.get("/v1/conversations", headers=known)
    assert changed.status_code == 200
    assert len(changed.json()["items"]) == 1


async def test_whoever_asks_for_news_is_understood(ada: User) -> None:
    etag = (await ada.client.get("/v1/rings")).headers["etag"]
    for header, status in [
        ("{etag}", 304),
        ("W/{etag}", 304),
        ('"a", W/"b", {etag}', 304),
        ("*", 304),
        ('"a"', 200),
        ("", 200),
        ("nonsense", 200),
    ]:
        asked = {"If-None-Match": header.replace("{etag}", etag)}
        answer = await ada.client.get("/v1/rings", headers=asked)
        assert answer.status_code == status, header


async def test_another_account_with_the_same_cache_gets_its_own(ada: User, grace: User) -> None:
    etag = (await ada.client.get("/v1/me")).headers["etag"]
    answer = await grace.client.get("/v1/me", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.json()["full_name"]) == (200, "Grace Hopper")


async def test_who_is_refused_learns_nothing_of_tags(hub: Running, ada: User) -> None:
    etag = (await ada.client.get("/v1/me")).headers["etag"]
    async with hub.client() as stranger:
        answer = await stranger.get("/v1/me", headers={"If-None-Match": etag})
    assert answer.status_code == 401
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers


async def test_what_leads_into_an_account_and_what_failed_is_kept_nowhere(ada: User) -> None:
    for path in ("/v1/auth/development/users", "/v1/rings?limit=0", "/v1/nowhere", "/livez"):
        answer = await ada.client.get(path, headers={"If-None-Match": "*"})
        assert answer.status_code != 304
        assert answer.headers["cache-control"] == "no-store"
