"""Renewal, overlap and end of certificates, on the database."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from core import authority as ca
from core import clock
from core.actor import SYSTEM, Actor
from core.authority import Authority
from core.db import Pool, begin
from core.errors import DomainError
from core.ids import UserId, new_id
from hub.domains.certificates import service
from hub.domains.certificates.schemas import RenewalRequest, Renewed, RevocationList
from tests.fixtures.gateway_identity import (
    AUTHORITY,
    PKI,
    age,
    claim,
    claimed,
    new_code,
    report,
)
from tests.fixtures.requests import der, new_key, request_of
from tests.fixtures.world import INDEX_KEY, World, create_world

CLAIMED = "SELECT count(*) FROM gateway_certificates"


async def renew(
    system: Pool,
    gateway: UUID,
    key: Any = None,
    *,
    authority: Authority | None = AUTHORITY,
    csr: bytes = b"",
) -> Renewed:
    request = RenewalRequest(gateway, b"\1", csr or der(request_of(key or new_key())))
    async with begin(system, SYSTEM) as tx:
        return await service.renew(tx, authority, PKI, request)


async def revoked(system: Pool) -> RevocationList:
    async with begin(system, SYSTEM) as tx:
        return await service.list_revoked(tx)


async def supersede(system: Pool) -> int:
    async with begin(system, SYSTEM) as tx:
        return await service.supersede(tx)


async def test_a_certificate_is_renewed_when_a_third_of_its_life_is_left(
    api_pool: Pool, system_pool: Pool, world: World, admin: Any
) -> None:
    first, second = new_key(), new_key()
    await claimed(api_pool, system_pool, world, first)
    assert (await renew(system_pool, world.gateway_id, second)).code == "not_due"
    await age(admin, 50)
    assert (await renew(system_pool, world.gateway_id, second)).code == "not_due"
    await age(admin, 10)
    renewed = await renew(system_pool, world.gateway_id, second)
    assert renewed.code == ""
    made = x509.load_pem_x509_certificate(renewed.certificate.encode())
    assert made.public_key() == second.public_key()
    assert made.subject.rfc4514_string() == f"CN={world.gateway_id}"
    made.verify_directly_issued_by(AUTHORITY.certificate)
    expires_at = await admin.fetchval("SELECT cert_expires_at FROM gateways")
    assert expires_at == made.not_valid_after_utc
    serials = await admin.fetch("SELECT serial FROM gateway_certificates ORDER BY id")
    assert serials[-1]["serial"] == f"{made.serial_number:x}"


async def test_the_same_request_again_has_the_same_answer(
    api_pool: Pool, system_pool: Pool, world: World, admin: Any
) -> None:
    await claimed(api_pool, system_pool, world, new_key())
    await age(admin, 61)
    key = new_key()
    first = await renew(system_pool, world.gateway_id, key)
    assert await renew(system_pool, world.gateway_id, key) == first
    assert (await renew(system_pool, world.gateway_id)).code == "not_due"
    assert await admin.fetchval(CLAIMED) == 2


async def test_requests_at_the_same_time_make_one_certificate(
    api_pool: Pool, system_pool: Pool, world: World, admin: Any
) -> None:
    await claimed(api_pool, system_pool, world, new_key())
    await age(admin, 61)
    key = new_key()
    answers = await asyncio.gather(*(renew(system_pool, world.gateway_id, key) for _ in range(6)))
    assert len({answer.certificate for answer in answers}) == 1
    others = await asyncio.gather(*(renew(system_pool, world.gateway_id) for _ in range(4)))
    assert {answer.code for answer in others} == {"not_due"}
    assert await admin.fetchval(CLAIMED) == 2


async def test_a_gateway_that_lost_the_new_key_is_not_locked_out(
    api_pool: Pool, system_pool: Pool, world: World, admin: Any
) -> None:
    old = await claimed(api_pool, system_pool, world, new_key())
    await age(admin, 61)
    assert (await renew(system_pool, world.gateway_id)).code == ""
    await report(admin, world.gateway_id, old.not_after - timedelta(days=61))
    assert (await renew(system_pool, world.gateway_id)).code == "not_due"
    await age(admin, 0.05)
    assert (await renew(system_pool, world.gateway_id)).code == ""


@pytest.mark.parametrize("content", [b"garbage", der(request_of(padding=4096))])
async def test_a_request_that_is_none_is_malformed_and_changes_nothing(
    api_pool: Pool, system_pool: Pool, world: World, admin: Any, content: bytes
) -> None:
    await claimed(api_pool, system_pool, world, new_key())
    await age(admin, 61)
    assert (await renew(system_pool, world.gateway_id, csr=content)).code == "malformed"
    key = rsa.generate_private_key(65537, 1024)
    assert (await renew(system_pool, world.gateway_id, key)).code == "malformed"
    assert await admin.fetchval(CLAIMED) == 1


async def test_only_a_gateway_that_has_a_certificate_gets_the_next(
    api_pool: Pool, system_pool: Pool, world: World, admin: Any
) -> None:
    assert (await renew(system_pool, new_id())).code == "revoked"
    assert (await renew(system_pool, world.gateway_id)).code == "revoked"
    await claimed(api_pool, system_pool, world, new_key())
    await age(admin, 61)
    owner = Actor(kind="user", user_id=UserId(world.user_id))
    async with begin(api_pool, owner) as tx:
        await service.revoke_gateway(tx, world.gateway_id)
    assert (await renew(system_pool, world.gateway_id)).code == "revoked"
    assert await admin.fetchval(CLAIMED) == 1


async def test_without_an_authority_that_lasts_nothing_is_renewed(
    api_pool: Pool, system_pool: Pool, world: World, admin: Any
) -> None:
    await claimed(api_pool, system_pool, world, new_key())
    await age(admin, 61)
    assert (await renew(system_pool, world.gateway_id, authority=None)).code == "unavailable"
    pair = ca.create("Ends", now=clock.now() - timedelta(days=364, hours=12), years=1)
    ends = ca.load(pair.key, pair.certificate)
    assert (await renew(system_pool, world.gateway_id, authority=ends)).code == "unavailable"
    with pytest.raises(DomainError) as refusal:
        await claim(
            system_pool,
            await new_code(api_pool, world.user_id, world.gateway_id),
            authority=ends,
        )
    assert refusal.value.code == "gateway.claims_unavailable"
    assert await admin.fetchval("SELECT claim_key_hash FROM gateways") is None


async def test_an_old_certificate_ends_a_day_after_its_successor_and_not_before_that_is_used(
    api_pool: Pool, system_pool: Pool, world: World, admin: Any
) -> None:
    old = await claimed(api_pool, system_pool, world, new_key())
    await age(admin, 61)
    new = await renew(system_pool, world.gateway_id)
    assert await supersede(system_pool) == 0
    await age(admin, 1.01)
    assert await supersede(system_pool) == 0, "the gateway may have nothing else to come back with"
    ends = await admin.fetch("SELECT not_after FROM gateway_certificates ORDER BY id")
    await report(admin, world.gateway_id, ends[0]["not_after"])
    assert await supersede(system_pool) == 0
    await report(admin, world.gateway_id, ends[1]["not_after"])
    assert await supersede(system_pool) == 1
    assert await supersede(system_pool) == 0
    [listed] = (await revoked(system_pool)).certificates
    serial = x509.load_pem_x509_certificate(old.certificate.encode()).serial_number
    assert (int(listed.serial, 16), listed.is_superseded) == (serial, True)
    assert new.code == ""


async def test_the_successor_is_valid_for_a_day_beside_the_old_one(
    api_pool: Pool, system_pool: Pool, world: World, admin: Any
) -> None:
    await claimed(api_pool, system_pool, world, new_key())
    await age(admin, 61)
    await renew(system_pool, world.gateway_id)
    await age(admin, 0.99)
    newest = await admin.fetchval("SELECT max(not_after) FROM gateway_certificates")
    await report(admin, world.gateway_id, newest)
    assert await supersede(system_pool) == 0
    assert (await revoked(system_pool)).certificates == []


async def test_the_list_forgets_what_has_ended_and_keeps_what_lost_its_gateway(
    api_pool: Pool, system_pool: Pool, world: World, admin: Any
) -> None:
    await claimed(api_pool, system_pool, world, new_key())
    assert (await revoked(system_pool)).certificates == []
    await admin.execute("DELETE FROM users WHERE id = $1", world.user_id)
    found = await revoked(system_pool)
    assert [item.is_superseded for item in found.certificates] == [False]
    content = service.write_revocation_list(AUTHORITY, found, clock.now())
    assert len(list(x509.load_pem_x509_crl(content))) == 1
    await age(admin, 90.5)
    assert len((await revoked(system_pool)).certificates) == 1, "a broker's clock may be behind"
    await age(admin, 1)
    later = await revoked(system_pool)
    assert later.certificates == []
    assert later.number > found.number


async def test_a_code_can_only_be_made_by_the_owner_of_a_gateway_that_lives(
    api_pool: Pool, world: World, admin: Any
) -> None:
    stranger = await create_world(admin, "Eve")
    for gateway in (world.gateway_id, new_id()):
        with pytest.raises(DomainError) as refusal:
            await new_code(api_pool, stranger.user_id, gateway)
        assert refusal.value.code == "gateway.not_found"
    with pytest.raises(DomainError) as refusal:
        async with begin(api_pool, Actor(kind="user", user_id=UserId(stranger.user_id))) as tx:
            await service.revoke_gateway(tx, world.gateway_id)
    assert refusal.value.code == "gateway.not_found"
    async with begin(api_pool, Actor(kind="user", user_id=UserId(world.user_id))) as tx:
        await service.revoke_gateway(tx, world.gateway_id)
        await service.revoke_gateway(tx, world.gateway_id)
    with pytest.raises(DomainError) as refusal:
        await new_code(api_pool, world.user_id, world.gateway_id)
    assert refusal.value.code == "gateway.revoked"


async def test_a_code_is_kept_as_a_hash_and_ends_after_a_quarter_of_an_hour(
    api_pool: Pool, world: World, admin: Any
) -> None:
    code = await new_code(api_pool, world.user_id, world.gateway_id)
    row = await admin.fetchrow("SELECT * FROM gateways WHERE id = $1", world.gateway_id)
    assert row["claim_hash"] == service.claim_code_hash(INDEX_KEY, code)
    assert code.encode() not in row["claim_hash"]
    left = row["claim_expires_at"] - clock.now()
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    audit = await admin.fetchval("SELECT string_agg(new_values::text, '') FROM audit_log")
    assert row["claim_hash"].hex() not in audit


async def test_certificates_are_counted_for_operators(
    api_pool: Pool, system_pool: Pool, world: World, admin: Any
) -> None:
    await claimed(api_pool, system_pool, world, new_key())
    await claimed(api_pool, system_pool, world, new_key())
    await age(admin, 85)
    async with begin(system_pool, SYSTEM) as tx:
        found = await service.count_certificates(tx)
    assert (found.valid, found.ends_within_week, found.ended) == (1, 1, 0)
    assert (found.superseded, found.revoked) == (0, 1)
