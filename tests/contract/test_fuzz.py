"""Whatever two users send, in any order: no server error, and answers as the document says.

Schemathesis derives the requests from the document, so a new route joins by itself.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from msgspec.structs import replace
from schemathesis.engine import events, from_schema

from core import config
from hub.http.limits import POLICIES
from tests.fixtures.app import NewRing, Running, User, idempotency_key

# Whoever is called there is away: these routes alone may say so.
OUTSIDE = ("/v1/development/", "/rpc/", "/{claim_id}/gateway", "/v1/gateways/claim")
CHECKS = {
    "enabled": True,
    # Judged below: of a route that calls somebody else, 502 to 504 are honest answers.
    "not_a_server_error": {"enabled": False},
    # What no schema can say, such as whose ring an id is, may be refused with any documented 4xx.
    "positive_data_acceptance": {"enabled": False},
}
# A conversation may be opened with the other one, who then sees it; tests/isolation asks strangers.
SHARED = {
    "include-path-regex": "^/v1/conversations/",
    "checks": {"object_level_authorization": {"enabled": False}},
}
# DELETE archives a contact and casts a gateway out: what belongs to them can still be read.
ARCHIVED = {
    "include-path-regex": "^/v1/(contacts|gateways)/",
    "checks": {"use_after_free": {"enabled": False}},
}


class Trusting:
    """Forgets that sign-in sessions end: the users stay signed in while all of theirs are ended."""

    async def admit(self, session_id: str) -> None: ...

    def end(self, session_id: str) -> None: ...


@pytest.fixture
def app_settings(app_settings: config.Settings) -> config.Settings:
    """Return settings whose limits do not end a run after seconds."""
    free = {name: config.LimitPolicy(quota=1_000_000) for name in POLICIES}
    return replace(app_settings, limits=config.Limits(policies=free))


@pytest.fixture
async def credentials(
    hub: Running,
    ada: User,
    grace: User,
    give_ring: Callable[[User], Awaitable[NewRing]],
    tmp_path: Path,
) -> Path:
    """Give two users something each; return the file that makes schemathesis the two of them."""
    hub.app.state.sign_ins = Trusting()
    for user in (ada, grace):
        await give_ring(user)
        await user.client.post("/v1/gateways", json={"name": "Front desk"})
    opened = await ada.client.post("/v1/conversations", json={"partner_id": str(grace.id)})
    path = f"/v1/conversations/{opened.json()['id']}/messages"
    await ada.client.post(path, json={"body": "hello"}, headers=idempotency_key())
    users = [
        {
            "name": name,
            "fixedHeaders": [{"name": "Authorization", "value": user.client.headers[_AUTH]}],
        }
        for name, user in (("ada", ada), ("grace", grace))
    ]
    file = tmp_path / "users.json"
    file.write_text(json.dumps({"auth": users}))
    return file


_AUTH = "authorization"


class Judged:
    """What a run has shown; each problem once, with the request that shows it."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self.served: set[str] = set()
        self.answers: Counter[int] = Counter()

    def see(self, event: events.EngineEvent) -> None:
        """Take in what the engine tells."""
        if isinstance(event, events.NonFatalError | events.FatalError):
            self.problems[f"{event}"] = ""
        if not isinstance(event, events.ScenarioFinished):
            return
        for check in (check for checks in event.recorder.checks.values() for check in checks):
            if (found := check.failure_info) is not None:
                failure = found.failure
                told = f"{failure.operation}: {failure.title}: {failure.message}"
                self.problems.setdefault(told, found.code_sample)
        for case_id, interaction in event.recorder.interactions.items():
            if interaction.response is not None:
                operation = event.recorder.cases[case_id].value.operation
                self._judge(operation.label, operation.path, interaction.response.status_code)

    def _judge(self, label: str, path: str, status: int) -> None:
        self.answers[status] += 1
        if status < 400:
            self.served.add(label)
        is_outside = any(part in path for part in OUTSIDE)
        if status >= 500 and not (is_outside and status > 500):
            self.problems[f"{label} answered {status}"] = ""


async def ask_everything(
    hub: Running,
    address: str,
    credentials: Path,
    phases: dict[str, Any],
    *,
    who: str,
    seconds: int = 0,
) -> Judged:
    """Let schemathesis ask as one of the two, with the other looking over the shoulder."""
    document = quickly_made(hub.app.openapi_schema.to_schema())
    settings = schemathesis.Config.from_dict(
        {
            "seed": 1,
            "base-url": address,
            "auth": {"wfc": {"path": str(credentials), "user": who, "peers": ["ada", "grace"]}},
            "generation": {
                "deterministic": True,
                "database": "none",
                "no-shrink": True,
                # Wrong tokens are tried by a check of its own, at each operation once.
                "with-security-parameters": False,
            },
            "checks": CHECKS,
            "operations": [SHARED, ARCHIVED],
            "phases": phases,
            "continue-on-failure": True,
            # The engine goes on until then, whatever the number of examples.
            **({"max-time": seconds} if seconds else {}),
        }
    )
    schema = schemathesis.openapi.from_dict(document, config=settings)
    judged = Judged()

    def run() -> None:
        for event in from_schema(schema).execute():
            judged.see(event)

    await asyncio.to_thread(run)
    return judged


def quickly_made(schema: Any) -> Any:
    """Let long texts be any texts: to make them by their pattern takes minutes.

    The same holds for patterns that look ahead. What is wrong then is refused, which is fine here.
    """
    if isinstance(schema, list):
        return [quickly_made(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    is_long = isinstance(schema.get("maxLength"), int) and schema["maxLength"] > 200
    looks_ahead = "(?" in str(schema.get("pattern", "")).removesuffix(r"(?!\n)")
    dropped = {"maxLength", "pattern"} if is_long else {"pattern"} if looks_ahead else set()
    kept = {key: quickly_made(value) for key, value in schema.items() if key not in dropped}
    if isinstance(kept.get("pattern"), str):
        kept["pattern"] = kept["pattern"].removesuffix(r"(?!\n)")
    return kept


def phases(*, steps: int = 10, **examples: int) -> dict[str, Any]:
    """Return which phases run, with how many examples, and of how many steps each story has."""
    made: dict[str, Any] = {
        name: {"enabled": name in examples}
        for name in ("examples", "coverage", "fuzzing", "stateful")
    }
    for name in examples.keys() - {"coverage"}:
        made[name]["generation"] = {"max-examples": examples[name]}
    made["stateful"]["max-steps"] = steps
    return made


@pytest.mark.req("API-09")
async def test_no_input_is_a_server_error_or_answered_out_of_the_document(
    hub: Running, address: str, credentials: Path
):
    size = phases(examples=1, fuzzing=2, stateful=2, steps=3)
    judged = await ask_everything(hub, address, credentials, size, who="ada")
    assert not judged.problems, "\n".join(map(" ".join, judged.problems.items()))
    # Or nothing was asked at all.
    assert len(judged.served) > 30, judged.answers


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("who", ["ada", "grace"])
@pytest.mark.parametrize(
    "size",
    [phases(examples=1, coverage=1), phases(fuzzing=500), phases(stateful=500)],
    ids=["coverage", "fuzzing", "stateful"],
)
async def test_no_input_of_many_is_a_server_error_or_answered_out_of_the_document(
    hub: Running, address: str, credentials: Path, who: str, size: dict[str, Any]
):
    judged = await ask_everything(hub, address, credentials, size, who=who, seconds=150)
    print(f"{judged.answers.total()} answers, {len(judged.served)} operations served")
    assert not judged.problems, "\n".join(map(" ".join, judged.problems.items()))
    assert len(judged.served) > 20, judged.answers
