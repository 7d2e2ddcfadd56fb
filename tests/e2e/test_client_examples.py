"""The clients that the documentation shows, run as they stand there."""

import subprocess
import sys

import pytest

from tests.e2e.console import press_ring
from tests.fixtures.stack import Stack


@pytest.mark.parametrize(
    "command",
    [("-m", "hub.embedded.node", "docs/examples/taps.mjs"), ("docs/examples/taps.py",)],
    ids=["javascript", "python"],
)
def test_the_client_example_prints_taps_of_the_named_user(
    stack: Stack, command: tuple[str, ...]
) -> None:
    client = subprocess.Popen(
        [sys.executable, *command, stack.url, "Grace Hopper"], stdout=subprocess.PIPE, text=True
    )
    assert client.stdout is not None
    try:
        assert client.stdout.readline() == "Following the taps of Grace Hopper; Ctrl-C ends.\n"
        # The subscription is part of connecting, so a tap from now on cannot be missed.
        press_ring(stack, "ada-1")
        press_ring(stack, "grace-1")
        assert "tap_to_phone" in client.stdout.readline()
    finally:
        client.kill()
        client.wait()
        client.stdout.close()
