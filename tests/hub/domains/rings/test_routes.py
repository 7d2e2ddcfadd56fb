"""Rings and taps over REST."""

import asyncio
import json

from msgspec.structs import replace

from core.actor import SYSTEM
from core.db import begin, query
from core.ids import new_id
from tests.fixtures.app import Running, User, count_rows, with_server

record_taps = query(str, "SELECT outcome FROM app.record_taps($1::jsonb)", login="system")


async def tap(hub: Running, device_id: bytes, *seqs: int) -> list[str]:
    taps = [
        {
            "device_id": device_id.hex(),
            "gateway_id": None,
            "kind": "button",
            "source": "ble",
            "boot": 1,
            "seq": seq,
            "raw": f"{seq:04x}",
            "peer_eid": None,
            "peer_ctr": None,
            "lat": 51.5,
            "lon": -0.1,
            "rssi": -60,
            "tapped_at": "2026-01-01T00:00:00Z",
            "uncertainty_ms": 5,
            "time_source": "gateway",
        }
        for seq in seqs
    ]
    async with begin(hub.resources.system, SYSTEM) as tx:
        return await record_taps.all(tx, json.dumps(taps))


async def test_rings_are_renamed(ada: User, give_ring):
    ring = await give_ring(ada)
    answer = await ada.client.patch(f"/v1/rings/{ring.id}", json={"label": "Left hand"})
    assert (answer.status_code, answer.json()["label"]) == (200, "Left hand")


async def test_a_lost_ring_stays_lost_and_its_taps_are_refused(
    hub: Running, ada: User, give_ring, system_pool
):
    ring = await give_ring(ada)
    for _ in range(2):
        answer = await ada.client.post(f"/v1/rings/{ring.id}/lost")
        assert (answer.status_code, answer.json()["status"]) == (200, "lost")
    assert await tap(hub, ring.device_id, 1) == ["ring_revoked"]
    assert await count_rows(system_pool, "ring_taps") == 0


async def test_a_lost_ring_is_reported_once_as_an_event(ada: User, give_ring, system_pool):
    ring = await give_ring(ada)
    await ada.client.post(f"/v1/rings/{ring.id}/lost")
    await ada.client.post(f"/v1/rings/{ring.id}/lost")
    async with system_pool.connection() as connection:
        types = [row[0] for row in await connection.fetch("SELECT type FROM events ORDER BY id")]
    assert types == ["ring.claimed", "ring.lost"]


async def test_a_found_ring_counts_again(hub: Running, ada: User, give_ring, system_pool):
    ring = await give_ring(ada)
    await ada.client.post(f"/v1/rings/{ring.id}/lost")
    for _ in range(2):
        answer = await ada.client.post(f"/v1/rings/{ring.id}/found")
        assert (answer.status_code, answer.json()["status"]) == (200, "active")
    assert await tap(hub, ring.device_id, 1) == ["recorded"]


async def test_a_revoked_ring_stays_so(hub: Running, ada: User, give_ring, system_pool):
    ring = await give_ring(ada)
    path = f"/v1/rings/{ring.id}"
    unsure = await ada.client.post(f"{path}/revoke", json={})
    assert (unsure.status_code, unsure.json()["code"]) == (422, "request.invalid")
    for _ in range(2):
        answer = await ada.client.post(f"{path}/revoke", json={"confirm": "revoke"})
        assert (answer.status_code, answer.json()["status"]) == (200, "revoked")
    for way_back in ("lost", "found", "release"):
        refused = await ada.client.post(f"{path}/{way_back}")
        assert (refused.status_code, refused.json()["code"]) == (409, "ring.state_refused")
    assert await tap(hub, ring.device_id, 1) == ["ring_revoked"]
    async with system_pool.connection() as connection:
        types = [row[0] for row in await connection.fetch("SELECT type FROM events ORDER BY id")]
    assert types == ["ring.claimed", "ring.revoked"]


async def test_others_rings_do_not_exist(ada: User, grace: User, give_ring):
    ring = await give_ring(ada)
    for answer in (
        await grace.client.patch(f"/v1/rings/{ring.id}", json={"label": "Mine"}),
        await grace.client.post(f"/v1/rings/{ring.id}/lost"),
        await grace.client.post(f"/v1/rings/{ring.id}/found"),
        await grace.client.post(f"/v1/rings/{ring.id}/revoke", json={"confirm": "revoke"}),
        await grace.client.post(f"/v1/rings/{ring.id}/release"),
        await grace.client.post(f"/v1/development/rings/{ring.id}/tap"),
        await grace.client.patch(f"/v1/rings/{new_id()}", json={"label": "Mine"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "ring.not_found")
    assert (await grace.client.get("/v1/rings")).json()["items"] == []
    (own,) = (await ada.client.get("/v1/rings")).json()["items"]
    assert (own["label"], own["status"]) == ("A ring", "active")


async def test_rings_page_newest_first(ada: User, give_ring):
    made = [str((await give_ring(ada)).id) for _ in range(3)]
    first = (await ada.client.get("/v1/rings?limit=2")).json()
    second = (await ada.client.get(f"/v1/rings?limit=2&cursor={first['next_cursor']}")).json()
    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert (first["has_more"], second["has_more"]) == (True, False)


async def test_taps_are_listed_for_their_owner_only(
    hub: Running, ada: User, grace: User, give_ring
):
    ring, other = await give_ring(ada), await give_ring(ada)
    agreed = {"granted": True, "text_version": 1}
    await ada.client.put("/v1/me/consents/location", json=agreed)
    await tap(hub, ring.device_id, 1, 2, 3)
    await tap(hub, other.device_id, 1)
    first = (await ada.client.get("/v1/rings/taps?limit=3")).json()
    second = (await ada.client.get(f"/v1/rings/taps?cursor={first['next_cursor']}")).json()
    taps = first["items"] + second["items"]
    assert [(item["ring_id"], item["seq"]) for item in taps] == [
        (str(other.id), 1),
        (str(ring.id), 3),
        (str(ring.id), 2),
        (str(ring.id), 1),
    ]
    assert (taps[0]["kind"], taps[0]["lat"], taps[0]["rssi"]) == ("button", 51.5, -60)
    assert "raw" not in taps[0]
    only = (await ada.client.get(f"/v1/rings/taps?ring_id={ring.id}")).json()["items"]
    assert {item["ring_id"] for item in only} == {str(ring.id)}
    assert (await grace.client.get("/v1/rings/taps")).json()["items"] == []
    foreign = await grace.client.get(f"/v1/rings/taps?ring_id={ring.id}")
    assert (foreign.status_code, foreign.json()["items"]) == (200, [])


class ControlPort:
    """Stands in for the virtual rings' control port."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.lines: list[bytes] = []

    async def __call__(self, reader, writer):
        self.lines.append(await reader.readline())
        writer.write(self.answer)
        writer.close()

    async def listen(self) -> str:
        server = await asyncio.start_server(self, "127.0.0.1", 0)
        return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def use_rings(hub: Running, address: str) -> None:
    house = hub.resources
    house.settings = replace(
        house.settings, development=replace(house.settings.development, rings_address=address)
    )


async def test_a_virtual_ring_is_pressed_by_its_owner(hub: Running, ada: User, give_ring):
    ring = await give_ring(ada)
    control = ControlPort(b'{"ok":true,"boot":3,"seq":7}\n')
    use_rings(hub, await control.listen())
    answer = await ada.client.post(f"/v1/development/rings/{ring.id}/tap")
    assert (answer.status_code, answer.json()) == (200, {"boot": 3, "seq": 7})
    assert json.loads(control.lines[0]) == {"press": ring.device_id.hex(), "kind": "tap_to_phone"}


async def test_a_broken_control_port_is_unavailable(hub: Running, ada: User, give_ring):
    ring = await give_ring(ada)
    for answer in (b"", b"noise\n", b'{"ok":"maybe"}\n', b"x" * 10_000):
        use_rings(hub, await ControlPort(answer).listen())
        response = await ada.client.post(f"/v1/development/rings/{ring.id}/tap")
        assert (response.status_code, response.json()["code"]) == (503, "service.unavailable")
        assert int(response.headers["retry-after"]) >= 1


async def test_without_virtual_rings_nothing_is_pressed(hub: Running, ada: User, give_ring):
    ring = await give_ring(ada)
    response = await ada.client.post(f"/v1/development/rings/{ring.id}/tap")
    assert response.status_code == 503


async def test_virtual_rings_are_pressed_in_development_only(
    start_app, app_settings, ada: User, give_ring
):
    ring = await give_ring(ada)
    production = await start_app(with_server(app_settings, mode="production"))
    async with production.client(**dict(ada.client.headers)) as client:
        response = await client.post(f"/v1/development/rings/{ring.id}/tap")
    assert (response.status_code, response.json()["code"]) == (403, "auth.development_only")
