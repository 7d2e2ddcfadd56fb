"""The life of a gateway at the real hub and broker: claim, taps, renewal, revocation."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from core import config
from core.db.bootstrap import at_database
from firmware_bridge import tap
from gateway import claim, renewal, renewing
from gateway.daemon import Gateway
from hub.embedded.generated import DATABASE_NAME
from hub.processes.system import System
from hub.processes.watch import demo_users, sign_in
from tests.e2e.phone import call
from tests.e2e.test_gateway_identity import revoke
from tests.fixtures.rings import eventually
from tests.gateway.processes import running_gateway

BOOT = 900_000
"""Above what the virtual rings of the system count to."""


class Taps:
    """Taps of a ring of the demo, made without its radio."""

    def __init__(self, system: System) -> None:
        entry = json.loads((system.home / "rings.json").read_text())[0]
        self._id, self._key = bytes.fromhex(entry["device_id"]), bytes.fromhex(entry["tap_key"])
        self._seq = 0

    async def reach(self, gateway: Gateway) -> None:
        """Let the next record reach the gateway as a notification would."""
        self._seq += 1
        record = tap.TapRecord(kind="button", boot=BOOT, seq=self._seq, uptime_ms=self._seq)
        raw = tap.encode(record, ring_id=self._id, key=self._key)
        assert await gateway.intake.store(self._id, record, raw, rssi=-40, live=True)

    async def arrive(self, gateway: Gateway) -> None:
        """Let one go all the way, until the hub's word has come back."""
        before = gateway._acknowledged_count
        await self.reach(gateway)
        await eventually(lambda: gateway._acknowledged_count > before, "the hub's word", 20)
        assert (await gateway.spool.stats()).quarantined == 0


@pytest.mark.req("RNG-03", "RNG-05")
async def test_a_gateway_is_claimed_carries_taps_renews_itself_and_is_cast_out(
    system: System, tmp_path: Path, monkeypatch
):
    owner = sign_in(system.url, demo_users(system.url)[0].id)
    made: dict[str, Any] = call(
        system.url, "/v1/gateways", {"name": "journey"}, owner, key=str(uuid4())
    )
    folder, taps = tmp_path / "identity", Taps(system)
    claimed = claim.claim(folder, made["claim_code"], system.url, force=False)
    assert claimed.gateway_id == made["id"]
    with pytest.raises(claim.ClaimError, match="already_claimed"):
        claim.claim(folder, made["claim_code"], system.url, force=False)
    with pytest.raises(claim.ClaimError, match=r"gateway\.claim_refused"):
        claim.claim(tmp_path / "thief", made["claim_code"], system.url, force=False)

    monkeypatch.setattr(renewing, "TICK_SECONDS", 0.05)
    options = {"id": "", "identity_path": str(folder)}
    async with running_gateway("", tmp_path, **options) as gateway:
        await taps.arrive(gateway)
        await taps.arrive(gateway)

    old_key = (folder / "key.pem").read_bytes()
    old_certificate = (folder / "certificate.pem").read_bytes()
    await _age(system, made["id"], 70)
    monkeypatch.setattr(renewal, "DUE_SHARE", -1.0)  # due now, as the hub has it
    async with running_gateway("", tmp_path, **options) as gateway:
        # Not by its end: certificates of one second have the same.
        await eventually(
            lambda: (folder / "certificate.pem").read_bytes() != old_certificate, "renewal", 30
        )
        monkeypatch.undo()
        await eventually(lambda: gateway.uplink.is_up, "the link", 20)
        await taps.arrive(gateway)
        assert (folder / "key.pem").read_bytes() != old_key
        await eventually(lambda: not (folder / "renewing").exists(), "the end of renewal", 20)

        await asyncio.to_thread(revoke, system.url, made["id"], owner)
        await eventually(
            lambda: gateway._renewing.problem == "certificate_refused", "the refusal", 20
        )
        await taps.reach(gateway)
        stats = await gateway.spool.stats()
        assert stats.pending == 1


async def _age(system: System, gateway_id: str, days: int) -> None:
    """Let the gateway's certificate be older for the hub."""
    home = {"PINGHUB_HOME": str(system.home), "PINGHUB_CONFIG": str(system.home / "none.toml")}
    url = at_database(config.load(home).database.superuser_url, DATABASE_NAME)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            """UPDATE gateway_certificates SET not_before = not_before - $1 * interval '1 day',
            not_after = not_after - $1 * interval '1 day' WHERE gateway_id = $2""",
            days,
            gateway_id,
        )
    finally:
        await connection.close()
