"""Readiness: red within two seconds of an outage, green again after it, never a crash."""

from msgspec.structs import replace

from hub.app import drain
from tests.fixtures.app import with_server
from tests.fixtures.ports import free_port
from tests.fixtures.waiting import running_seconds


async def ready(running) -> tuple[int, dict, float]:
    started = running_seconds()
    async with running.client() as client:
        answer = await client.get("/readyz")
    return answer.status_code, answer.json()["checks"], running_seconds() - started


async def test_an_absent_redis_shows(start_app, app_settings):
    redis = replace(app_settings.redis, url=f"redis://127.0.0.1:{free_port()}/0")
    running = await start_app(replace(app_settings, redis=redis))
    status, checks, seconds = await ready(running)
    assert (status, checks) == (503, {"postgres": "ok", "redis": "away"})
    assert seconds < 2


async def test_an_absent_postgres_shows_and_requests_say_when_to_return(
    start_app, app_settings, ada
):
    nowhere = f"postgresql://ping_api:x@127.0.0.1:{free_port()}/nowhere"
    database = replace(app_settings.database, url=nowhere, system_url=nowhere)
    running = await start_app(replace(app_settings, database=database))
    status, checks, seconds = await ready(running)
    assert (status, checks) == (503, {"postgres": "away", "redis": "ok"})
    assert seconds < 2
    async with running.client(**dict(ada.client.headers)) as client:
        answer = await client.get("/v1/me")
        assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert "127.0.0.1" not in answer.json()["detail"]
        assert (await client.get("/livez")).status_code == 200


async def test_a_draining_hub_sends_traffic_elsewhere(start_app, app_settings):

    running = await start_app(with_server(app_settings, drain_seconds=0.1))
    await drain(running.app, 0.1)
    status, checks, _ = await ready(running)
    assert (status, checks["server"]) == (503, "draining")
