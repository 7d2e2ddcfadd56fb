"""Fixtures live in tests/fixtures, one file per service."""

import functools
import gc
from collections.abc import Generator

import httpx
import pytest
from hypothesis import HealthCheck, settings

# Six thousand tests and what they import stay until the end: looking through them again and again
# for what could go would take a third of the time of collecting them, in each process.
gc.disable()

# An example that takes long says that the machine stood still, not that anything is wrong.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Each client would read the machine's certificates anew, which takes longer than most requests.
pytest.MonkeyPatch().setattr(
    "httpx._transports.default.create_ssl_context", functools.cache(httpx.create_ssl_context)
)

pytest_plugins = [
    "tests.fixtures.scheduling",
    "tests.fixtures.logged",
    "tests.fixtures.postgres",
    "tests.fixtures.own_postgres",
    "tests.fixtures.pgbouncer",
    "tests.fixtures.redis",
    "tests.fixtures.mqtt",
    "tests.fixtures.tls_mqtt",
    "tests.fixtures.rings",
    "tests.fixtures.world",
    "tests.fixtures.app",
    "tests.fixtures.listening",
    "tests.fixtures.working",
    "tests.fixtures.administrator",
    "tests.fixtures.api_keys",
    "tests.fixtures.phones",
    "tests.fixtures.served",
    "tests.fixtures.hub_process",
    "tests.fixtures.stack",
    "tests.fixtures.touching",
    "tests.fixtures.identity_provider",
]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave alone for good what is there after collecting, and look after the rest."""
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
