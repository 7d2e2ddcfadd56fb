"""The assembly: what starts, what is served, how it stops."""

from core import config
from hub.app import create_app
from tests.fixtures.app import Running


def test_nothing_is_opened_before_the_start():
    app = create_app(config.Settings())
    assert "resources" not in app.state


async def test_health_says_what_is_there(anonymous):
    response = await anonymous.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "checks": {"postgres": "ok", "redis": "ok"}}
    assert (await anonymous.get("/livez")).json() == {"status": "ok"}


async def test_a_user_signs_in_and_sees_themselves(hub: Running, anonymous, ada):
    users = (await anonymous.get("/v1/auth/development/users")).json()
    assert [item["full_name"] for item in users["items"]] == ["Ada Lovelace"]
    signed_in = await anonymous.post(
        "/v1/auth/development/sign-in", json={"user_id": users["items"][0]["id"]}
    )
    assert signed_in.status_code == 200, signed_in.text
    token = signed_in.json()["access_token"]
    me = await anonymous.get("/v1/me", headers={"authorization": f"Bearer {token}"})
    assert me.status_code == 200, me.text
    assert me.json()["email"] == "ada.lovelace@example.com"
