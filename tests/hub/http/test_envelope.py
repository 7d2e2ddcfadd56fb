"""What every answer carries."""

import re

from tests.fixtures.app import Running, with_server


async def test_a_request_id_comes_back_or_is_made(anonymous):
    given = await anonymous.get("/livez", headers={"X-Request-Id": "trace.1-a_B"})
    assert given.headers["x-request-id"] == "trace.1-a_B"
    for bad in ("", "x" * 65, "a b", "<script>"):
        made = await anonymous.get("/livez", headers={"X-Request-Id": bad})
        assert re.fullmatch(r"[0-9a-f-]{36}", made.headers["x-request-id"])


async def test_every_answer_is_guarded(anonymous):
    for path in ("/livez", "/nowhere", "/v1/me", "/errors", "/t"):
        expect_guarded((await anonymous.get(path)).headers)


def expect_guarded(headers) -> None:
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-request-id"]


async def test_options_lists_all_methods_of_a_path(anonymous):
    for path, allow in {
        "/v1/rings": "GET, OPTIONS",
        "/v1/me": "GET, OPTIONS, PATCH",
        "/v1/conversations/01a1fcd0-27fa-7567-a41e-32783012fe46/messages": "GET, OPTIONS, POST",
    }.items():
        answer = await anonymous.options(path)
        assert (answer.status_code, answer.headers["allow"]) == (204, allow)
    assert (await anonymous.options("/nowhere")).status_code == 404


async def test_metrics_count_by_template_not_by_path(hub: Running, anonymous, ada):
    await ada.client.get("/v1/conversations/01a1fcd0-27fa-7567-a41e-32783012fe46")
    await anonymous.get("/nowhere/at/all")
    await anonymous.request("BREW", "/livez")
    page = await anonymous.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    assert (
        'pinghub_http_requests_total{method="GET",path="/v1/conversations/{conversation_id}"'
        in page.text
    )
    assert 'path="unmatched"' in page.text
    assert 'method="other"' in page.text
    assert "27fa-7567" not in page.text
    assert "nowhere" not in page.text


async def test_pages_of_listed_origins_may_use_every_method_that_a_route_has(
    start_app, app_settings
):
    running = await start_app(with_server(app_settings, allowed_origins=("https://app.example",)))
    methods = {method for route in running.app.routes for method in getattr(route, "methods", ())}
    async with running.client() as client:
        for method in methods - {"OPTIONS", "HEAD"}:
            answer = await client.options(
                "/v1/me",
                headers={"Origin": "https://app.example", "Access-Control-Request-Method": method},
            )
            assert method in answer.headers["access-control-allow-methods"]


async def test_cors_is_for_listed_origins_only(start_app, app_settings):
    running = await start_app(with_server(app_settings, allowed_origins=("https://app.example",)))
    preflight = {"Access-Control-Request-Method": "POST"}
    async with running.client() as client:
        good = await client.options(
            "/v1/rings", headers={"Origin": "https://app.example"} | preflight
        )
        assert good.headers["access-control-allow-origin"] == "https://app.example"
        for origin in ("https://evil.example", "https://app.example.evil", "null"):
            bad = await client.options("/v1/rings", headers={"Origin": origin} | preflight)
            assert "access-control-allow-origin" not in bad.headers
