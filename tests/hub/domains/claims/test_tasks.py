"""Claims through a gateway: what the consumer does with whatever the gateway answers."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from core.actor import SYSTEM
from core.db import Pool, begin, query
from core.errors import DomainError
from hub.domains.claims import tasks
from hub.domains.events.schemas import Event
from hub.providers.gateway_rpc import GatewayRpc
from hub.providers.mqtt_sender import MqttSender
from hub.providers.outside import Outside
from tests.fixtures.app import Running, User
from tests.hub.domains.claims.test_routes import Held, start

EVENT = query(
    Event,
    """
    SELECT id, type, user_id, subject_id, payload, occurred_at
    FROM events
    WHERE type = 'ring.claim_asked'
    ORDER BY id DESC
    LIMIT 1
    """,
    login="system",
)

COUNT_ASKED = query(
    int, "SELECT count(*) FROM events WHERE type = 'ring.claim_asked'", login="system"
)


class FakeGateway:
    """Stands at the end of the calls: the ring in reach, and what goes wrong."""

    def __init__(self, held: Held, started: dict[str, Any]) -> None:
        self.held = held
        self.started = started
        self.calls: list[str] = []
        self.failures: dict[str, list[str]] = {}

    async def call(
        self, _gateway: UUID, method: str, args: dict[str, Any], *_: Any
    ) -> dict[str, Any]:
        self.calls.append(method)
        if failures := self.failures.get(method):
            raise DomainError(failures.pop(0))
        assert args["ring"] == self.held.ring_id
        if method == "confirm":
            self.held.confirm(args["tag"].hex())
            return {}
        assert args["nonce"].hex() == self.started["nonce"]
        body = self.held.prove(self.started)
        return {
            "ring_public_key": bytes.fromhex(body["ring_public_key"]),
            "boot": body["boot"],
            "seq": body["seq"],
            "tag": bytes.fromhex(body["tag"]),
        }


@pytest.fixture
async def gateway_id(ada: User, admin: Any) -> UUID:
    return await admin.fetchval(
        "INSERT INTO gateways (user_id, name, status) VALUES ($1, 'home', 'online') RETURNING id",
        ada.id,
    )


@pytest.fixture
async def asked(
    ada: User, make_ring: Callable[[], Any], gateway_id: UUID, monkeypatch: Any
) -> FakeGateway:
    """A claim of Ada's that her gateway was asked to help with."""
    ring = await make_ring()
    fake = FakeGateway(Held(ring), await start(ada, ring.claim_code))
    monkeypatch.setattr(GatewayRpc, "call", fake.call)
    await ask(ada, fake.started, gateway_id)
    return fake


async def ask(user: User, started: dict[str, Any], gateway_id: UUID) -> Any:
    return await user.client.post(
        f"/v1/ring-claims/{started['id']}/gateway", json={"gateway_id": str(gateway_id)}
    )


async def react(hub: Running, system_pool: Pool) -> None:
    async with begin(system_pool, SYSTEM) as tx:
        errand = await tasks.ask_gateway(tx, await EVENT.one(tx))
    if errand is not None:
        outside = Outside(
            hub.settings,
            MqttSender(hub.settings.mqtt),
            lambda: system_pool,
            lambda: hub.resources.cipher,
        )
        await errand(outside)


async def shown(user: User, asked: FakeGateway) -> tuple[str, str | None]:
    claim = (await user.client.get(f"/v1/ring-claims/{asked.started['id']}")).json()
    return claim["status"], claim["gateway_code"]


async def test_a_gateway_brings_the_proof_and_takes_the_confirmation_back(
    hub: Running, system_pool: Pool, ada: User, asked: FakeGateway
) -> None:
    await react(hub, system_pool)
    assert asked.calls == ["prove", "confirm"]
    assert asked.held.slots.keys is not None
    assert await shown(ada, asked) == ("done", None)


async def test_what_went_wrong_is_shown_and_the_claim_stays_open(
    hub: Running, system_pool: Pool, ada: User, asked: FakeGateway, gateway_id: UUID
) -> None:
    asked.failures["prove"] = ["gateway.ring_not_pressed"]
    await react(hub, system_pool)
    assert await shown(ada, asked) == ("open", "gateway.ring_not_pressed")
    answer = await ask(ada, asked.started, gateway_id)
    assert (answer.status_code, answer.json()["gateway_code"]) == (202, None)
    await react(hub, system_pool)
    assert await shown(ada, asked) == ("done", None)


async def test_whoever_asks_without_end_is_at_work_once(
    system_pool: Pool, ada: User, asked: FakeGateway, gateway_id: UUID
) -> None:
    answers = [await ask(ada, asked.started, gateway_id) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {202}
    async with begin(system_pool, SYSTEM) as tx:
        assert await COUNT_ASKED.one(tx) == 1


async def test_a_confirmation_that_did_not_arrive_is_brought_again(
    hub: Running, system_pool: Pool, ada: User, asked: FakeGateway
) -> None:
    asked.failures["confirm"] = ["gateway.not_connected"]
    with pytest.raises(DomainError, match="Ring not connected"):
        await react(hub, system_pool)
    assert await shown(ada, asked) == ("done", "gateway.not_connected")
    assert asked.held.slots.keys is None
    await react(hub, system_pool)
    assert asked.calls == ["prove", "confirm", "confirm"]
    assert await shown(ada, asked) == ("done", None)
    assert asked.held.slots.keys is not None


async def test_while_the_broker_is_away_nothing_is_decided(
    hub: Running, system_pool: Pool, ada: User, asked: FakeGateway
) -> None:
    asked.failures["prove"] = ["service.unavailable"]
    with pytest.raises(DomainError, match="Temporarily unavailable"):
        await react(hub, system_pool)
    assert await shown(ada, asked) == ("open", None)


async def test_a_claim_that_is_over_asks_for_nothing(
    hub: Running, system_pool: Pool, ada: User, asked: FakeGateway, admin: Any
) -> None:
    await admin.execute("UPDATE ring_claims SET expires_at = now()")
    await react(hub, system_pool)
    assert asked.calls == []


async def test_only_ones_own_gateway_that_is_there_is_asked(
    ada: User, grace: User, asked: FakeGateway, gateway_id: UUID, admin: Any
) -> None:
    foreign = await ask(grace, asked.started, gateway_id)
    assert (foreign.status_code, foreign.json()["code"]) == (404, "gateway.not_found")
    await admin.execute("UPDATE gateways SET status = 'offline'")
    away = await ask(ada, asked.started, gateway_id)
    assert (away.status_code, away.json()["code"]) == (409, "gateway.offline")
