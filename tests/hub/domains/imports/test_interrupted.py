"""Whoever goes away in the middle, or changes their mind, leaves nothing half-done."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from core.actor import SYSTEM
from core.db import begin
from hub.domains.contacts.service import Keys
from hub.domains.import_reading import service as reading
from hub.domains.imports import service
from tests.fixtures.app import Running, User
from tests.hub.domains.imports.moving import book_of, bring_in, hand_in, move
from tests.hub.domains.imports.test_many import cards

COUNT = 5


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BATCH", 2)


def keys_of(hub: Running) -> Keys:
    return Keys(hub.resources.cipher, hub.resources.index_key)


async def half_way(hub: Running, user: User) -> UUID:
    """Hand in cards and bring in the first batch; return whose import it is."""
    import_id = UUID((await hand_in(user, "vcard", cards(COUNT))).json()["id"])
    await reading.read(hub.resources.system, keys_of(hub), import_id)
    await next_batch(hub, import_id)
    return import_id


async def next_batch(hub: Running, import_id: UUID) -> None:
    async with begin(hub.resources.system, SYSTEM) as tx:
        job = await reading.lock_job(tx, import_id)
        if job is not None:
            await service.bring_in(tx, keys_of(hub), job)


async def act(user: User, import_id: UUID, deed: str) -> int:
    return (await user.client.post(f"/v1/imports/{import_id}/{deed}")).status_code


@pytest.mark.req("CON-06")
async def test_import_that_is_stopped_half_way_is_taken_back_and_can_come_again(
    hub: Running, admin: Any, ada: User
) -> None:
    before = await book_of(admin, ada.id)
    import_id = await half_way(hub, ada)

    assert await act(ada, import_id, "undo") == 409
    assert await act(ada, import_id, "cancel") == 200
    stopped = await move(hub, admin, str(import_id))
    assert (stopped["status"], stopped["items_created"]) == ("cancelled", 2)
    assert stopped["items_skipped"] == COUNT - 2
    assert await act(ada, import_id, "start") == 409
    assert await act(ada, import_id, "undo") == 200
    assert await act(ada, import_id, "undo") == 200
    undone = await move(hub, admin, str(import_id))

    assert (undone["status"], undone["items_undone"]) == ("undone", 2)
    assert await book_of(admin, ada.id) == before
    again = await bring_in(hub, admin, ada, "vcard", cards(COUNT))
    assert again["items_created"] == COUNT


async def test_whoever_deletes_their_account_meanwhile_leaves_nothing(
    hub: Running, admin: Any, ada: User, grace: User
) -> None:
    uploaded = UUID((await hand_in(ada, "vcard", cards(COUNT))).json()["id"])
    running = await half_way(hub, ada)

    await admin.execute("DELETE FROM users WHERE id = $1", ada.id)

    await reading.read(hub.resources.system, keys_of(hub), uploaded)
    for import_id in (uploaded, running):
        await next_batch(hub, import_id)
    for table in ("import_jobs", "import_chunks", "import_rows", "contacts"):
        left = await admin.fetchval(f"SELECT count(*) FROM {table} WHERE user_id <> $1", grace.id)
        assert left == 0, table


async def test_upload_that_breaks_off_is_none(hub: Running, admin: Any, ada: User) -> None:
    file = cards(3000)
    answers = [
        await sent(hub, ada, [{"type": "http.request", "body": part, "more_body": True}])
        for part in (b"", file[:100], file)
    ]

    assert {answer.get("status") for answer in answers} <= {None, 400, 499}
    assert await admin.fetchval("SELECT count(*) FROM import_jobs") == 0
    assert await admin.fetchval("SELECT count(*) FROM import_chunks") == 0


async def sent(hub: Running, user: User, messages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Send parts of an upload and go away; return the beginning of the answer, if there is one."""
    waiting = [*messages, {"type": "http.disconnect"}]
    headers = {**user.client.headers, "idempotency-key": "once", "host": "127.0.0.1:8000"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/contacts/import",
        "raw_path": b"/v1/contacts/import",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", 8000),
    }
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    await hub.app(scope, receive, send)  # type: ignore[arg-type]
    return told[0] if told else {}


async def test_file_that_is_sent_twice_at_once_is_one_import(admin: Any, ada: User) -> None:
    answers = await asyncio.gather(
        *(hand_in(ada, "vcard", cards(COUNT), key="once") for _ in range(3))
    )

    assert {answer.status_code for answer in answers} <= {202, 409}
    assert await admin.fetchval("SELECT count(*) FROM import_jobs") == 1
