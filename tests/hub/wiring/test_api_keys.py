"""Connections are for clients with tokens: an API key opens none, be it a live one or not."""

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from core import api_key
from tests.fixtures.api_keys import NewKey
from tests.fixtures.app import User


@pytest.mark.parametrize("is_live", [True, False])
async def test_an_api_key_opens_no_connection(
    anonymous: Any, ada: User, new_key: NewKey, *, is_live: bool
) -> None:
    text = (await new_key(ada, "account:read")).text if is_live else api_key.generate()[0]
    with capture_logs() as lines:
        async with asyncio.timeout(5):
            answer = await anonymous.post(
                "/connection/http_stream", json={"id": 1, "connect": {"token": text}}
            )
    (said,) = [json.loads(line) for line in answer.text.splitlines() if line.strip() != "{}"]
    assert said["push"]["disconnect"]["code"] == 3507
    assert text.rpartition("_")[2] not in json.dumps(lines, default=str)
