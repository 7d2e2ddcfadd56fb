"""An address book over REST: what is written into it, and read from it."""

from typing import Any

from tests.fixtures.app import User

ADA: dict[str, Any] = {
    "full_name": "Ádá Lovelace",
    "first_name": "Ádá",
    "last_name": "Lovelace",
    "company": "Analytical Engines",
    "job_title": "Programmer",
    "linkedin_url": "https://www.linkedin.com/in/ada",
    "avatar_url": "https://example.com/ada.png",
    "location": "London",
    "bio": "First of all.",
    "notes": "Prefers letters.",
    "birthday": "--12-10",
    "context": {
        "professional": {"industry": "computing", "skills": ["notes"]},
        "personal": {"languages": ["French"]},
    },
    "source": "phone",
    "frequency": "weekly",
    "tags": ["pioneer", "math", "pioneer"],
    "methods": [
        {"kind": "email", "value": "Ada@Example.com", "label": "work"},
        {"kind": "email", "value": "ada@example.org", "is_primary": True},
        {"kind": "email", "value": "mailto:ada@example.com"},
        {"kind": "phone", "value": "+44 20 7946 0018"},
    ],
}


async def add(user: User, **fields: Any) -> dict[str, Any]:
    answer = await user.client.post("/v1/contacts", json={"full_name": "Nobody", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def listed(user: User, **query: Any) -> list[str]:
    """Return the names of a whole list, page by page."""
    names: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await user.client.get("/v1/contacts", params={"limit": 2, **query, **cursor})
        assert answer.status_code == 200, answer.text
        names += [item["full_name"] for item in answer.json()["items"]]
        if not answer.json()["has_more"]:
            return names
        cursor = {"cursor": answer.json()["next_cursor"]}


async def searched(user: User, **asked: Any) -> list[str]:
    answer = await user.client.post("/v1/contacts/search", json=asked)
    assert answer.status_code == 200, answer.text
    return [item["full_name"] for item in answer.json()["items"]]
