"""Claims over REST: code, proof, parting; what is repeated, doubled or wrong changes nothing."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from core.actor import SYSTEM
from core.db import begin
from core.ids import new_id
from firmware_bridge import claim, sun
from firmware_bridge.claim import Challenge, Proof
from firmware_bridge.sun_keys import tag_keys
from firmware_bridge.virtual import key_slots
from firmware_bridge.virtual.key_slots import KeySlots
from hub.domains.claims import rules, service
from tests.fixtures.app import SUN_MASTER_KEY, NewRing, User


class Held:
    """A ring in somebody's hand, as far as claims go."""

    def __init__(self, ring: NewRing) -> None:
        self.ring_id = ring.device_id
        self.slots = KeySlots()
        self.seq = 0
        self._key = ring.tap_key

    @property
    def key(self) -> bytes:
        return self._key if self.slots.keys is None else self.slots.keys.tap_key

    def prove(self, started: dict[str, Any]) -> dict[str, Any]:
        """Press the ring, let it answer a claim; return the body of the proof."""
        self.seq += 1
        challenge = Challenge(
            nonce=bytes.fromhex(started["nonce"]),
            hub_public_key=bytes.fromhex(started["hub_public_key"]),
        )
        self.slots = key_slots.answer(
            self.slots,
            challenge,
            ring_id=self.ring_id,
            key=self.key,
            private_key=claim.new_private_key(),
            boot=1,
            seq=self.seq,
        )
        assert self.slots.pending is not None
        return body_of(self.slots.pending.proof)

    def confirm(self, tag: str) -> None:
        confirmed = key_slots.confirm(self.slots, bytes.fromhex(tag))
        assert confirmed is not None
        self.slots = confirmed


def body_of(proof: Proof) -> dict[str, Any]:
    return {
        "kind": "ble",
        "ring_public_key": proof.ring_public_key.hex(),
        "boot": proof.boot,
        "seq": proof.seq,
        "tag": proof.tag.hex(),
    }


async def start(user: User, code: str, label: str = "Work") -> dict[str, Any]:
    answer = await user.client.post("/v1/ring-claims", json={"claim_code": code, "label": label})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def prove(user: User, started: dict[str, Any], body: dict[str, Any]) -> Any:
    return await user.client.post(f"/v1/ring-claims/{started['id']}/proof", json=body)


async def events_of(system_pool: Any) -> list[str]:
    async with system_pool.connection() as connection:
        return [row[0] for row in await connection.fetch("SELECT type FROM events ORDER BY id")]


@pytest.mark.req("RNG-05")
async def test_a_ring_is_claimed_by_its_code_and_its_proof(ada: User, make_ring, system_pool):
    ring = await make_ring()
    held = Held(ring)
    started = await start(ada, ring.claim_code)
    assert (started["status"], started["ring"], started["methods"]) == (
        "open",
        {"kind": "dual"},
        ["ble"],
    )
    assert started["ring_id"] is None
    assert (await ada.client.get("/v1/rings")).json()["items"] == []
    answer = await prove(ada, started, held.prove(started))
    assert answer.status_code == 200, answer.text
    owned = answer.json()["ring"]
    assert (owned["id"], owned["label"], owned["status"], owned["verified"]) == (
        str(ring.id),
        "Work",
        "active",
        True,
    )
    held.confirm(answer.json()["confirmation"])
    assert (await ada.client.get("/v1/rings")).json()["items"] == [owned]
    shown = (await ada.client.get(f"/v1/ring-claims/{started['id']}")).json()
    assert (shown["status"], shown["ring_id"]) == ("done", str(ring.id))
    assert await events_of(system_pool) == ["ring.claimed"]


async def test_lost_answers_are_given_again(ada: User, make_ring, system_pool):
    ring = await make_ring()
    held = Held(ring)
    started = await start(ada, ring.claim_code)
    assert await start(ada, ring.claim_code.lower()) == started
    body = held.prove(started)
    first = await prove(ada, started, body)
    second = await prove(ada, started, body)
    assert (first.status_code, first.content) == (200, second.content)
    assert (await start(ada, ring.claim_code))["status"] == "done"
    other = await prove(ada, started, body | {"seq": 7})
    assert (other.status_code, other.json()["code"]) == (409, "ring.claim_closed")
    assert await events_of(system_pool) == ["ring.claimed"]


async def test_of_parallel_claims_one_wins(ada: User, grace: User, make_ring):
    ring = await make_ring()
    held = Held(ring)
    users = (ada, grace)
    started = [await start(user, ring.claim_code) for user in users]
    bodies = [held.prove(item) for item in started]
    answers = await asyncio.gather(
        *(prove(*item) for item in zip(users, started, bodies, strict=True))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (loser,) = [answer for answer in answers if answer.status_code == 409]
    assert loser.json()["code"] == "ring.claim_refused"
    owners = [(await user.client.get("/v1/rings")).json()["items"] for user in users]
    assert sorted(map(len, owners)) == [0, 1]
    again = await ada.client.post("/v1/ring-claims", json={"claim_code": "AAAA-BBBB-CCCC"})
    assert (again.status_code, again.json()["code"]) == (409, "ring.claim_refused")


async def test_wrong_proofs_change_nothing_and_are_limited(
    ada: User, make_ring, system_pool, admin
):
    ring = await make_ring()
    held = Held(ring)
    started = await start(ada, ring.claim_code)
    good = held.prove(started)
    before = await admin.fetchrow("SELECT * FROM rings")
    for field in ("tag", "ring_public_key"):
        wrong = good | {field: "0" * len(good[field])}
        refused = await prove(ada, started, wrong)
        assert (refused.status_code, refused.json()["code"]) == (409, "ring.proof_refused")
    assert await admin.fetchrow("SELECT * FROM rings") == before
    for seq in range(100, 100 + rules.ATTEMPTS_MAX - 2):
        assert (await prove(ada, started, good | {"seq": seq})).status_code == 409
    closed = await prove(ada, started, good)
    assert (closed.status_code, closed.json()["code"]) == (409, "ring.claim_closed")
    assert await admin.fetchval("SELECT hub_private_key FROM ring_claims") is None
    # A new claim of the same ring works: only that one was given up.
    started = await start(ada, ring.claim_code)
    assert (await prove(ada, started, held.prove(started))).status_code == 200


async def test_who_is_refused_again_and_again_has_to_wait(ada: User, make_ring, admin):
    ring = await make_ring()
    for _ in range(rules.REFUSED_PER_HOUR_MAX):
        await start(ada, ring.claim_code)
        await admin.execute("UPDATE ring_claims SET status = 'refused'")
    answer = await ada.client.post("/v1/ring-claims", json={"claim_code": ring.claim_code})
    assert (answer.status_code, answer.json()["code"]) == (429, "limit.exceeded")


async def test_an_expired_claim_is_closed_and_purged(ada: User, make_ring, admin, system_pool):
    ring = await make_ring()
    held = Held(ring)
    started = await start(ada, ring.claim_code)
    await admin.execute("UPDATE ring_claims SET expires_at = now()")
    late = await prove(ada, started, held.prove(started))
    assert (late.status_code, late.json()["code"]) == (409, "ring.claim_closed")
    fresh = await start(ada, ring.claim_code)
    assert fresh["id"] != started["id"]
    assert fresh["nonce"] != started["nonce"]
    gone = await ada.client.get(f"/v1/ring-claims/{started['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "ring.claim_not_found")


async def test_old_claims_are_forgotten_but_not_a_confirmation_that_is_still_needed(
    ada: User, make_ring, admin, system_pool
):
    rings = [await make_ring() for _ in range(3)]
    helds = [Held(ring) for ring in rings]
    for ring, held in zip(rings[:2], helds[:2], strict=True):
        await claimed(ada, held, ring.claim_code)
    await start(ada, rings[2].claim_code)
    await admin.execute("UPDATE rings SET next_tap_key = NULL WHERE id = $1", rings[0].id)
    await admin.execute("UPDATE ring_claims SET expires_at = now() - interval '2 days'")
    async with begin(system_pool, SYSTEM) as tx:
        assert not await service.purge(tx)
    left = await admin.fetch("SELECT ring_id FROM ring_claims")
    assert [row["ring_id"] for row in left] == [rings[1].id]


async def test_others_claims_do_not_exist(ada: User, grace: User, make_ring):
    ring = await make_ring()
    held = Held(ring)
    started = await start(ada, ring.claim_code)
    path = f"/v1/ring-claims/{started['id']}"
    for answer in (
        await grace.client.get(path),
        await prove(grace, started, held.prove(started)),
        await grace.client.post(f"/v1/development/ring-claims/{started['id']}/press"),
        await grace.client.get(f"/v1/ring-claims/{new_id()}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "ring.claim_not_found")


async def test_a_bad_claim_names_the_field(ada: User):
    for body, field in [
        ({}, "claim_code"),
        ({"claim_code": ""}, "claim_code"),
        ({"claim_code": "a'; DROP TABLE rings"}, "claim_code"),
        ({"claim_code": "AAAABBBBCCCC", "label": ""}, "label"),
        ({"claim_code": "AAAABBBBCCCC", "owner": "me"}, "owner"),
    ]:
        answer = await ada.client.post("/v1/ring-claims", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
        assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_an_nfc_ring_is_claimed_by_a_fresh_link(
    ada: User, make_ring: Callable[[], Any], admin
):
    ring, other = await make_ring(), await make_ring()
    await admin.execute("UPDATE rings SET kind = 'nfc', tap_key = NULL, id_key = NULL")
    await admin.execute("UPDATE rings SET sun_counter = 9 WHERE id = $1", ring.id)
    started = await start(ada, ring.claim_code)
    assert started["methods"] == ["sun"]

    def proof(of: NewRing, counter: int) -> dict[str, str]:
        keys = tag_keys(SUN_MASTER_KEY, of.nfc_uid)
        link = sun.make_link(
            "https://ping.example/t",
            meta_key=keys.meta,
            file_key=keys.file,
            uid=of.nfc_uid,
            counter=counter,
        )
        return {"kind": "sun", "url": link}

    for wrong in (proof(ring, 9), proof(other, 10), {"kind": "sun", "url": "http://["}):
        refused = await prove(ada, started, wrong)
        assert (refused.status_code, refused.json()["code"]) == (409, "ring.proof_refused")
    right = proof(ring, 10)
    answer = await prove(ada, started, right)
    assert answer.status_code == 200, answer.text
    assert answer.json()["confirmation"] is None
    assert answer.json()["ring"]["verified"] is True
    assert (await prove(ada, started, right)).content == answer.content
    assert await admin.fetchval("SELECT sun_counter FROM rings WHERE id = $1", ring.id) == 10


async def test_a_tag_without_keys_is_claimed_by_its_code_and_marked(ada: User, make_ring, admin):
    ring = await make_ring()
    await admin.execute(
        "UPDATE rings SET kind = 'nfc', key_id = NULL, tap_key = NULL, id_key = NULL"
    )
    started = await start(ada, ring.claim_code)
    assert (started["status"], started["methods"]) == ("done", [])
    assert started["ring_id"] == str(ring.id)
    (owned,) = (await ada.client.get("/v1/rings")).json()["items"]
    assert (owned["label"], owned["verified"]) == ("Work", False)
    assert await start(ada, ring.claim_code) == started


async def claimed(user: User, held: Held, code: str) -> UUID:
    started = await start(user, code)
    answer = await prove(user, started, held.prove(started))
    assert answer.status_code == 200, answer.text
    held.confirm(answer.json()["confirmation"])
    return UUID(answer.json()["ring"]["id"])


async def test_a_released_ring_goes_to_its_next_owner_and_its_history_stays(
    ada: User, grace: User, make_ring, admin, system_pool
):
    ring = await make_ring()
    held = Held(ring)
    first = await claimed(ada, held, ring.claim_code)
    await admin.execute(
        """INSERT INTO ring_taps (user_id, ring_id, kind, source, boot, seq)
        VALUES ($1, $2, 'button', 'ble', 1, 2)""",
        ada.id,
        first,
    )
    released = await ada.client.post(f"/v1/rings/{first}/release")
    assert released.status_code == 200, released.text
    assert released.json()["ring"]["status"] == "released"
    code = released.json()["claim_code"]
    assert (await ada.client.post(f"/v1/rings/{first}/release")).json() == released.json()
    # The ring has changed its keys, unheard: its proof under either is good.
    second = await claimed(grace, held, code)
    assert second != first
    assert [tap["ring_id"] for tap in (await ada.client.get("/v1/rings/taps")).json()["items"]] == [
        str(first)
    ]
    assert (await grace.client.get("/v1/rings/taps")).json()["items"] == []
    assert [item["id"] for item in (await grace.client.get("/v1/rings")).json()["items"]] == [
        str(second)
    ]
    again = await ada.client.post(f"/v1/rings/{first}/release")
    assert again.json()["claim_code"] is None
    refused = await ada.client.post("/v1/ring-claims", json={"claim_code": code})
    assert (refused.status_code, refused.json()["code"]) == (409, "ring.claim_refused")
    kinds = [kind for kind in await events_of(system_pool) if kind != "ring.tapped"]
    assert kinds == ["ring.claimed", "ring.released", "ring.claimed"]


async def test_a_claim_that_began_before_a_release_ends_with_it(ada: User, grace: User, make_ring):
    ring = await make_ring()
    held = Held(ring)
    slow = await start(grace, ring.claim_code)
    body = held.prove(slow)
    first = await claimed(ada, held, ring.claim_code)
    await ada.client.post(f"/v1/rings/{first}/release")
    refused = await prove(grace, slow, body)
    assert (refused.status_code, refused.json()["code"]) == (409, "ring.claim_refused")


async def test_every_step_is_in_the_audit_log_without_secrets(ada: User, make_ring, admin):
    ring = await make_ring()
    held = Held(ring)
    ring_id = await claimed(ada, held, ring.claim_code)
    await ada.client.post(f"/v1/rings/{ring_id}/release")
    rows = await admin.fetch(
        "SELECT resource_type, action, new_values FROM audit_log WHERE user_id = $1", ada.id
    )
    done = [(row["resource_type"], row["action"]) for row in rows]
    assert done.count(("ring_claims", "create")) == 1
    assert ("rings", "create") in done
    assert ("rings", "update") in done
    text = " ".join(row["new_values"] or "" for row in rows)
    assert '"status": "released"' in text
    assert held.key.hex() not in text
    assert ring.tap_key.hex() not in text
    assert ring.claim_code not in text
