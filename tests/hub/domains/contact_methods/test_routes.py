"""How a contact is reached: each address once, and of each kind one first."""

from typing import Any

from tests.fixtures.app import User
from tests.hub.domains.contacts.book import add


async def test_addresses_are_added_once_and_one_of_a_kind_is_primary(ada: User) -> None:
    made = await add(ada, full_name="Charles")
    path = f"/v1/contacts/{made['id']}/methods"

    async def put(value: str, **more: Any) -> Any:
        return await ada.client.post(path, json={"kind": "email", "value": value, **more})

    async def primaries() -> list[str]:
        items = (await ada.client.get(path)).json()["items"]
        return [item["value"] for item in items if item["is_primary"]]

    one = await put("one@example.com")
    known = await put("ONE@example.com", label="home")
    assert (one.status_code, known.status_code) == (201, 200)
    assert known.json() == one.json()
    two = await put("two@example.com", is_primary=True)
    assert await primaries() == ["two@example.com"]
    first = f"{path}/{one.json()['id']}"
    changed = await ada.client.patch(first, json={"is_primary": True, "label": "home"})
    assert (changed.json()["label"], await primaries()) == ("home", ["one@example.com"])
    await ada.client.patch(first, json={"is_primary": False})
    assert await primaries() == ["two@example.com"]
    await ada.client.patch(first, json={"is_primary": True})
    assert (await ada.client.delete(first)).status_code == 204
    assert await primaries() == [two.json()["value"]]
    # Of a kind one always is the primary one.
    kept = await ada.client.patch(f"{path}/{two.json()['id']}", json={"is_primary": False})
    assert kept.json()["is_primary"]
    gone = await ada.client.delete(first)
    assert (gone.status_code, gone.json()["code"]) == (404, "contact.method_not_found")
    refused = await put("no address")
    assert (refused.status_code, refused.json()["code"]) == (422, "contact.method_invalid")
    assert [item["id"] for item in (await ada.client.get(path)).json()["items"]] == [
        two.json()["id"]
    ]
