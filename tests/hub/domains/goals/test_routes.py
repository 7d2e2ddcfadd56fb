"""Goals over REST: states that follow each other, tags, and what is told and counted."""

from typing import Any

import pytest

from hub.domains.goals import service
from tests.fixtures.app import User, idempotency_key

GOAL = {"kind": "mentor", "intention": "Learn to build engines", "timeline": "near_term"}


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def add(user: User, **more: Any) -> dict[str, Any]:
    answer = await user.client.post("/v1/goals", json=GOAL | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.req("GOL-01")
async def test_a_goal_is_achieved_once_and_for_good(ada: User, admin: Any) -> None:
    contact = await ada.client.post("/v1/contacts", json={"full_name": "Charles Babbage"})
    made = await add(ada, contact_id=contact.json()["id"], success_criteria="It computes.")
    assert {**made, **GOAL, "status": "active", "achieved_at": None, "tag_ids": []} == made
    path = f"/v1/goals/{made['id']}"
    achieved = await ada.client.patch(path, json={"status": "achieved"})
    assert achieved.json()["achieved_at"] is not None
    again = await ada.client.patch(path, json={"status": "achieved", "timeline": "evergreen"})
    assert again.json()["achieved_at"] == achieved.json()["achieved_at"]
    for status in ("active", "abandoned"):
        answer = await ada.client.patch(path, json={"status": status})
        assert refusal(answer) == (409, "goal.status_invalid")
    told = await admin.fetch(
        "SELECT type, payload ->> 'goal_id' AS id FROM events WHERE type LIKE 'goal.%' ORDER BY id"
    )
    assert sorted(tuple(row) for row in told) == [
        ("goal.achieved", made["id"]),
        ("goal.set", made["id"]),
    ]


async def test_what_was_abandoned_becomes_active_before_it_is_achieved(ada: User) -> None:
    path = f"/v1/goals/{(await add(ada))['id']}"
    assert (await ada.client.patch(path, json={"status": "abandoned"})).status_code == 200
    answer = await ada.client.patch(path, json={"status": "achieved"})
    assert refusal(answer) == (409, "goal.status_invalid")
    assert (await ada.client.patch(path, json={"status": "active"})).status_code == 200
    assert (await ada.client.patch(path, json={"status": "achieved"})).status_code == 200


@pytest.mark.req("GOL-02")
async def test_goals_are_sorted_by_tags(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = (await ada.client.get("/v1/goal-tags")).json()
    assert len({tag["name"] for tag in tags}) == len(tags) > 1
    tagged, other = await add(ada), await add(ada, intention="Sleep")
    path = f"/v1/goals/{tagged['id']}"
    for _ in range(2):
        answer = await ada.client.put(f"{path}/tags/{tags[0]['id']}")
        assert answer.status_code == 204
    assert (await ada.client.get(path)).json()["tag_ids"] == [tags[0]["id"]]
    found = await ada.client.get("/v1/goals", params={"tag_id": tags[0]["id"]})
    assert [goal["id"] for goal in found.json()["items"]] == [tagged["id"]]
    answer = await ada.client.put(f"{path}/tags/{other['id']}")
    assert refusal(answer) == (404, "goal.tag_not_found")
    monkeypatch.setattr(service, "TAGS_MAX", 1)
    answer = await ada.client.put(f"{path}/tags/{tags[1]['id']}")
    assert refusal(answer) == (409, "goal.tag_limit")
    assert (await ada.client.delete(f"{path}/tags/{tags[0]['id']}")).status_code == 204
    assert (await ada.client.get(path)).json()["tag_ids"] == []


async def test_nobody_else_sees_changes_or_names_a_goal(ada: User, grace: User) -> None:
    path = f"/v1/goals/{(await add(ada))['id']}"
    [tag, *_] = (await grace.client.get("/v1/goal-tags")).json()
    assert (await grace.client.get("/v1/goals")).json()["items"] == []
    for method, where in (
        ("GET", path),
        ("PATCH", path),
        ("DELETE", path),
        ("PUT", f"{path}/tags/{tag['id']}"),
        ("DELETE", f"{path}/tags/{tag['id']}"),
    ):
        body = {"intention": "Mine"} if method == "PATCH" else None
        answer = await grace.client.request(method, where, json=body)
        assert refusal(answer) == (404, "goal.not_found"), (method, where)
    contact = await ada.client.post("/v1/contacts", json={"full_name": "Charles Babbage"})
    theirs = {"contact_id": contact.json()["id"]}
    assert refusal(await grace.client.post("/v1/goals", json=GOAL | theirs))[1] == (
        "contact.not_found"
    )
    own = f"/v1/goals/{(await add(grace))['id']}"
    assert refusal(await grace.client.patch(own, json=theirs))[1] == "contact.not_found"


async def test_a_goal_is_set_once_changed_as_it_was_read_and_removed(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = idempotency_key()
    made, again = [await ada.client.post("/v1/goals", json=GOAL, headers=key) for _ in range(2)]
    assert made.content == again.content
    path = f"/v1/goals/{made.json()['id']}"
    read = (await ada.client.get(path)).headers["etag"]
    await ada.client.patch(path, json={"success_criteria": "Three times."})
    answer = await ada.client.patch(path, json={"kind": "job"}, headers={"If-Match": read})
    assert refusal(answer) == (412, "request.precondition_failed")
    monkeypatch.setattr(service, "GOALS_MAX", 1)
    assert refusal(await ada.client.post("/v1/goals", json=GOAL)) == (409, "goal.limit")
    assert (await ada.client.delete(path)).status_code == 204
    assert (await ada.client.get("/v1/goals")).json()["items"] == []


async def test_no_goal_is_of_who_is_part_of_another_contact(ada: User) -> None:
    kept, merged = [
        (await ada.client.post("/v1/contacts", json={"full_name": "Ada"})).json()["id"]
        for _ in range(2)
    ]
    path = f"/v1/goals/{(await add(ada))['id']}"
    done = await ada.client.post(f"/v1/contacts/{kept}/merge", json={"merged_id": merged})
    assert done.is_success
    theirs = {"contact_id": merged}
    assert refusal(await ada.client.post("/v1/goals", json=GOAL | theirs))[1] == "contact.merged"
    assert refusal(await ada.client.patch(path, json=theirs)) == (410, "contact.merged")
