"""`pinghub edge add-rings`: how rings get into the hub, before anybody owns them.

The file has all that must get into the rings and onto their cards; nothing shows it a second time.
"""

import asyncio
import json
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, TextIO

from cyclopts import Parameter
from cyclopts.validators import Number

from core import config, typed_code
from core.actor import SYSTEM
from core.crypto import FieldCipher
from core.db import Tx, begin
from core.errors import ConfigError, DomainError
from firmware_bridge import sun
from firmware_bridge.sun_keys import tag_keys
from hub.domains.encryption import service as encryption
from hub.domains.rings import service
from hub.embedded.private import privately
from hub.processes.system_pool import system_pool
from hub.providers.keys import read_cipher, read_index_key, read_sun_master_key

DEVICE_ID_BYTES: Final = 8
_NXP: Final = b"\x04"
"""Where UIDs of NXP's tags begin."""
_BATCH_MAX: Final = 1000


def add_rings(
    *,
    out: Path,
    count: Annotated[int, Parameter(validator=Number(gte=1, lte=_BATCH_MAX))] = 1,
    uid: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Register rings that nobody owns yet: their ids, keys and claim codes go to a file.

    Args:
        out: File for keys and claim codes, readable by you only; it must not exist.
        count: How many, up to 1000; tags get UIDs of their own making, as virtual rings need them.
        uid: The UID of a real NFC tag, 14 hex digits; once for each ring, instead of --count.
        as_json: Print the rings' ids as JSON.
    """
    uids = [_read_uid(text) for text in uid] or [_NXP + os.urandom(6) for _ in range(count)]
    entries = asyncio.run(_add(config.load(), uids, out))
    if as_json:
        print(json.dumps({"device_ids": [entry["device_id"] for entry in entries]}))  # noqa: T201  # a command's output
        return
    for entry in entries:
        print(f"{entry['device_id']}  {entry['name']}, tag {entry['nfc_uid'].upper()}")  # noqa: T201  # same
    print(f"Keys and claim codes are in {out}; they are shown nowhere else.")  # noqa: T201  # same


async def _add(settings: config.Settings, uids: Sequence[bytes], out: Path) -> list[dict[str, str]]:
    cipher = read_cipher(settings)
    async with system_pool(settings) as pool, encryption.kept(pool, cipher, settings.keys):
        with _new_file(out) as file:
            async with begin(pool, SYSTEM) as tx:
                entries = [
                    await _add_ring(tx, settings, cipher, uid, f"ring-{number}")
                    for number, uid in enumerate(uids, 1)
                ]
                # On disk before the commit: a ring whose keys nobody has is worth nothing.
                json.dump(entries, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
    return entries


@contextmanager
def _new_file(path: Path) -> Generator[TextIO]:
    """Give a file that its owner alone may read; it goes away when the block fails."""
    try:
        file = open(path, "x", opener=privately)  # noqa: SIM115  # closed below
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    try:
        with file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _read_uid(text: str) -> bytes:
    try:
        uid = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        uid = b""
    if len(uid) != sun.UID_BYTES:
        raise DomainError(
            "request.invalid", f"{text!r}: a UID has 14 hex digits, as 04A1B2C3D4E5F6"
        )
    return uid


async def _add_ring(
    tx: Tx, settings: config.Settings, cipher: FieldCipher, uid: bytes, name: str
) -> dict[str, str]:
    device_id = os.urandom(DEVICE_ID_BYTES)
    code = typed_code.write(os.urandom(typed_code.CARD_BYTES))
    ring = await service.add_ring(
        tx,
        device_id=device_id,
        nfc_uid=uid,
        claim_code=code,
        cipher=cipher,
        index_key=read_index_key(settings),
    )
    tag = tag_keys(read_sun_master_key(settings), uid)
    return {
        "device_id": device_id.hex(),
        "claim_code": code,
        "tap_key": ring.tap_key.hex(),
        "id_key": ring.id_key.hex(),
        "name": name,
        "ring_id": str(ring.id),
        "nfc_uid": uid.hex(),
        "sun_meta_key": tag.meta.hex(),
        "sun_file_key": tag.file.hex(),
    }
