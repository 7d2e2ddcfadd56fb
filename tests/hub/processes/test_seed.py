"""`pinghub db seed`: demo people and their story, once however often it runs."""

import json
import stat

import pytest

from core import config
from core.db import Pool
from firmware_bridge import sun
from hub.processes import demo_address_book, demo_story
from hub.processes.seed import PEOPLE, seed
from tests.fixtures.app import Running, count_rows

TABLES = ("users", "profiles", "rings", "gateways", "events")


async def counted(pool: Pool) -> dict[str, int]:
    return {table: await count_rows(pool, table) for table in TABLES}


@pytest.mark.req("MIG-05")
async def test_a_second_run_changes_nothing(
    app_settings: config.Settings, tmp_path, system_pool: Pool
):
    await seed(app_settings, tmp_path)
    first, rings = await counted(system_pool), (tmp_path / "rings.json").read_bytes()
    await seed(app_settings, tmp_path)
    assert (
        await counted(system_pool)
        == first
        == {
            "users": 3,
            "profiles": 3,
            "rings": 3,
            "gateways": 1,
            "events": 3,  # one ring.claimed each
        }
    )
    assert (tmp_path / "rings.json").read_bytes() == rings


@pytest.mark.req("MIG-05")
async def test_the_story_is_told_once_and_what_people_changed_stays(
    app_settings: config.Settings, tmp_path, system_pool: Pool
):
    people = await seed(app_settings, tmp_path)
    await demo_story.tell(app_settings, people)
    tables = (
        "conversations",
        "messages",
        "contact_cards",
        "contacts",
        "circle_members",
        "interactions",
        "health_snapshots",
        "connection_goals",
        "reminders",
        "events",
        "audit_log",
    )
    first = {table: await count_rows(system_pool, table) for table in tables}
    assert (first["conversations"], first["messages"]) == (1, len(demo_story.TALK))
    assert first["contact_cards"] == len(demo_story.CARDS)
    themselves = len(people)
    met = len(demo_story.CARDS)
    assert first["contacts"] == len(demo_address_book.PEOPLE) + themselves + met
    assert first["circle_members"] == len(demo_address_book.PEOPLE)
    assert first["health_snapshots"] > first["interactions"] > 30
    await demo_story.tell(app_settings, people)
    assert {table: await count_rows(system_pool, table) for table in tables} == first


async def test_in_the_story_one_grows_cold_and_one_came_back(
    app_settings: config.Settings, tmp_path, system_pool: Pool
):
    await demo_story.tell(app_settings, await seed(app_settings, tmp_path))
    async with system_pool.connection() as connection:
        rows = await connection.fetch(
            """SELECT c.full_name, h.band, h.trend, h.fell_at, min(s.score) AS low,
                max(s.score) AS high
            FROM relationship_health AS h
            JOIN contacts AS c ON c.user_id = h.user_id AND c.id = h.contact_id
            JOIN health_snapshots AS s ON s.user_id = h.user_id AND s.contact_id = h.contact_id
            GROUP BY c.full_name, h.band, h.trend, h.fell_at"""
        )
    told = {row["full_name"]: row for row in rows}
    mary, michael = told["Mary Somerville"], told["Michael Faraday"]
    assert (mary["band"], mary["trend"]) == ("cooling", "falling")
    assert mary["high"] > 80
    assert mary["fell_at"] is not None, "so a nudge tells of it"
    assert (michael["band"], michael["trend"]) == ("thriving", "rising")
    assert michael["low"] < 30


async def test_a_lost_rings_file_comes_back_with_the_same_keys(
    app_settings: config.Settings, tmp_path, system_pool
):
    await seed(app_settings, tmp_path)
    path = tmp_path / "rings.json"
    before = path.read_bytes()
    path.unlink()
    await seed(app_settings, tmp_path)
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_run_that_died_before_a_ring_was_given_leaves_none_without_an_owner(
    app_settings: config.Settings, tmp_path, system_pool: Pool, monkeypatch
):
    async def die(*_args):
        raise RuntimeError("killed")

    monkeypatch.setattr("hub.domains.rings.service.give_ring", die)
    with pytest.raises(RuntimeError, match="killed"):
        await seed(app_settings, tmp_path)
    monkeypatch.undo()
    assert await count_rows(system_pool, "rings") == 0
    await seed(app_settings, tmp_path)
    async with system_pool.connection() as connection:
        unclaimed = await connection.fetchval("SELECT count(*) FROM rings WHERE user_id IS NULL")
    assert unclaimed == 0
    assert await count_rows(system_pool, "rings") == 3


async def test_the_rings_file_opens_what_the_hub_stores(
    app_settings: config.Settings, tmp_path, hub: Running, system_pool: Pool, anonymous
):
    await seed(app_settings, tmp_path)
    entries = json.loads((tmp_path / "rings.json").read_text())
    assert [entry["name"] for entry in entries] == [n for person in PEOPLE for n in person.rings]
    async with system_pool.connection() as connection:
        for entry in entries:
            row = await connection.fetchrow(
                "SELECT id, user_id, tap_key FROM rings WHERE device_id = $1",
                bytes.fromhex(entry["device_id"]),
            )
            tap_key = hub.resources.cipher.open(
                row["tap_key"], column="rings.tap_key", row=row["id"].bytes
            )
            assert tap_key.hex() == entry["tap_key"]
            assert str(row["user_id"]) == entry["owner_id"]
    url = sun.make_link(
        "/t",
        meta_key=bytes.fromhex(entries[0]["sun_meta_key"]),
        file_key=bytes.fromhex(entries[0]["sun_file_key"]),
        uid=bytes.fromhex(entries[0]["nfc_uid"]),
        counter=1,
    )
    assert (await anonymous.get(url)).status_code == 200
