"""HTTP requests leave by hub/providers/outgoing.py, which judges where they go."""

import ast
from typing import Final

import pytest

from tests.architecture.test_imports import PROJECT, imported, sources

DOOR: Final = "hub/providers/outgoing.py"
# What could ask for an address over HTTP without the door.
CLIENTS: Final = (
    *("httpcore", "httpx", "aiohttp", "requests", "urllib3", "urllib.request", "http.client"),
    *("authlib.integrations", "websockets.asyncio.client", "websockets.sync.client", "pycurl"),
    *("xmlrpc.client", "safehttpx", "httpx_secure", "niquests"),
)
# What HTTP has been written on by hand.
DIALS: Final = {"open_connection"}
ALLOWED: Final = {
    DOOR: "the door itself",
    "hub/processes/system.py": "`pinghub up` asks the hub that it has started whether it answers",
    "hub/processes/watch.py": "`pinghub watch` is a client of a hub that the operator names",
    "gateway/claim.py": "the gateway is another machine, and its owner names the hub",
    "hub/providers/virtual_rings.py": "one line of JSON to the virtual rings, no HTTP",
}


def ways_out(path: str) -> set[str]:
    """Return what a file could reach other machines' HTTP with."""
    file = PROJECT / path
    found = {
        name
        for name in imported(file)
        if any(name == client or name.startswith(f"{client}.") for client in CLIENTS)
    }
    calls = [
        node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)
    ]
    return found | {
        call.attr for call in calls if isinstance(call, ast.Attribute) and call.attr in DIALS
    }


def test_requests_leave_by_one_door() -> None:
    files = [
        str(path.relative_to(PROJECT))
        for path in sources("core", "firmware_bridge", "gateway", "hub")
    ]
    others = {path: found for path in files if path not in ALLOWED and (found := ways_out(path))}
    assert others == {}


@pytest.mark.parametrize("path", ALLOWED)
def test_no_exception_outlives_its_reason(path: str) -> None:
    assert ways_out(path)
