"""What stands in an account beside the name: subscription, first steps, the latest sign-in."""

from datetime import UTC, datetime

import pytest

from core.actor import SYSTEM
from core.db import begin
from hub.domains.accounts import service as accounts
from tests.fixtures.app import Running, User

SIGN_IN = "/v1/auth/development/sign-in"


@pytest.mark.req("ACC-05")
async def test_an_account_shows_what_is_paid_for_and_nobody_changes_that_themselves(
    hub: Running, ada: User
) -> None:
    me = (await ada.client.get("/v1/me")).json()
    assert (me["subscription_tier"], me["subscription_status"]) == ("free", "active")
    for change in ({"subscription_tier": "pro"}, {"subscription_status": "active"}):
        assert (await ada.client.patch("/v1/me", json=change)).status_code == 422
    async with begin(hub.resources.system, SYSTEM) as tx:
        await accounts.set_subscription(tx, ada.id, "enterprise", "cancelled")
    me = (await ada.client.get("/v1/me")).json()
    assert (me["subscription_tier"], me["subscription_status"]) == ("enterprise", "cancelled")


@pytest.mark.req("ACC-06")
async def test_the_first_steps_are_done_once_until_they_are_begun_anew(ada: User) -> None:
    async def change(**fields: object) -> str | None:
        answer = await ada.client.patch("/v1/me", json=fields)
        assert answer.status_code == 200, answer.text
        return answer.json()["onboarding_completed_at"]

    assert (await ada.client.get("/v1/me")).json()["onboarding_completed_at"] is None
    done = await change(onboarding_completed=True)
    assert done is not None
    assert await change(onboarding_completed=True) == done
    assert await change(full_name="Ada King") == done
    assert await change(onboarding_completed=False) is None
    assert await change(full_name="Ada Lovelace") is None


@pytest.mark.req("ACC-06")
async def test_the_latest_sign_in_is_noted(ada: User, anonymous) -> None:
    before = datetime.now(UTC)
    answer = (await anonymous.post(SIGN_IN, json={"user_id": str(ada.id)})).json()
    noted = datetime.fromisoformat(answer["user"]["last_login_at"])
    assert before <= noted <= datetime.now(UTC)
    renewed = await anonymous.post(
        "/v1/auth/refresh", json={"refresh_token": answer["refresh_token"]}
    )
    assert renewed.json()["user"]["last_login_at"] == answer["user"]["last_login_at"]
    shown = (await ada.client.get("/v1/me")).json()["last_login_at"]
    assert datetime.fromisoformat(shown) == noted
