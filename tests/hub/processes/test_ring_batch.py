"""`pinghub edge add-rings`: rings that nobody owns yet, for those who make them."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from core import config
from core.db import Pool
from core.errors import ConfigError, DomainError
from firmware_bridge.virtual.simulation import read_rings
from hub.domains.rings import service
from hub.processes import ring_batch
from hub.providers.keys import read_index_key
from tests.fixtures.app import count_rows

UID = "04A1B2C3D4E5F6"


@pytest.fixture(autouse=True)
def loaded(app_settings: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "load", lambda: app_settings)


async def add(out: Path, **wanted: Any) -> None:
    # The command runs a loop of its own, as in a shell.
    await asyncio.to_thread(ring_batch.add_rings, out=out, **wanted)


async def test_a_batch_of_rings_waits_for_its_owners(
    app_settings: config.Settings, tmp_path: Path, admin: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rings.json"
    await add(out, count=2)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    entries = json.loads(out.read_text())
    assert len({entry["tap_key"] for entry in entries}) == 2
    shown = capsys.readouterr().out
    for entry, virtual in zip(entries, read_rings(out), strict=True):
        assert virtual.device_id == entry["device_id"], "a virtual ring can take it as it is"
        assert entry["device_id"] in shown
        assert entry["tap_key"] not in shown
        assert entry["claim_code"] not in shown
        row = await admin.fetchrow(
            "SELECT status, user_id FROM rings WHERE claim_code_hash = $1",
            service.claim_code_hash(read_index_key(app_settings), entry["claim_code"]),
        )
        assert (row["status"], row["user_id"]) == ("unclaimed", None)


async def test_a_tag_is_one_rings_and_a_refused_batch_leaves_nothing(
    tmp_path: Path, system_pool: Pool
) -> None:
    await add(tmp_path / "first.json", uid=(UID,), as_json=True)
    with pytest.raises(DomainError, match=UID):
        await add(tmp_path / "second.json", uid=("04000000000001", UID))
    assert await count_rows(system_pool, "rings") == 1
    assert not (tmp_path / "second.json").exists()


async def test_nothing_is_registered_when_the_file_cannot_be_written(
    tmp_path: Path, system_pool: Pool
) -> None:
    out = tmp_path / "rings.json"
    out.write_text("keys of before")
    with pytest.raises(ConfigError, match="cannot be written"):
        await add(out)
    assert out.read_text() == "keys of before"
    assert await count_rows(system_pool, "rings") == 0


@pytest.mark.parametrize("uid", ["04A1", "04A1B2C3D4E5FX", "04A1B2C3D4E5F6FF"])
async def test_what_is_no_uid_is_refused(uid: str, tmp_path: Path) -> None:
    with pytest.raises(DomainError, match="14 hex digits"):
        await add(tmp_path / "rings.json", uid=(uid,))
