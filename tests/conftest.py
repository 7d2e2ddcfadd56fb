"""Fixtures live in tests/fixtures, one file per service."""

pytest_plugins = [
    "tests.fixtures.scheduling",
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
