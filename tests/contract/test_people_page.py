"""The requests of docs/people.md make the beginnings of an app, as they stand there."""

import re
from pathlib import Path

from tests.fixtures.app import User

PAGE = (Path(__file__).parents[2] / "docs/people.md").read_text()
REQUEST = re.compile(
    r"^(?P<method>[A-Z]+) (?P<path>\S+)(?: (?P<body>\{.*?\}))?(?:  # \{(?P<name>\w+)\})?$",
    re.MULTILINE,
)


async def test_an_app_begins_with_these_requests(ada: User) -> None:
    [block] = re.findall(r"```http\n(.*?)```", PAGE, re.DOTALL)
    requests = list(REQUEST.finditer(block))
    assert len(requests) == len(block.splitlines()) > 10
    names: dict[str, str] = {}
    answers: dict[str, str] = {}
    for request in requests:
        path, body = request["path"], request["body"]
        for name, value in names.items():
            path, body = (
                path.replace(f"{{{name}}}", value),
                body and body.replace(f"{{{name}}}", value),
            )
        answer = await ada.client.request(
            request["method"], path, content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.is_success, (request[0], answer.text)
        answers[request["path"]] = answer.text
        if request["name"]:
            names[request["name"]] = answer.json()["id"]
    for shows in ("/v1/contacts/search", "/v1/contacts?order=name&limit=100"):
        assert "Grace Hopper" in answers[shows]
    assert "Compilers" in answers["/v1/interactions?contact_id={contact}"]
