"""Whoever reads all tables finds no address and no note of a contact, however it came in."""

from typing import Any

import pytest

from tests.fixtures.app import Running, User, idempotency_key
from tests.hub.domains.imports.moving import hand_in, move
from tests.isolation.belongings import rows

WORD = "xylophone"
"""Stands in what is sealed, and nowhere else."""
MAIL = f"{WORD}@example.com"
CARD = f"BEGIN:VCARD\nVERSION:3.0\nFN:Ann\nEMAIL:file-{MAIL}\nNOTE:{WORD}\nEND:VCARD\n"
LETTER = f"From: Ada <ada@example.com>\nTo: {MAIL}\nDate: Mon, 16 Nov 2026 09:00:00 +0000\n\nHi\n"


@pytest.mark.req("SEC-01")
async def test_addresses_and_notes_are_sealed_wherever_they_are_kept(
    hub: Running, ada: User, admin: Any
) -> None:
    async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await ada.client.post(f"/v1/{path}", json=body, headers=idempotency_key())
        assert answer.is_success, answer.text
        return answer.json()

    contact = await post("contacts", {"full_name": "Grace", "notes": WORD})
    path = f"contacts/{contact['id']}"
    await post(f"{path}/methods", {"kind": "email", "value": MAIL})
    assert (await ada.client.patch(f"/v1/{path}", json={"notes": f"{WORD} again"})).is_success
    await post("interactions", {"participants": [{"role": "to", "address": f"with-{MAIL}"}]})
    await post("contacts/search", {"address": {"kind": "email", "value": MAIL}})
    waiting = await hand_in(ada, "vcard", CARD.encode())
    for file_format, file in (("vcard", CARD), ("mail", LETTER)):
        handed_in = await hand_in(ada, file_format, file.encode(), dry_run=True)
        await move(hub, admin, handed_in.json()["id"])
        await ada.client.post(f"/v1/imports/{handed_in.json()['id']}/start")
        await move(hub, admin, handed_in.json()["id"])
    kept = await post("contacts", {"full_name": "Grace B. Hopper", "notes": WORD})
    merge = await post(f"contacts/{kept['id']}/merge", {"merged_id": contact["id"]})
    await post(f"contacts/merges/{merge['id']}/undo", {})
    found = (await ada.client.get("/v1/contacts/export?format=json")).text
    assert (found.count(WORD), waiting.json()["status"]) == (5, "uploaded")
    told = {WORD, WORD.encode().hex()}
    assert not [row for row in await rows(admin) if any(word in row for word in told)]
