"""Links are stored once, read from both ends, and show whom two people both know."""

import pytest

from tests.fixtures.app import Running, User, count_rows


@pytest.mark.req("CON-12", "CON-13")
async def test_links_are_read_from_both_ends_with_whom_both_know(hub: Running, ada: User) -> None:
    ids: dict[str, str] = {}
    for name in ("Charles", "Mary", "Michael"):
        ids[name] = (await ada.client.post("/v1/contacts", json={"full_name": name})).json()["id"]

    async def links(name: str) -> list[tuple[str, str, int]]:
        answer = await ada.client.get(f"/v1/contacts/{ids[name]}/links")
        assert answer.status_code == 200, answer.text
        return [
            (item["full_name"], item["kind"], item["mutuals"]) for item in answer.json()["items"]
        ]

    async def link(one: str, other: str, kind: str, strength: float) -> int:
        path = f"/v1/contacts/{ids[one]}/links/{ids[other]}"
        body = {"kind": kind, "strength": strength}
        return (await ada.client.put(path, json=body)).status_code

    assert await link("Charles", "Mary", "friend", 0.9) == 200
    assert await link("Mary", "Charles", "colleague", 0.8) == 200
    assert await link("Michael", "Charles", "client", 0.2) == 200
    assert await links("Charles") == [("Mary", "colleague", 0), ("Michael", "client", 0)]
    assert await links("Mary") == [("Charles", "colleague", 0)]
    assert await count_rows(hub.resources.system, "contact_links") == 2
    assert await link("Mary", "Michael", "other", 0.1) == 200
    assert await links("Charles") == [("Mary", "colleague", 1), ("Michael", "client", 1)]
    mutual = await ada.client.get(
        f"/v1/contacts/{ids['Charles']}/mutuals", params={"other": ids["Mary"]}
    )
    assert [item["full_name"] for item in mutual.json()["items"]] == ["Michael"]
    path = f"/v1/contacts/{ids['Mary']}/links/{ids['Charles']}"
    known = await ada.client.get(path)
    assert (known.json()["full_name"], known.json()["mutuals"]) == ("Charles", 1)
    read = {"If-Match": known.headers["etag"]}
    for body, expected in (({"kind": "family"}, 200), ({"kind": "vendor"}, 412)):
        assert (await ada.client.put(path, json=body, headers=read)).status_code == expected
    for expected in (204, 404):
        assert (await ada.client.delete(path)).status_code == expected
    itself = await ada.client.put(
        f"/v1/contacts/{ids['Mary']}/links/{ids['Mary']}", json={"kind": "friend"}
    )
    assert (itself.status_code, itself.json()["code"]) == (422, "contact.link_to_itself")
