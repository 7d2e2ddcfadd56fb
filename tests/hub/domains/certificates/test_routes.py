"""Claiming a gateway over REST, and what its owner sees of it."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec.structs import replace

from core import config
from core.db import begin
from core.errors import ConfigError
from core.ids import new_id
from hub.domains.certificates import service
from hub.http.deps import require_settings
from hub.http.limits import POLICIES
from tests.fixtures.app import Running, User, user_actor
from tests.fixtures.gateway_identity import AUTHORITY, MQTT_URL, PKI, age, new_code
from tests.fixtures.requests import new_key, pem, request_of

CLAIM = "/v1/gateways/claim"


@pytest.fixture
def app_settings(app_settings: config.Settings) -> config.Settings:
    """Return settings of a hub with an authority."""
    return replace(app_settings, pki=PKI)


@pytest_asyncio.fixture
async def gateway(ada: User, admin: Any) -> UUID:
    """Return a gateway of Ada's that no device has claimed."""
    return await add_gateway(admin, ada)


async def add_gateway(admin: Any, owner: User) -> UUID:
    gateway_id = new_id()
    await admin.execute(
        "INSERT INTO gateways (id, user_id, name) VALUES ($1, $2, $3)",
        gateway_id,
        owner.id,
        str(gateway_id),
    )
    return gateway_id


async def code_of(hub: Running, owner: User, gateway: UUID) -> str:
    return await new_code(hub.resources.api, owner.id, gateway, hub.resources.index_key)


async def claim(hub: Running, code: str, csr: str, *, peer: str = "") -> httpx.Response:
    """Claim as a device of its own address: the limit is of others' making."""
    claim.peers += 1
    address = peer or f"203.0.113.{claim.peers % 250}"
    async with hub.client(peer=address) as client:
        return await client.post(CLAIM, json={"claim_code": code, "csr": csr})


claim.peers = 0


def certificate(answer: httpx.Response) -> x509.Certificate:
    assert answer.status_code == 200, answer.text
    return x509.load_pem_x509_certificate(answer.json()["certificate"].encode())


async def test_a_code_and_a_request_make_a_gateway(
    hub: Running, ada: User, gateway: UUID, admin: Any
) -> None:
    key = new_key()
    answer = await claim(hub, await code_of(hub, ada, gateway), pem(request_of(key)))
    made = certificate(answer)
    body = answer.json()
    assert (body["gateway_id"], body["mqtt_url"]) == (str(gateway), MQTT_URL)
    assert body["ca"] == PKI.ca_certificate
    made.verify_directly_issued_by(AUTHORITY.certificate)
    assert made.subject.rfc4514_string() == f"CN={gateway}"
    assert made.public_key() == key.public_key()
    assert body["not_after"] == made.not_valid_after_utc.isoformat().replace("+00:00", "Z")
    event = await admin.fetchrow("SELECT * FROM events WHERE type = 'gateway.claimed'")
    assert (event["user_id"], event["subject_id"]) == (ada.id, gateway)
    listed = (await ada.client.get(f"/v1/gateways/{gateway}/certificates")).json()
    assert [item["serial"] for item in listed["items"]] == [f"{made.serial_number:x}"]
    assert listed["items"][0]["revoked_at"] is None


async def test_a_code_is_read_however_it_is_typed(hub: Running, ada: User, gateway: UUID) -> None:
    code = (await code_of(hub, ada, gateway)).lower().replace("-", " ")
    certificate(await claim(hub, f" {code}", pem(request_of())))


async def test_a_lost_answer_is_given_again_to_the_same_key_and_to_no_other(
    hub: Running, ada: User, gateway: UUID, admin: Any
) -> None:
    code, key = await code_of(hub, ada, gateway), new_key()
    first = await claim(hub, code, pem(request_of(key)))
    again = await claim(hub, code, pem(request_of(key)))
    assert again.json() == first.json()
    other = await claim(hub, code, pem(request_of()))
    assert (other.status_code, other.json()["code"]) == (409, "gateway.claim_refused")
    assert await admin.fetchval("SELECT count(*) FROM gateway_certificates") == 1
    assert await admin.fetchval("SELECT count(*) FROM events WHERE type = 'gateway.claimed'") == 1


async def test_a_certificate_that_has_ended_is_not_handed_out_again(
    hub: Running, ada: User, gateway: UUID, admin: Any
) -> None:
    code, key = await code_of(hub, ada, gateway), new_key()
    certificate(await claim(hub, code, pem(request_of(key))))
    await admin.execute("UPDATE gateway_certificates SET superseded_at = now()")
    again = await claim(hub, code, pem(request_of(key)))
    assert (again.status_code, again.json()["code"]) == (409, "gateway.claim_refused")


async def test_of_devices_that_use_one_code_at_once_exactly_one_wins(
    hub: Running, ada: User, gateway: UUID, admin: Any
) -> None:
    code = await code_of(hub, ada, gateway)
    answers = await asyncio.gather(*(claim(hub, code, pem(request_of())) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert await admin.fetchval("SELECT count(*) FROM gateway_certificates") == 1


async def test_one_device_that_asks_twice_at_once_has_one_certificate(
    hub: Running, ada: User, gateway: UUID, admin: Any
) -> None:
    code, key = await code_of(hub, ada, gateway), new_key()
    answers = await asyncio.gather(*(claim(hub, code, pem(request_of(key))) for _ in range(6)))
    assert len({answer.json()["certificate"] for answer in answers}) == 1
    assert await admin.fetchval("SELECT count(*) FROM gateway_certificates") == 1


async def test_every_code_that_does_not_work_is_refused_alike(
    hub: Running, ada: User, gateway: UUID, admin: Any
) -> None:
    used = await code_of(hub, ada, gateway)
    certificate(await claim(hub, used, pem(request_of())))
    late_gateway, former_gateway, revoked_gateway = [
        await add_gateway(admin, ada) for _ in range(3)
    ]
    late = await code_of(hub, ada, late_gateway)
    await admin.execute("UPDATE gateways SET claim_expires_at = now() WHERE id = $1", late_gateway)
    former = await code_of(hub, ada, former_gateway)
    await code_of(hub, ada, former_gateway)
    withdrawn = await code_of(hub, ada, revoked_gateway)
    async with begin(hub.resources.api, user_actor(ada.id)) as tx:
        await service.revoke_gateway(tx, revoked_gateway)
    answers = [
        await claim(hub, code, pem(request_of()))
        for code in ("WRNG-WRNG-WRNG-WRNG", used, late, former, withdrawn, "'; --", "\u0131\ufb03")
    ]
    bodies = [answer.json() | {"request_id": ""} for answer in answers]
    assert {body["code"] for body in bodies} == {"gateway.claim_refused"}
    assert all(body == bodies[0] for body in bodies)
    assert await admin.fetchval("SELECT count(*) FROM gateway_certificates") == 1


@pytest.mark.parametrize(
    "csr",
    [
        "garbage",
        pem(request_of()).replace("BEGIN CERTIFICATE REQUEST", "BEGIN CERTIFICATE"),
        pem(request_of(rsa.generate_private_key(65537, 1024))),
        pem(request_of(padding=4096)),
        pem(request_of())[:-60] + pem(request_of())[-60:],
        "A" * 100_000,
    ],
)
async def test_a_bad_request_is_refused_and_the_code_stays_good(
    hub: Running, ada: User, gateway: UUID, csr: str
) -> None:
    code = await code_of(hub, ada, gateway)
    answer = await claim(hub, code, csr)
    assert (answer.status_code, answer.json()["code"]) == (422, "gateway.csr_invalid")
    certificate(await claim(hub, code, pem(request_of())))


async def test_a_request_decides_nothing_but_its_key(
    hub: Running, ada: User, gateway: UUID
) -> None:
    hostile = request_of(name=f"{new_id()}/CN=hub", claims_authority=True)
    made = certificate(await claim(hub, await code_of(hub, ada, gateway), pem(hostile)))
    assert made.subject.rfc4514_string() == f"CN={gateway}"
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    with pytest.raises(x509.ExtensionNotFound):
        made.extensions.get_extension_for_class(x509.SubjectAlternativeName)


async def test_another_device_takes_the_place_of_the_former_one(
    hub: Running, ada: User, gateway: UUID, admin: Any
) -> None:
    certificate(await claim(hub, await code_of(hub, ada, gateway), pem(request_of())))
    code = await code_of(hub, ada, gateway)
    assert await admin.fetchval("SELECT revoked_at FROM gateway_certificates") is None
    certificate(await claim(hub, code, pem(request_of())))
    listed = (await ada.client.get(f"/v1/gateways/{gateway}/certificates")).json()["items"]
    assert [item["revoked_reason"] for item in listed] == [None, "replaced"]
    assert await admin.fetchval("SELECT count(*) FROM events WHERE type = 'gateway.claimed'") == 2


async def test_a_revoked_gateway_has_no_certificate_left_and_its_owner_is_told(
    hub: Running, ada: User, gateway: UUID, admin: Any
) -> None:
    certificate(await claim(hub, await code_of(hub, ada, gateway), pem(request_of())))
    async with begin(hub.resources.api, user_actor(ada.id)) as tx:
        await service.revoke_gateway(tx, gateway)
    listed = (await ada.client.get(f"/v1/gateways/{gateway}/certificates")).json()["items"]
    assert [item["revoked_reason"] for item in listed] == ["revoked"]
    types = await admin.fetch("SELECT type FROM events WHERE type LIKE 'gateway.%' ORDER BY id")
    assert [row["type"] for row in types] == ["gateway.claimed", "gateway.revoked"]


async def test_certificates_are_their_owners_and_come_in_pages(
    hub: Running, ada: User, grace: User, gateway: UUID, admin: Any
) -> None:
    for _ in range(3):
        certificate(await claim(hub, await code_of(hub, ada, gateway), pem(request_of())))
    path = f"/v1/gateways/{gateway}/certificates"
    refused = await grace.client.get(path)
    assert (refused.status_code, refused.json()["code"]) == (404, "gateway.not_found")
    assert (await ada.client.get(f"/v1/gateways/{new_id()}/certificates")).status_code == 404
    first = (await ada.client.get(path, params={"limit": 2})).json()
    rest = (await ada.client.get(path, params={"cursor": first["next_cursor"]})).json()
    assert [len(first["items"]), len(rest["items"])] == [2, 1]
    assert len({item["id"] for item in (*first["items"], *rest["items"])}) == 3
    await age(admin, 1)


async def test_claims_of_one_address_are_limited(hub: Running) -> None:
    answers = [
        await claim(hub, "WRNG-WRNG-WRNG-WRNG", pem(request_of()), peer="198.51.100.9")
        for _ in range(POLICIES["gateway_claim"].quota + 1)
    ]
    assert [answer.status_code for answer in answers][-2:] == [409, 429]
    assert answers[-1].json()["code"] == "limit.exceeded"


@pytest.mark.parametrize("pki", [config.Pki(), replace(PKI, gateway_mqtt_url="")])
async def test_without_an_authority_claims_are_a_documented_problem_and_the_rest_works(
    start_app: Any, app_settings: config.Settings, pki: config.Pki
) -> None:
    hub = await start_app(replace(app_settings, pki=pki))
    answer = await claim(hub, "WRNG-WRNG-WRNG-WRNG", pem(request_of()))
    assert (answer.status_code, answer.json()["code"]) == (503, "gateway.claims_unavailable")
    async with hub.client() as client:
        assert (await client.get("/readyz")).status_code == 200


def test_an_authority_that_cannot_work_stops_the_start_and_names_the_setting(
    app_settings: config.Settings,
) -> None:
    other = config.Pki(ca_key=PKI.ca_key, ca_certificate="none")
    with pytest.raises(ConfigError, match=r"pki\.ca_key") as refusal:
        require_settings(replace(app_settings, pki=other))
    assert "PRIVATE KEY" not in str(refusal.value)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"claim_code": "x"},
        {"claim_code": "", "csr": "x"},
        {"claim_code": "x" * 65, "csr": "x"},
        {"claim_code": "x", "csr": 7},
        {"claim_code": "x", "csr": "x", "gateway_id": "0"},
    ],
)
async def test_a_body_of_another_shape_is_refused(hub: Running, body: dict[str, Any]) -> None:
    claim.peers += 1
    async with hub.client(peer=f"203.0.113.{claim.peers % 250}") as client:
        answer = await client.post(CLAIM, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
