"""One of everything that belongs to Ada, and the people who ask for it."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from core.actor import SYSTEM
from core.db import begin
from core.ids import new_id
from hub.domains.accounts import service as accounts
from hub.domains.relationships import service as relationships
from hub.http.scopes import MEANINGS
from tests.fixtures.administrator import WithRole
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import NewRing, Running, User, idempotency_key, user_actor
from tests.fixtures.touching import Meetings
from tests.hub.domains.imports.moving import hand_in

CANARY = "canary-of-ada"
"""Stands in every text that Ada has written where only she and those she met may read it."""


@dataclass
class Belongings:
    """Ids of Ada's rows by what they are, and clients of the others by who they are to Ada."""

    hub: Running
    admin: Any
    ada: User
    grace: User
    """A friend and a member of Ada's conversation."""
    names: dict[str, str]
    """`ring` and the like are Ada's, `my_gateway` and the like the stranger's."""
    askers: dict[str, httpx.AsyncClient]
    secrets: set[str] = field(default_factory=set)
    """What no answer to a stranger may contain."""


async def give_everything(
    meetings: Meetings,
    new_user: Callable[[str], Awaitable[User]],
    make_ring: Callable[[], Awaitable[NewRing]],
    new_key: NewKey,
    with_role: WithRole,
) -> Belongings:
    """Fill the world."""
    hub = meetings.hub
    ada, grace = await new_user(f"Ada {CANARY}"), await new_user("Grace Hopper")
    eve, bob = await new_user("Eve Stranger"), await new_user("Bob Blocked")
    admin = meetings.admin
    names = await _meet(meetings, ada, grace)
    names |= await _write(hub, ada, grace)
    names |= await _keep_keys(hub, admin, ada)
    names |= await _know(ada)
    names |= await _keep_close(hub, admin, ada, names["contact"])
    names |= await _aim(admin, ada, names["contact"])
    names["claim"] = await _claim(ada, make_ring, label=CANARY)
    await _report(admin, names)
    await ada.client.put(f"/v1/blocks/{bob.id}")
    boss = (await with_role("Alan Administrator", "admin")).client
    account = await boss.post("/v1/service-accounts", json={"name": CANARY})
    names["account"] = account.json()["id"]
    key = {"name": CANARY, "scopes": ["rings:read"]}
    made = await boss.post(f"/v1/service-accounts/{names['account']}/api-keys", json=key)
    names |= {
        "account_key": made.json()["id"],
        "my_account": names["account"],
        "friend": str(grace.id),
        "blocked": str(bob.id),
        "other": str(bob.id),
    }
    names |= await _stranger(meetings, eve, grace, make_ring)
    eves_key = await new_key(eve, *MEANINGS)
    # Known by now, so that its use is noted before anybody looks for changes.
    assert (await eves_key.client.get("/v1/me")).status_code == 200
    world = Belongings(
        hub,
        admin,
        ada,
        grace,
        names,
        {
            "stranger": eve.client,
            "blocked": bob.client,
            "friend": grace.client,
            "admin": boss,
            "moderator": (await with_role("Mary Moderator", "moderator")).client,
            "key": eves_key.client,
            "anonymous": hub.client(),
        },
    )
    world.secrets = {CANARY, str(ada.id), *await _ids_of(admin, ada.id)}
    world.secrets -= {str(grace.id), str(bob.id)}
    return world


async def _meet(meetings: Meetings, ada: User, grace: User) -> dict[str, str]:
    one, other = await meetings.wear(ada), await meetings.wear(grace)
    await meetings.meet(*meetings.touch(one, other))
    named = await ada.client.patch(f"/v1/rings/{one.ring_id}", json={"label": CANARY})
    assert named.status_code == 200, named.text
    gateway = {"name": CANARY}
    assert (await ada.client.patch(f"/v1/gateways/{one.gateway_id}", json=gateway)).is_success
    return {
        "ring": str(one.ring_id),
        "gateway": str(one.gateway_id),
        "touch": (await meetings.touches(ada))[0]["id"],
    }


async def _write(hub: Running, ada: User, grace: User) -> dict[str, str]:
    opened = await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    conversation = opened.json()["id"]
    sent = await ada.client.post(
        f"/v1/conversations/{conversation}/messages",
        json={"body": CANARY},
        headers=idempotency_key(),
    )
    assert (await ada.client.put("/v1/me/card", json={"full_name": CANARY})).is_success
    assert (await ada.client.patch("/v1/me", json={"bio": CANARY})).is_success
    async with begin(hub.resources.system, user_actor(ada.id)) as tx:
        connection = await tx.connection()
        await connection.execute("SELECT app.befriend($1, $2, 'request')", ada.id, grace.id)
    return {"conversation": conversation, "message": sent.json()["id"]}


async def _know(ada: User) -> dict[str, str]:
    """Put somebody into the address book, and note down that one met them."""
    added = await ada.client.post("/v1/contacts", json={"full_name": CANARY})
    noted = await ada.client.post(
        "/v1/interactions",
        json={
            "contact_id": added.json()["id"],
            "subject": CANARY,
            "participants": [{"role": "from", "address": f"{CANARY}@example.com"}],
        },
    )
    assert noted.is_success, noted.text
    contact = f"/v1/contacts/{added.json()['id']}"
    method = await ada.client.post(
        f"{contact}/methods", json={"kind": "email", "value": f"{CANARY}@example.com"}
    )
    interest = await ada.client.post(
        f"{contact}/interests", json={"category": "sport", "topic": CANARY}
    )
    twin = await ada.client.post("/v1/contacts", json={"full_name": CANARY})
    merged = await ada.client.post(f"{contact}/merge", json={"merged_id": twin.json()["id"]})
    other = await ada.client.post("/v1/contacts", json={"full_name": CANARY, "company": CANARY})
    linked = await ada.client.put(f"{contact}/links/{other.json()['id']}", json={"kind": "friend"})
    assert linked.is_success, linked.text
    handed_in = await hand_in(ada, "vcard", b"BEGIN:VCARD", name=CANARY)
    assert handed_in.is_success, handed_in.text
    return {
        "contact": added.json()["id"],
        "other_contact": other.json()["id"],
        "interaction": noted.json()["id"],
        "import": handed_in.json()["id"],
        "method": method.json()["id"],
        "interest": interest.json()["id"],
        "merge": merged.json()["id"],
    }


async def _keep_close(hub: Running, admin: Any, ada: User, contact: str) -> dict[str, str]:
    """Put a contact into a circle, say of which kind the relationship is, and be reminded."""
    circle = await ada.client.post(
        "/v1/circles", json={"name": CANARY, "tier": 1, "cadence_days": 7}
    )
    weights = {"recency": 0.25, "frequency": 0.25, "reciprocity": 0.25, "duration": 0.25}
    kind = await ada.client.post(
        "/v1/relationship-types",
        json={"name": "canary", "display_name": CANARY, "scoring_weights": weights},
    )
    circle_id, kind_id = circle.json()["id"], kind.json()["id"]
    for path in (f"circles/{circle_id}/members/{contact}", f"contacts/{contact}/types/{kind_id}"):
        body = {} if path.startswith("circles") else None
        assert (await ada.client.put(f"/v1/{path}", json=body)).is_success
    alert = await admin.fetchval(
        """INSERT INTO nudges (user_id, contact_id, kind, occasion) VALUES ($1, $2, 'birthday', '1')
        RETURNING id""",
        ada.id,
        UUID(contact),
    )
    async with begin(hub.resources.system, SYSTEM) as tx:
        await relationships.refresh(tx, ada.id, UUID(contact))
    return {"circle": circle_id, "kind": kind_id, "alert": str(alert)}


async def _aim(admin: Any, ada: User, contact: str) -> dict[str, str]:
    """Set a goal for a contact with a way to them and a reminder; let the hub notice something."""
    # A way needs that somebody is known.
    await admin.execute("UPDATE contacts SET strength = 0.9 WHERE id = $1", UUID(contact))
    goal = await ada.client.post(
        "/v1/goals", json={"kind": "mentor", "intention": CANARY, "contact_id": contact}
    )
    tags = (await ada.client.get("/v1/goal-tags")).json()
    path = await ada.client.post(
        "/v1/paths",
        json={"target_contact_id": contact, "target_name": CANARY, "goal_id": goal.json()["id"]},
    )
    reminder = await ada.client.post(
        "/v1/reminders",
        json={
            "title": CANARY,
            "due_local": "2050-01-01T09:00",
            "recurrence": "FREQ=DAILY",
            "contact_id": contact,
        },
    )
    assert (await ada.client.put(f"/v1/goals/{goal.json()['id']}/tags/{tags[0]['id']}")).is_success
    insight = await admin.fetchval(
        """INSERT INTO insights (user_id, kind, title, content, actionable, reason)
        VALUES ($1, 'anomaly', $2, $2, true, 'canary') RETURNING id""",
        ada.id,
        CANARY,
    )
    return {
        "goal": goal.json()["id"],
        "tag": tags[0]["id"],
        "path": path.json()["id"],
        "reminder": reminder.json()["id"],
        "insight": str(insight),
    }


async def _keep_keys(hub: Running, admin: Any, ada: User) -> dict[str, str]:
    async with begin(hub.resources.api, user_actor(ada.id)) as tx:
        elsewhere = await accounts.open_session(tx, lifetime_seconds=3600)
    login: UUID | None = None
    for subject in ("first", CANARY):
        login = await admin.fetchval(
            """INSERT INTO user_logins (user_id, provider, issuer, subject)
            VALUES ($1, 'google', 'https://accounts.google.com', $2) RETURNING id""",
            ada.id,
            subject,
        )
    passkey = await admin.fetchval(
        """WITH login AS (
          INSERT INTO user_logins (user_id, provider, issuer, subject)
          VALUES ($1, 'passkey', 'https://hub.example', 'device') RETURNING id
        )
        INSERT INTO passkey_credentials (
          id, user_id, credential_id, public_key, sign_count, name, is_user_verified,
          is_backup_eligible, is_backed_up
        )
        SELECT id, $1, '\\x01', '\\x02', 0, $2, true, false, false FROM login RETURNING id""",
        ada.id,
        CANARY,
    )
    identity = await admin.fetchval(
        """INSERT INTO identity_hashes (user_id, kind, hash) VALUES ($1, 'email', '\\x01')
        RETURNING id""",
        ada.id,
    )
    key = {"name": CANARY, "scopes": ["rings:read"]}
    made = await ada.client.post("/v1/api-keys", json=key)
    return {
        "passkey": str(passkey),
        "identity": str(identity),
        "session": str(elsewhere.family_id),
        "login": str(login),
        "key": made.json()["id"],
    }


async def _claim(user: User, make_ring: Callable[[], Awaitable[NewRing]], **more: str) -> str:
    body = {"claim_code": (await make_ring()).claim_code, **more}
    answer = await user.client.post("/v1/ring-claims", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def _report(admin: Any, names: dict[str, str]) -> None:
    gateway = UUID(names["gateway"])
    await admin.execute(
        "INSERT INTO rejected_taps (gateway_id, reason) VALUES ($1, 'bad_tag')", gateway
    )
    await admin.execute(
        """INSERT INTO gateway_certificates (
          user_id, gateway_id, serial, fingerprint, public_key_hash, certificate,
          not_before, not_after
        )
        SELECT user_id, id, 'ada0ada0ada0ada0', $2, $2, '', now(), now() + interval '90 days'
        FROM gateways WHERE id = $1""",
        gateway,
        bytes(32),
    )


async def _stranger(
    meetings: Meetings, eve: User, grace: User, make_ring: Callable[[], Awaitable[NewRing]]
) -> dict[str, str]:
    """Give the stranger what is needed to name Ada's things beside one's own."""
    worn = await meetings.wear(eve)
    # Whose calls would go through, so that nothing but the ring is in their way.
    await meetings.admin.execute(
        "UPDATE gateways SET status = 'online' WHERE id = $1", worn.gateway_id
    )
    opened = await eve.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    noted = await eve.client.post("/v1/interactions", json={"subject": "mine"})
    met = await eve.client.post("/v1/contacts", json={"full_name": "mine"})
    cares = await eve.client.post(
        f"/v1/contacts/{met.json()['id']}/interests", json={"category": "sport", "topic": "mine"}
    )
    circle = await eve.client.post(
        "/v1/circles", json={"name": "mine", "tier": 1, "cadence_days": 7}
    )
    await meetings.admin.execute(
        "UPDATE contacts SET strength = 0.9 WHERE id = $1", UUID(met.json()["id"])
    )
    way = await eve.client.post("/v1/paths", json={"target_contact_id": met.json()["id"]})
    goal = await eve.client.post("/v1/goals", json={"kind": "mentor", "intention": "mine"})
    reminder = await eve.client.post(
        "/v1/reminders", json={"title": "mine", "due_local": "2050-01-01T09:00"}
    )
    return {
        "my_path": way.json()["id"],
        "my_goal": goal.json()["id"],
        "my_reminder": reminder.json()["id"],
        "my_interest": cares.json()["id"],
        "my_circle": circle.json()["id"],
        "my_contact": met.json()["id"],
        "my_interaction": noted.json()["id"],
        "my_gateway": str(worn.gateway_id),
        "my_ring": str(worn.ring_id),
        "my_conversation": opened.json()["id"],
        "my_claim": await _claim(eve, make_ring),
    }


async def _ids_of(admin: Any, owner: UUID) -> set[str]:
    """Return the ids of all rows that are an owner's."""
    tables = await admin.fetch(
        """SELECT a.attrelid::regclass AS relation FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE a.attname = 'user_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND c.relnamespace = 'public'::regnamespace
        AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'id')"""
    )
    found: set[str] = set()
    for (relation,) in tables:
        rows = await admin.fetch(f"SELECT id FROM {relation} WHERE user_id = $1", owner)
        found |= {str(row["id"]) for row in rows}
    return found


async def rows(admin: Any) -> set[str]:
    """Return every row of every table, but when a key or a user was seen last."""
    tables = await admin.fetch(
        """SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
        AND relnamespace = 'public'::regnamespace"""
    )
    each = [
        f"SELECT '{name} ' || (to_jsonb(t) - 'last_used_at' - 'updated_at')::text FROM {name} AS t"
        for (name,) in tables
    ]
    return {row[0] for row in await admin.fetch(" UNION ALL ".join(each))}


def hers(all_rows: set[str], world: Belongings) -> set[str]:
    """Return the rows that speak of Ada or of what is hers."""
    return {row for row in all_rows if any(secret in row for secret in world.secrets)}


def leaks(world: Belongings, answer: httpx.Response, sent: str) -> set[str]:
    """Return what an answer tells of Ada beyond what was sent."""
    text = answer.text + json.dumps(dict(answer.headers))
    return {secret for secret in world.secrets if secret in text and secret not in sent}


def filled(names: dict[str, str], template: Any) -> Any:
    """Return a path or a body with `{name}` replaced by ids."""
    if isinstance(template, str):
        return template.format_map(names)
    if isinstance(template, list):
        return [filled(names, value) for value in template]
    return {key: filled(names, value) for key, value in template.items()}


def absent(names: dict[str, str]) -> dict[str, str]:
    """Return names of the same kind that nobody has, but for the asker's own."""
    return {
        name: value if name.startswith("my_") else str(new_id()) for name, value in names.items()
    }
