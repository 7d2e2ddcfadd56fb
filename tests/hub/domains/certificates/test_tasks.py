"""The brokers' file of revoked certificates follows what happens."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from msgspec.structs import replace

from core import config
from core.actor import SYSTEM, Actor
from core.config import Pki
from core.db import Pool, Tx, begin
from core.ids import UserId
from hub.domains.certificates import service, tasks
from hub.domains.certificates.schemas import ClaimedGateway
from hub.domains.events.schemas import Errand
from hub.providers.mqtt_sender import MqttSender
from hub.providers.outside import Outside
from tests.fixtures.gateway_identity import PKI, age, claimed, report
from tests.fixtures.requests import new_key
from tests.fixtures.world import World

TakeOver = Callable[[], Awaitable[ClaimedGateway]]
Work = Callable[[Callable[[Tx], Awaitable[Errand]]], Awaitable[None]]


def outside(pki: Pki) -> Outside:
    return Outside(config.Settings(pki=pki), MqttSender(config.Mqtt()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "broker" / "crl.pem"


@pytest.fixture
def pki(path: Path) -> Pki:
    return replace(PKI, crl_path=str(path))


@pytest.fixture
def take_over(api_pool: Pool, system_pool: Pool, world: World) -> TakeOver:
    """Let a new device be the world's gateway."""
    return lambda: claimed(api_pool, system_pool, world, new_key())


@pytest.fixture
def work(system_pool: Pool, pki: Pki) -> Work:
    """Do what a worker does: the errand after the commit."""

    async def do(make: Callable[[Tx], Awaitable[Errand]]) -> None:
        async with begin(system_pool, SYSTEM) as tx:
            errand = await make(tx)
        await errand(outside(pki))

    return do


def write_revocations(tx: Tx) -> Awaitable[Errand]:
    event: Any = None
    return tasks.write_revocations(tx, event)


def listed(path: Path) -> set[int]:
    return {item.serial_number for item in x509.load_pem_x509_crl(path.read_bytes())}


def serial(certificate: str) -> int:
    return x509.load_pem_x509_certificate(certificate.encode()).serial_number


def is_readable_to_all(path: Path) -> bool:
    return path.stat().st_mode & 0o777 == 0o644


async def test_a_replaced_device_stands_in_the_file(
    path: Path, take_over: TakeOver, work: Work
) -> None:
    first = await take_over()
    await work(tasks.refresh)
    assert listed(path) == set()
    await take_over()
    await work(write_revocations)
    assert listed(path) == {serial(first.certificate)}
    assert is_readable_to_all(path), "the broker runs as somebody else"


async def test_a_revoked_gateway_stands_in_the_file(
    api_pool: Pool, world: World, path: Path, take_over: TakeOver, work: Work
) -> None:
    only = await take_over()
    async with begin(api_pool, Actor(kind="user", user_id=UserId(world.user_id))) as tx:
        await service.revoke_gateway(tx, world.gateway_id)
    await work(write_revocations)
    assert listed(path) == {serial(only.certificate)}


async def test_a_superseded_certificate_comes_to_the_file_by_time(
    world: World, path: Path, take_over: TakeOver, work: Work, admin: Any
) -> None:
    old = await take_over()
    await age(admin, 1.1)
    new = await take_over()
    # As by renewal, which would need two thirds of a life.
    await admin.execute("UPDATE gateway_certificates SET revoked_at = NULL, revoked_reason = NULL")
    await age(admin, 1.1)
    await work(tasks.refresh)
    assert listed(path) == set()
    await report(admin, world.gateway_id, new.not_after)
    await work(tasks.refresh)
    assert listed(path) == {serial(old.certificate)}


@pytest.mark.parametrize("changes", [{"crl_path": ""}, {"ca_key": ""}])
async def test_without_a_path_or_an_authority_nothing_is_written(
    system_pool: Pool, path: Path, pki: Pki, changes: dict[str, str]
) -> None:
    async with begin(system_pool, SYSTEM) as tx:
        errand = await tasks.refresh(tx)
    await errand(outside(replace(pki, **changes)))
    assert list(path.parents[1].iterdir()) == []


async def test_errands_at_the_same_time_leave_the_newest_list(
    system_pool: Pool, path: Path, pki: Pki, take_over: TakeOver
) -> None:
    waiting: list[Errand] = []
    for _ in range(4):
        await take_over()
        async with begin(system_pool, SYSTEM) as tx:
            waiting.append(await tasks.refresh(tx))
    await asyncio.gather(*(errand(outside(pki)) for errand in reversed(waiting)))
    assert len(listed(path)) == 3
