"""Alerts over REST: whom the hub reminds of, and what came of it."""

from typing import Any
from uuid import UUID

import pytest

from core.actor import SYSTEM
from core.db import begin, command
from tests.fixtures.app import Running, User

add_nudge = command(
    "INSERT INTO nudges (user_id, contact_id, kind, occasion) VALUES ($1, $2, $3, '2026')",
    login="system",
)


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.req("REL-07", "REL-11")
async def test_an_alert_is_shown_until_it_is_closed(ada: User, grace: User, hub: Running) -> None:
    contact = (await ada.client.post("/v1/contacts", json={"full_name": "Grace"})).json()["id"]
    async with begin(hub.resources.system, SYSTEM) as tx:
        for kind in ("birthday", "going_cold"):
            await add_nudge.run(tx, ada.id, UUID(contact), kind)
    listed = (await ada.client.get("/v1/alerts")).json()["items"]
    assert [item["text"] for item in listed] == [
        "You and Grace are losing touch.",
        "Grace has a birthday.",
    ]
    path = f"/v1/alerts/{listed[0]['id']}"
    etag = (await ada.client.get(path)).headers["etag"]
    assert refusal(await grace.client.get(path)) == (404, "nudge.not_found")
    refused = await grace.client.patch(path, json={"status": "done"})
    assert refusal(refused) == (404, "nudge.not_found")
    assert refusal(await ada.client.patch(path, json={"status": "open"}))[0] == 422
    closed = await ada.client.patch(path, json={"status": "done"}, headers={"If-Match": etag})
    assert closed.json()["status"] == "done"
    again = await ada.client.patch(path, json={"status": "done"})
    assert again.json() == closed.json()
    entries = (await ada.client.get("/v1/me/audit")).json()["items"]
    assert [item["resource_type"] for item in entries].count("nudges") == 1, "what one answered"
    left = (await ada.client.get("/v1/alerts")).json()["items"]
    assert [item["kind"] for item in left] == ["birthday"]
    done = await ada.client.get("/v1/alerts", params={"status": "done", "kind": "going_cold"})
    assert [item["id"] for item in done.json()["items"]] == [listed[0]["id"]]
    assert (await grace.client.get("/v1/alerts")).json()["items"] == []
