"""From a file that is handed in to the socket that tells how far it is, by relay and worker."""

from typing import Any

import pytest

from tests.fixtures.app import User
from tests.fixtures.working import listening
from tests.hub.domains.imports.moving import hand_in
from tests.hub.domains.imports.test_many import cards

COUNT = 260


@pytest.mark.req("CON-06")
@pytest.mark.usefixtures("working")
async def test_how_far_an_import_is_arrives_live(ada: User, address: str) -> None:
    async with listening(ada, address, "sync") as ear:
        job = (await hand_in(ada, "vcard", cards(COUNT))).json()
        heard: list[dict[str, Any]] = []
        while not heard or heard[-1]["status"] != "completed":
            heard.append(await ear.told("import.progressed"))
    assert {event["import_id"] for event in heard} == {job["id"]}
    assert [(event["status"], event["items_total"], event["items_created"]) for event in heard] == [
        ("uploaded", None, 0),
        ("running", COUNT, 0),
        ("running", COUNT, 250),
        ("completed", COUNT, COUNT),
    ]
    shown = (await ada.client.get(f"/v1/imports/{job['id']}")).json()
    assert {name: shown[name] for name in heard[-1] if name in shown} == {
        name: value for name, value in heard[-1].items() if name in shown
    }
