"""Ways to somebody: over one's own links and friends who agreed, without a name too many."""

import itertools
from typing import Any
from uuid import UUID

import pytest
from msgspec import Raw

from core import clock
from core.actor import SYSTEM
from core.db import begin
from core.ids import new_id
from hub.domains.events.schemas import Event
from hub.domains.paths import service, tasks
from tests.fixtures.app import Running, User
from tests.fixtures.consents import allow, withdraw

Graph = dict[str, UUID]


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def add_people(admin: Any, user: User, *names: str, **strengths: float) -> Graph:
    """Put contacts into an address book; who has no strength is not known."""
    return {
        name: await admin.fetchval(
            "INSERT INTO contacts (user_id, full_name, strength) VALUES ($1, $2, $3) RETURNING id",
            user.id,
            name,
            strengths.get(name, 0),
        )
        for name in names
    }


async def link(admin: Any, user: User, one: UUID, other: UUID, strength: float = 0.5) -> None:
    await admin.execute(
        """INSERT INTO contact_links (user_id, contact_a_id, contact_b_id, kind, strength)
        VALUES ($1, least($2::uuid, $3), greatest($2::uuid, $3), 'friend', $4)""",
        user.id,
        one,
        other,
        strength,
    )


async def take_back(hub: Running, admin: Any, user: User) -> None:
    """Let a user withdraw, and what follows happen."""
    await withdraw(admin, user.id, "introductions")
    gone = Event(new_id(), "consent.withdrawn", user.id, user.id, Raw(b"{}"), clock.now())
    async with begin(hub.resources.system, SYSTEM) as tx:
        await tasks.forget_person(tx, gone)


async def find(user: User, target: UUID, **more: Any) -> dict[str, Any]:
    answer = await user.client.post(
        "/v1/paths/find", json={"target_contact_id": str(target), **more}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(found: dict[str, Any]) -> list[str | None]:
    return [step["name"] for step in found["steps"]]


@pytest.mark.req("GOL-03", "GOL-04")
async def test_the_shortest_way_is_found_and_of_two_the_surer_one(ada: User, admin: Any) -> None:
    people = await add_people(admin, ada, "Ann", "Bob", "Cid", "Dan", "Eve", Ann=0.5, Bob=0.9)
    for one, other, strength in (
        ("Ann", "Cid", 0.9),
        ("Bob", "Cid", 0.8),
        ("Cid", "Dan", 0.5),
        ("Dan", "Ann", 0.05),  # too weak to introduce anybody
        ("Dan", "Bob", 0.09),
        ("Eve", "Dan", 1.0),
        ("Eve", "Cid", 0.01),
    ):
        await link(admin, ada, people[one], people[other], strength)
    found = await find(ada, people["Dan"])
    assert names(found) == ["Bob", "Cid", "Dan"]
    assert (found["length"], found["found"], found["cached"]) == (3, True, False)
    assert found["confidence"] == pytest.approx(0.9 * 0.8 * 0.5)
    assert found["explanation"] == (
        "You know Bob (90 %), who knows Cid (80 %), who knows Dan (50 %)."
    )
    assert names(await find(ada, people["Bob"])) == ["Bob"]
    assert names(await find(ada, people["Eve"])) == ["Bob", "Cid", "Dan", "Eve"]
    nearer = await find(ada, people["Eve"], hops_max=3)
    assert (nearer["found"], nearer["length"], nearer["confidence"]) == (False, 0, 0)


@pytest.mark.req("GOL-04")
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"target_name": "Grace Brewster Hopper"}, "Grace Brewster Hopper"),
        ({"target_name": "HOPPER, Grace Brewster"}, "Grace Brewster Hopper"),
        ({"target_name": "Gráce  Hopper"}, "Grace Brewster Hopper"),
        ({"target_name": "grace"}, "Grace"),  # whose whole name that is
        ({"target_company": " navy "}, "Grace Brewster Hopper"),
        ({"target_role": "Rear admiral"}, "Grace Brewster Hopper"),
        ({"target_name": "Hopper", "target_company": "Navy"}, "Grace Brewster Hopper"),
        ({"target_name": "Hopper", "target_company": "Army"}, None),
        ({"target_name": "Hop"}, None),
        ({"target_name": "Navy"}, None),
        ({"target_name": "%"}, None),
    ],
)
async def test_a_target_is_found_by_what_one_knows_of_them(
    ada: User, admin: Any, asked: dict[str, str], found: str | None
) -> None:
    people = await add_people(admin, ada, "Ann", "Grace Brewster Hopper", "Grace", Ann=0.5)
    await admin.execute(
        "UPDATE contacts SET company = 'Navy', job_title = 'Rear Admiral' WHERE id = $1",
        people["Grace Brewster Hopper"],
    )
    for name in ("Grace Brewster Hopper", "Grace"):
        await link(admin, ada, people["Ann"], people[name])
    answer = await ada.client.post("/v1/paths/find", json=asked)
    if found is None:
        assert refusal(answer) == (404, "path.target_unknown")
    else:
        assert names(answer.json()) == ["Ann", found]


async def test_six_hops_are_found_and_seven_are_not_and_cycles_end(ada: User, admin: Any) -> None:
    chain = await add_people(admin, ada, *(f"P{n}" for n in range(1, 8)), P1=1.0)
    for one, other in itertools.pairwise(chain.values()):
        await link(admin, ada, one, other)
    await link(admin, ada, chain["P7"], chain["P5"])
    await link(admin, ada, chain["P2"], chain["P4"], 0.01)
    assert (await find(ada, chain["P6"]))["length"] == 6
    assert (await find(ada, chain["P5"]))["length"] == 5
    await admin.execute(
        "DELETE FROM contact_links WHERE contact_b_id = $1 AND contact_a_id = $2",
        max(chain["P5"], chain["P7"]),
        min(chain["P5"], chain["P7"]),
    )
    assert (await find(ada, chain["P7"]))["found"] is False


@pytest.mark.req("GOL-05")
async def test_an_answer_is_kept_until_something_of_it_changes(ada: User, admin: Any) -> None:
    people = await add_people(admin, ada, "Ann", "Bob", Ann=0.5)
    assert (await find(ada, people["Bob"]))["found"] is False
    assert (await find(ada, people["Bob"]))["cached"] is True
    await link(admin, ada, people["Ann"], people["Bob"])
    fresh = await find(ada, people["Bob"])
    assert (fresh["length"], fresh["cached"]) == (2, False)
    assert (await find(ada, people["Bob"])) == fresh | {"cached": True}
    assert (await find(ada, people["Bob"], hops_max=5))["cached"] is False
    await ada.client.delete(f"/v1/contacts/{people['Ann']}")
    assert (await find(ada, people["Bob"]))["found"] is False
    await admin.execute("UPDATE contacts SET strength = 0.4 WHERE id = $1", people["Bob"])
    assert (await find(ada, people["Bob"]))["length"] == 1  # at once, now that they have met
    await admin.execute("UPDATE contacts SET strength = 0.3 WHERE id = $1", people["Bob"])
    assert (await find(ada, people["Bob"]))["cached"] is True
    await admin.execute("UPDATE path_searches SET searched_at = now() - interval '61 minutes'")
    assert (await find(ada, people["Bob"]))["cached"] is False


async def test_what_is_too_old_is_forgotten(hub: Running, ada: User, admin: Any) -> None:
    people = await add_people(admin, ada, "Ann")
    await find(ada, people["Ann"])
    await admin.execute("UPDATE path_searches SET searched_at = now() - interval '61 minutes'")
    await admin.execute(
        "INSERT INTO graph_changes VALUES ($1, '3', now() - interval '1 day')", ada.id
    )
    async with begin(hub.resources.system, SYSTEM) as tx:
        assert not await tasks.purge(tx)
    assert not await admin.fetchval("SELECT count(*) FROM path_searches")
    assert not await admin.fetchval("SELECT count(*) FROM graph_changes WHERE xid = '3'")


@pytest.fixture
async def friends(
    ada: User, grace: User, new_user: Any, admin: Any
) -> tuple[User, User, User, UUID]:
    """Return Ada, her friend Grace, Grace's contact Hedy, and Hedy in Ada's address book."""
    hedy: User = await new_user("Hedy Lamarr")
    await admin.execute("SELECT app.befriend($1, $2, 'ring_tap')", ada.id, grace.id)
    target = (await add_people(admin, ada, "Hedy"))["Hedy"]
    await admin.execute(
        "UPDATE contacts SET linked_user_id = $2, linked_by = 'match' WHERE id = $1",
        target,
        hedy.id,
    )
    known = await add_people(admin, grace, "H. L., private", **{"H. L., private": 0.7})
    await admin.execute(
        "UPDATE contacts SET linked_user_id = $2, linked_by = 'match' WHERE id = $1",
        *known.values(),
        hedy.id,
    )
    return ada, grace, hedy, target


async def test_a_friend_is_on_the_way_only_while_both_sides_agree(
    friends: tuple[User, User, User, UUID], admin: Any
) -> None:
    ada, grace, hedy, target = friends
    assert (await find(ada, target))["found"] is False
    await allow(admin, grace.id, "introductions")
    assert (await find(ada, target))["found"] is False
    await allow(admin, hedy.id, "introductions")
    await admin.execute("DELETE FROM path_searches")  # others' news may be an hour late
    found = await find(ada, target)
    assert names(found) == ["Grace Hopper", "Hedy"]
    assert found["confidence"] == pytest.approx(0.6 * 0.7)
    assert (await find(ada, target))["cached"] is True
    # What is taken back is gone at once, also from what was kept.
    await withdraw(admin, grace.id, "introductions")
    assert (await find(ada, target))["found"] is False


async def test_whoever_takes_their_word_back_leaves_what_was_kept(
    hub: Running, friends: tuple[User, User, User, UUID], admin: Any
) -> None:
    ada, grace, hedy, target = friends
    for user in (grace, hedy):
        await allow(admin, user.id, "introductions")
    kept = await ada.client.post("/v1/paths", json={"target_contact_id": str(target)})
    path = f"/v1/paths/{kept.json()['id']}"
    assert names((await ada.client.get(path)).json()) == ["Grace Hopper", "Hedy"]
    await take_back(hub, admin, grace)
    left = (await ada.client.get(path)).json()
    assert (names(left), left["status"]) == ([None, "Hedy"], "blocked")


async def test_a_way_over_one_s_own_links_needs_nobody_s_word_and_says_nothing_of_it(
    hub: Running, friends: tuple[User, User, User, UUID], admin: Any
) -> None:
    ada, _, hedy, target = friends
    known = await add_people(admin, ada, "Ann", Ann=0.9)
    await link(admin, ada, known["Ann"], target)
    await allow(admin, hedy.id, "introductions")
    kept = await ada.client.post("/v1/paths", json={"target_contact_id": str(target)})
    assert [step["person_id"] for step in kept.json()["steps"]] == [None, None]
    await take_back(hub, admin, hedy)
    path = f"/v1/paths/{kept.json()['id']}"
    assert (await ada.client.get(path)).json() == kept.json()


async def test_a_contact_that_a_friend_removes_leads_nowhere_at_once(
    friends: tuple[User, User, User, UUID], admin: Any
) -> None:
    ada, grace, hedy, target = friends
    for user in (grace, hedy):
        await allow(admin, user.id, "introductions")
    assert (await find(ada, target))["found"] is True
    assert (await find(ada, target))["cached"] is True
    await admin.execute("DELETE FROM contacts WHERE user_id = $1 AND NOT is_self", grace.id)
    assert (await find(ada, target))["found"] is False


async def test_whoever_blocks_is_on_no_way(
    friends: tuple[User, User, User, UUID], admin: Any
) -> None:
    ada, grace, hedy, target = friends
    for user in (grace, hedy):
        await allow(admin, user.id, "introductions")
    assert (await find(ada, target))["found"] is True
    assert (await hedy.client.put(f"/v1/blocks/{grace.id}")).status_code == 204
    assert (await find(ada, target))["found"] is False


async def test_of_friends_contacts_no_word_goes_over(
    friends: tuple[User, User, User, UUID], new_user: Any, admin: Any
) -> None:
    ada, grace, hedy, target = friends
    # Hedy is known by Ida, whom Grace knows; Ida's profile is for her friends.
    ida: User = await new_user("Ida Rhodes")
    for user in (grace, hedy, ida):
        await allow(admin, user.id, "introductions")
    await admin.execute(
        "UPDATE contacts SET linked_user_id = $1 WHERE user_id = $2 AND linked_user_id IS NOT NULL",
        ida.id,
        grace.id,
    )
    await admin.execute("SELECT app.befriend($1, $2, 'ring_tap')", ida.id, hedy.id)
    answer = await ada.client.post("/v1/paths/find", json={"target_contact_id": str(target)})
    assert names(answer.json()) == ["Grace Hopper", None, "Hedy"]
    assert "who knows somebody (70 %)" in answer.json()["explanation"]
    for secret in ("Ida", "private", "H. L.", str(ida.id)):
        assert secret not in answer.text
    # One who is in nobody's book but Grace's is no part of anything.
    unlinked = await add_people(admin, grace, "Zoe", Zoe=1.0)
    await link(
        admin,
        grace,
        unlinked["Zoe"],
        *(
            row["id"]
            for row in await admin.fetch(
                "SELECT id FROM contacts WHERE user_id = $1 AND linked_user_id = $2",
                grace.id,
                ida.id,
            )
        ),
    )
    assert (await ada.client.post("/v1/paths/find", json={"target_name": "Zoe"})).status_code == 404


@pytest.mark.req("GOL-03")
async def test_a_path_is_kept_for_a_goal_until_it_is_completed(
    ada: User, grace: User, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await add_people(admin, ada, "Ann", "Bob", "Cid", Ann=0.5)
    await link(admin, ada, people["Ann"], people["Bob"])
    await admin.execute(
        "UPDATE contacts SET company = 'Engines', job_title = 'Engineer' WHERE id = $1",
        people["Bob"],
    )
    goal = (await ada.client.post("/v1/goals", json={"kind": "job", "intention": "Work"})).json()
    asked = {"target_company": "ENGINES", "target_role": "engineer", "goal_id": goal["id"]}
    made = await ada.client.post("/v1/paths", json=asked)
    assert made.status_code == 201, made.text
    assert (made.json()["length"], names(made.json()), made.json()["status"]) == (
        2,
        ["Ann", "Bob"],
        "identified",
    )
    path = f"/v1/paths/{made.json()['id']}"
    changed = await ada.client.patch(path, json={"status": "in_progress", "goal_id": None})
    assert (changed.json()["status"], changed.json()["goal_id"]) == ("in_progress", None)
    listed = await ada.client.get("/v1/paths", params={"status": "in_progress"})
    assert listed.json()["items"] == [changed.json()]
    for method, body in (("GET", None), ("PATCH", {"status": "blocked"}), ("DELETE", None)):
        answer = await grace.client.request(method, path, json=body)
        assert refusal(answer) == (404, "path.not_found")
    foreign = await grace.client.post(
        "/v1/paths/find", json={"target_contact_id": str(people["Bob"])}
    )
    assert refusal(foreign) == (404, "path.target_unknown")
    answer = await ada.client.post("/v1/paths", json={"target_contact_id": str(people["Cid"])})
    assert refusal(answer) == (409, "path.none")
    assert refusal(await ada.client.post("/v1/paths/find", json={})) == (422, "path.target_missing")
    monkeypatch.setattr(service, "PATHS_MAX", 1)
    assert refusal(await ada.client.post("/v1/paths", json=asked)) == (409, "path.limit")
    assert (await ada.client.delete(path)).status_code == 204
