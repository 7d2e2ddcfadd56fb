"""What an import has brought in is taken back if nobody minds."""

from typing import Any
from uuid import UUID

import pytest

from tests.fixtures.app import Running, User
from tests.hub.domains.imports.moving import book_of, bring_in, move
from tests.hub.domains.imports.test_imports import CALLS, CARDS
from tests.hub.domains.imports.test_many import cards


@pytest.mark.req("CON-06")
async def test_undo_takes_back_what_nobody_has_changed(hub: Running, admin: Any, ada: User) -> None:
    before = await book_of(admin, ada.id)
    people = await bring_in(hub, admin, ada, "vcard", CARDS)
    talks = await bring_in(hub, admin, ada, "calls_xml", CALLS)
    await admin.execute("UPDATE contacts SET bio = 'Admiral.' WHERE full_name = 'Mary Hopper'")

    await ada.client.post(f"/v1/imports/{people['id']}/undo")
    undone = await move(hub, admin, str(people["id"]))

    # Grace was talked to in another import.
    assert (undone["status"], undone["items_undone"], undone["items_kept"]) == ("undone", 1, 2)
    await ada.client.post(f"/v1/imports/{talks['id']}/undo")
    assert (await move(hub, admin, str(talks["id"])))["items_undone"] == 1
    rows = await ada.client.get(f"/v1/imports/{people['id']}/rows", params={"status": "kept"})
    assert [row["position"] for row in rows.json()["items"]] == [1, 2]
    await admin.execute("DELETE FROM contacts WHERE NOT is_self")
    assert await book_of(admin, ada.id) == before


LATER_EDITS = (
    "UPDATE contacts SET tags = '{friends}' WHERE id = $1",
    "UPDATE contacts SET archived_at = now() WHERE id = $1",
    "UPDATE contact_methods SET label = 'new' WHERE contact_id = $1",
    "DELETE FROM contact_methods WHERE contact_id = $1",
    """INSERT INTO interests (user_id, contact_id, category, topic)
    SELECT user_id, id, 'science', 'compilers' FROM contacts WHERE id = $1""",
    """INSERT INTO reminders (user_id, contact_id, title, timezone, first_local, due_at)
    SELECT user_id, id, 'Call', 'UTC', '2030-01-01T00:00:00', '2030-01-01Z' FROM contacts
    WHERE id = $1""",
    """INSERT INTO connection_goals (user_id, contact_id, kind, intention)
    SELECT user_id, id, 'mentor', 'Learn' FROM contacts WHERE id = $1""",
    """INSERT INTO contact_links (user_id, contact_a_id, contact_b_id, kind)
    SELECT c.user_id, least(c.id, s.id), greatest(c.id, s.id), 'friend'
    FROM contacts AS c JOIN contacts AS s ON s.user_id = c.user_id AND s.is_self WHERE c.id = $1""",
    """WITH circle AS (
      INSERT INTO circles (user_id, name, tier, cadence_days)
      SELECT user_id, 'Inner', 1, 7 FROM contacts WHERE id = $1 RETURNING user_id, id
    )
    INSERT INTO circle_members (user_id, circle_id, contact_id)
    SELECT user_id, id, $1 FROM circle""",
    """INSERT INTO contact_relationship_types
      (user_id, contact_id, type_owner_id, relationship_type_id)
    SELECT c.user_id, c.id, t.owner_id, t.id
    FROM contacts AS c, relationship_types AS t WHERE c.id = $1 AND t.user_id IS NULL LIMIT 1""",
)


@pytest.mark.req("CON-06")
async def test_undo_leaves_whatever_was_done_later(hub: Running, admin: Any, ada: User) -> None:
    file = cards(len(LATER_EDITS) + 3)
    job = await bring_in(hub, admin, ada, "vcard", file)
    listed = await ada.client.get(f"/v1/imports/{job['id']}/rows")
    made = [UUID(row["contact_id"]) for row in listed.json()["items"]]
    noted, matched, untouched, *others = made
    for contact_id, edit in zip(others, LATER_EDITS, strict=True):
        await admin.execute(edit, contact_id)
    # As many letters as before.
    edit = await ada.client.patch(f"/v1/contacts/{noted}", json={"notes": "Met at a farm."})
    assert edit.status_code == 200, edit.text
    # What the hub found out by itself.
    await admin.execute(
        "UPDATE contacts SET strength = 0.4, linked_user_id = user_id, linked_by = 'match' "
        "WHERE id = $1",
        matched,
    )

    await ada.client.post(f"/v1/imports/{job['id']}/undo")
    undone = await move(hub, admin, str(job["id"]))

    left = await admin.fetch("SELECT id FROM contacts WHERE NOT is_self ORDER BY id")
    assert [row["id"] for row in left] == sorted({noted, *others})
    assert untouched not in {noted, *others}
    assert (undone["items_undone"], undone["items_kept"]) == (2, len(others) + 1)


async def test_what_people_took_away_themselves_is_undone_without_anybody_else(
    hub: Running, admin: Any, ada: User
) -> None:
    await bring_in(hub, admin, ada, "vcard", CARDS)
    talks = await bring_in(hub, admin, ada, "calls_xml", CALLS)
    await admin.execute("DELETE FROM interactions")

    await ada.client.post(f"/v1/imports/{talks['id']}/undo")
    undone = await move(hub, admin, str(talks["id"]))

    assert (undone["items_undone"], undone["items_kept"]) == (1, 0)
    assert await admin.fetchval("SELECT count(*) FROM contacts WHERE NOT is_self") == 3


async def test_undone_at_once_after_it_was_cancelled_keeps_nothing_of_the_file(
    hub: Running, admin: Any, ada: User
) -> None:
    job = await bring_in(hub, admin, ada, "vcard", CARDS, dry_run=True)
    await ada.client.post(f"/v1/imports/{job['id']}/cancel")
    await ada.client.post(f"/v1/imports/{job['id']}/undo")

    assert (await move(hub, admin, str(job["id"])))["status"] == "undone"
    assert await admin.fetchval("SELECT count(*) FROM import_rows WHERE payload IS NOT NULL") == 0
