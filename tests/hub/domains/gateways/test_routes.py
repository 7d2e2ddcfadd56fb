"""Gateways over REST: registering, configuring, calling, casting out; and nobody else's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from msgspec.structs import replace

from core import config, edge
from core.actor import SYSTEM
from core.db import begin, command
from core.edge import GatewayInfo, HealthReport, Reported, RpcReply, RpcRequest
from core.ids import new_id
from hub.domains.gateways import service
from hub.domains.gateways.schemas import GatewayPresence, Health, Info
from hub.http.limits import POLICIES
from tests.fixtures.app import Running, User, idempotency_key
from tests.fixtures.mqtt import ExternalMqtt, RestartableMqtt
from tests.fixtures.waiting import wait_until
from tests.hub.providers.test_gateway_rpc import Answerer, Answering, lines

reject = command(
    "INSERT INTO rejected_taps (gateway_id, device_id, boot, seq, reason) "
    "VALUES ($1, $2, 1, 1, 'bad_tag')",
    login="system",
)


@pytest.fixture
def app_settings(
    app_settings: config.Settings, mqtt_server: RestartableMqtt | ExternalMqtt
) -> config.Settings:
    return replace(app_settings, mqtt=config.Mqtt(url=mqtt_server.url))


async def make(user: User, name: str = "Hall") -> dict[str, Any]:
    answer = await user.client.post("/v1/gateways", json={"name": name})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def change(user: User, gateway: str, **body: Any) -> httpx.Response:
    return await user.client.patch(f"/v1/gateways/{gateway}", json=body)


async def note_online(hub: Running, gateway: str, session: str = "s") -> None:
    async with begin(hub.resources.system, SYSTEM) as tx:
        await service.note_presence(tx, [GatewayPresence(UUID(gateway), "online", session)])


@pytest_asyncio.fixture
async def start_gateway(
    hub: Running, mqtt_server: RestartableMqtt | ExternalMqtt
) -> AsyncIterator[Callable[[str, Answering], Awaitable[Answerer]]]:
    """Put a gateway that answers as told on the air, and note it as online."""
    started: list[Answerer] = []

    async def start(gateway: str, answer: Answering) -> Answerer:
        url = mqtt_server.gateway_url(gateway)
        started.append(Answerer(url, UUID(gateway), answer))
        wait_until(lambda: started[-1].subscribed, "the gateway's subscription")
        await note_online(hub, gateway)
        return started[-1]

    yield start
    for gateway in started:
        gateway.close()


async def test_a_repeated_registration_is_answered_without_the_code_which_is_kept_nowhere(
    ada: User, admin: Any
) -> None:
    sent: dict[str, Any] = {"json": {"name": "Hall"}, "headers": idempotency_key()}
    made = (await ada.client.post("/v1/gateways", **sent)).json()
    again = await ada.client.post("/v1/gateways", **sent)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == made | {"claim_code": None}
    stored = await admin.fetchval("SELECT string_agg(k::text, '') FROM idempotency_keys AS k")
    assert made["claim_code"].encode().hex() not in stored


async def test_a_gateway_is_registered_and_its_code_shown_once(ada: User) -> None:
    made = await make(ada)
    assert made.pop("claim_code")
    assert made["claim_expires_at"]
    assert (made["name"], made["status"], made["config"], made["config_rev"]) == (
        "Hall",
        "offline",
        {},
        0,
    )
    shown = (await ada.client.get(f"/v1/gateways/{made['id']}")).json()
    assert shown == made
    listed = (await ada.client.get("/v1/gateways")).json()
    assert listed == {"items": [made], "next_cursor": None, "has_more": False}


async def test_a_repeated_registration_makes_one_gateway(ada: User) -> None:
    send = {"json": {"name": "Hall"}, "headers": {"Idempotency-Key": "once"}}
    first, second = [await ada.client.post("/v1/gateways", **send) for _ in range(2)]
    assert first.json()["id"] == second.json()["id"]
    assert len((await ada.client.get("/v1/gateways")).json()["items"]) == 1


async def test_gateways_cannot_be_registered_without_end(ada: User, grace: User) -> None:
    quota = POLICIES["gateway_registration"].quota
    answers = [
        await ada.client.post("/v1/gateways", json={"name": str(number)})
        for number in range(quota + 1)
    ]
    assert [answer.status_code for answer in answers] == [201] * quota + [429]
    assert answers[-1].json()["code"] == "limit.exceeded"
    await make(grace)


async def test_a_name_is_taken_until_its_gateway_is_cast_out(ada: User, grace: User) -> None:
    made = await make(ada)
    await make(grace)
    again = await ada.client.post("/v1/gateways", json={"name": "Hall"})
    assert (again.status_code, again.json()["code"]) == (409, "gateway.name_taken")
    assert (await ada.client.delete(f"/v1/gateways/{made['id']}")).status_code == 204
    other = await make(ada)
    renamed = await change(ada, other["id"], name="Porch")
    assert renamed.json()["name"] == "Porch"


async def test_a_gateway_that_was_cast_out_stays_so(ada: User) -> None:
    made = await make(ada)
    for _ in range(2):
        assert (await ada.client.delete(f"/v1/gateways/{made['id']}")).status_code == 204
    assert (await ada.client.get("/v1/gateways")).json()["items"] == []
    assert (await ada.client.get(f"/v1/gateways/{made['id']}")).json()["revoked_at"]
    for answer in (
        await change(ada, made["id"], name="Back"),
        await ada.client.post(f"/v1/gateways/{made['id']}/credentials"),
        await ada.client.post(f"/v1/gateways/{made['id']}/rpc/rescan"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "gateway.revoked")


async def test_a_gateway_that_was_cast_out_is_shown_as_away(ada: User, admin: Any) -> None:
    made = await make(ada)
    # Its broker tells nothing of its end.
    await admin.execute("UPDATE gateways SET status = 'online', alerts = '{taps_held}'")
    await ada.client.delete(f"/v1/gateways/{made['id']}")
    shown = (await ada.client.get(f"/v1/gateways/{made['id']}")).json()
    assert (shown["status"], shown["alerts"]) == ("offline", [])


async def test_a_replaced_device_gets_a_code_of_its_own(ada: User) -> None:
    made = await make(ada)
    answer = await ada.client.post(f"/v1/gateways/{made['id']}/credentials")
    assert answer.status_code == 201
    assert answer.json()["claim_code"] != made["claim_code"]


async def test_a_configuration_is_changed_on_the_revision_that_was_seen(ada: User) -> None:
    made = await make(ada)
    first = await change(ada, made["id"], config={"health_seconds": 30}, config_rev=0)
    assert (first.json()["config"], first.json()["config_rev"]) == ({"health_seconds": 30}, 1)
    stale = await change(ada, made["id"], config={"health_seconds": 40}, config_rev=0)
    assert (stale.status_code, stale.json()["code"]) == (409, "gateway.revision_conflict")
    assert (await ada.client.get(f"/v1/gateways/{made['id']}")).json() == first.json()


async def test_of_two_changes_at_once_one_is_a_conflict(ada: User) -> None:
    made = await make(ada)
    answers = await asyncio.gather(
        *(
            change(ada, made["id"], config={"health_seconds": seconds}, config_rev=0)
            for seconds in (20, 30, 40)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]


@pytest.mark.parametrize(
    "body",
    [
        {"config": {"health_seconds": 1}, "config_rev": 0},
        {"config": {"health_seconds": "often"}, "config_rev": 0},
        {"config": {"colour": "red"}, "config_rev": 0},
        {"config": {"latitude": 1.0}, "config_rev": 0},
        {"config": {"latitude": 91.0, "longitude": 0.0}, "config_rev": 0},
        {"config": {}},
        {"config": None, "config_rev": 0},
        {"config": {}, "config_rev": -1},
        {"config": {}, "config_rev": 1 << 31},
        {"name": ""},
        {"name": "two\nlines"},
        {"status": "online"},
    ],
)
async def test_a_change_with_a_fault_changes_nothing(ada: User, body: dict[str, Any]) -> None:
    made = await make(ada)
    made.pop("claim_code")
    answer = await change(ada, made["id"], **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid"), answer.text
    assert (await ada.client.get(f"/v1/gateways/{made['id']}")).json() == made


async def test_what_a_gateway_reports_is_shown(hub: Running, ada: User) -> None:
    made = await make(ada)
    gateway = UUID(made["id"])
    await note_online(hub, made["id"])
    info = GatewayInfo(
        session="s",
        t=1,
        version="1.2",
        adapters=("auto",),
        capabilities=("collect",),
        reported=Reported(rejected_rev=3, reason="no such field"),
    )
    health = HealthReport(session="s", t=100_000, tx_ms=100_000, uptime_s=5, delivery_alarm="held")
    async with begin(hub.resources.system, SYSTEM) as tx:
        await service.note_info(tx, [Info(gateway, info)])
        await service.note_health(tx, [Health(gateway, health, 104_000)])
    shown = (await ada.client.get(f"/v1/gateways/{gateway}")).json()
    assert (shown["version"], shown["adapters"]) == ("1.2", ["auto"])
    assert shown["reported"]["rejected_rev"] == 3
    assert shown["reported"]["reason"] == "no such field"
    assert shown["clock_error_ms"] == 4000
    assert shown["alerts"] == ["clock_wrong", "taps_held"]


async def test_a_list_is_paged_and_filtered(hub: Running, ada: User) -> None:
    made = [await make(ada, f"gateway {number}") for number in range(5)]
    await note_online(hub, made[1]["id"])
    first = (await ada.client.get("/v1/gateways?limit=2")).json()
    rest = (await ada.client.get(f"/v1/gateways?limit=9&cursor={first['next_cursor']}")).json()
    names = [item["name"] for item in first["items"] + rest["items"]]
    assert names == [f"gateway {number}" for number in (4, 3, 2, 1, 0)]
    online = (await ada.client.get("/v1/gateways?status=online")).json()
    assert [item["id"] for item in online["items"]] == [made[1]["id"]]
    assert (await ada.client.get("/v1/gateways?alerting=true")).json()["items"] == []
    assert len((await ada.client.get("/v1/gateways?alerting=false")).json()["items"]) == 5


async def test_a_log_is_collected_and_a_ring_blinks(
    ada: User, give_ring: Any, start_gateway: Callable[..., Awaitable[Answerer]]
) -> None:
    made, ring = await make(ada), await give_ring(ada)
    gateway = await start_gateway(made["id"], lines)
    path = f"/v1/gateways/{made['id']}/rpc"
    collected = await ada.client.post(f"{path}/collect", json={"lines": 2})
    assert (collected.status_code, collected.json()) == (200, {"lines": ["one", "two"]})
    identified = await ada.client.post(f"{path}/identify", json={"ring_id": str(ring.id)})
    assert (identified.status_code, identified.json()) == (200, {"status": "done"})
    assert (await ada.client.post(f"{path}/rescan")).status_code == 200
    assert [method for method, _ in gateway.calls] == ["collect", "identify", "rescan"]
    assert gateway.calls[1][1].args == {"ring": ring.device_id}


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        ("not_connected", (409, "gateway.not_connected")),
        ("busy", (503, "gateway.busy")),
        ("timeout", (504, "gateway.timeout")),
        ("failed", (502, "gateway.call_failed")),
    ],
)
async def test_a_refused_call_says_why(
    ada: User,
    give_ring: Any,
    start_gateway: Callable[..., Awaitable[Answerer]],
    code: Any,
    refusal: tuple[int, str],
) -> None:
    def answer(_topic: str, request: RpcRequest) -> list[RpcReply]:
        return [RpcReply(id=request.id, code=code)]

    made, ring = await make(ada), await give_ring(ada)
    await start_gateway(made["id"], answer)
    got = await ada.client.post(
        f"/v1/gateways/{made['id']}/rpc/identify", json={"ring_id": str(ring.id)}
    )
    assert (got.status_code, got.json()["code"]) == refusal


async def test_a_gateway_that_is_away_is_not_called(ada: User) -> None:
    made = await make(ada)
    answer = await ada.client.post(f"/v1/gateways/{made['id']}/rpc/rescan")
    assert (answer.status_code, answer.json()["code"]) == (409, "gateway.offline")


async def test_nonsense_from_a_gateway_is_a_failed_call(
    ada: User, start_gateway: Callable[..., Awaitable[Answerer]]
) -> None:
    made = await make(ada)
    await start_gateway(made["id"], lambda _, r: [RpcReply(id=r.id, result={"lines": 7})])
    answer = await ada.client.post(f"/v1/gateways/{made['id']}/rpc/collect", json={})
    assert (answer.status_code, answer.json()["code"]) == (502, "gateway.call_failed")


async def test_nobody_elses_gateway_exists(
    hub: Running,
    ada: User,
    grace: User,
    give_ring: Any,
    start_gateway: Callable[..., Awaitable[Answerer]],
) -> None:
    made, ring = await make(ada), await give_ring(grace)
    gateway = await start_gateway(made["id"], lines)
    before = (await ada.client.get(f"/v1/gateways/{made['id']}")).json()
    for path in (f"/v1/gateways/{made['id']}", f"/v1/gateways/{new_id()}"):
        for answer in (
            await grace.client.get(path),
            await grace.client.patch(path, json={"name": "mine"}),
            await grace.client.patch(path, json={"config": {}, "config_rev": 0}),
            await grace.client.delete(path),
            await grace.client.post(f"{path}/credentials"),
            await grace.client.post(f"{path}/rpc/rescan"),
            await grace.client.post(f"{path}/rpc/collect", json={}),
            await grace.client.post(f"{path}/rpc/identify", json={"ring_id": str(ring.id)}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "gateway.not_found")
    assert (await grace.client.get("/v1/gateways")).json()["items"] == []
    assert (await ada.client.get(f"/v1/gateways/{made['id']}")).json() == before
    assert gateway.calls == []


async def test_nobody_elses_ring_blinks_on_an_own_gateway(
    ada: User,
    grace: User,
    give_ring: Any,
    start_gateway: Callable[..., Awaitable[Answerer]],
) -> None:
    made, ring = await make(ada), await give_ring(grace)
    gateway = await start_gateway(made["id"], lines)
    answer = await ada.client.post(
        f"/v1/gateways/{made['id']}/rpc/identify", json={"ring_id": str(ring.id)}
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "ring.not_found")
    assert gateway.calls == []


async def test_rejected_taps_are_shown_to_the_owner_of_the_gateway(
    hub: Running, ada: User, grace: User, give_ring: Any
) -> None:
    mine, theirs = await make(ada), await make(grace)
    own, foreign = await give_ring(ada), await give_ring(grace)
    async with begin(hub.resources.system, SYSTEM) as tx:
        await reject.run(tx, UUID(mine["id"]), own.device_id)
        await reject.run(tx, UUID(mine["id"]), foreign.device_id)
        await reject.run(tx, UUID(theirs["id"]), own.device_id)
        await reject.run(tx, None, own.device_id)
    items = (await ada.client.get("/v1/rejected-taps")).json()["items"]
    assert [(item["gateway_id"], item["device_id"], item["ring_id"]) for item in items] == [
        (mine["id"], foreign.device_id.hex(), None),
        (mine["id"], own.device_id.hex(), str(own.id)),
    ]
    assert {item["reason"] for item in items} == {"bad_tag"}
    other = (await ada.client.get(f"/v1/rejected-taps?gateway_id={theirs['id']}")).json()
    assert other["items"] == []
    first = (await ada.client.get("/v1/rejected-taps?limit=1")).json()
    rest = await ada.client.get(f"/v1/rejected-taps?limit=1&cursor={first['next_cursor']}")
    assert first["items"] + rest.json()["items"] == items


async def test_a_retained_configuration_is_the_hubs_alone(
    mqtt_server: RestartableMqtt | ExternalMqtt,
) -> None:
    if isinstance(mqtt_server, ExternalMqtt):
        pytest.skip("one login for everyone: nothing fences gateways on this broker")
    victim, attacker = new_id(), new_id()
    listening = Answerer(mqtt_server.gateway_url(str(victim)), victim, lines)
    heard: list[bytes] = []
    listening.client.on_message = lambda *args: heard.append(args[2].payload)
    listening.client.subscribe(edge.config_topic(victim), 1)
    evil = Answerer(mqtt_server.gateway_url(str(attacker)), attacker, lines)
    taken: list[int] = []
    evil.client.on_publish = lambda _c, _d, _m, reason, _p: taken.append(reason.value)
    wait_until(lambda: listening.subscribed and evil.subscribed, "both subscriptions")
    evil.client.publish(edge.config_topic(victim), b"\xa0", 1, retain=True)
    wait_until(lambda: bool(taken), "the broker's answer to the attacker")
    assert taken == [0x87]
    late = Answerer(mqtt_server.gateway_url(str(victim)), victim, lines)
    late.client.on_message = lambda *args: heard.append(args[2].payload)
    late.subscribed = False
    late.client.subscribe(edge.config_topic(victim), 1)
    wait_until(lambda: late.subscribed, "the late subscription")
    for client in (listening, evil, late):
        client.close()
    assert heard == []
