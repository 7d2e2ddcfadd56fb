"""Passkeys in a real browser with an authenticator of its own, on the console's own pages."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import pytest_asyncio
from msgspec.structs import replace
from playwright.async_api import Browser, CDPSession, Page, Route, async_playwright, expect

from core import clock, config
from core.db import Pool
from hub.domains.logins.schemas import Proof
from hub.providers.oidc import open_providers
from tests.e2e.console import AXE, DESKTOP, PHONE
from tests.fixtures.app import Running
from tests.fixtures.chromium import AUTHENTICATOR, CHROMIUM, FLAGS
from tests.fixtures.ports import missing
from tests.hub.domains.passkeys.ceremonies import hub

__all__ = ["hub"]
VIOLATIONS = """axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',
  'best-practice']}).then(found => found.violations.flatMap(
    issue => issue.nodes.map(node => `${issue.id}: ${node.html.slice(0, 200)}`)))"""


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        missing("chromium (apt-get install chromium)")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        await chromium.close()


@dataclass
class Device:
    """A window whose authenticator tests control by the browser's own debugging protocol."""

    page: Page
    session: CDPSession
    authenticator: str

    async def ask(self, command: str, **more: Any) -> dict[str, Any]:
        """Send a command of the domain WebAuthn."""
        return await self.session.send(
            f"WebAuthn.{command}", {"authenticatorId": self.authenticator, **more}
        )

    async def passkeys(self) -> list[dict[str, Any]]:
        """Return what the device keeps."""
        return (await self.ask("getCredentials"))["credentials"]

    async def press(self, name: str, within: str = "body") -> None:
        """Press a button."""
        await self.page.locator(within).get_by_role("button", name=name).click()


@pytest_asyncio.fixture
async def device(browser: Browser, hub: Running, address: str) -> Callable[..., Awaitable[Device]]:
    """Open the console by this machine's name, since passkeys belong to none of its addresses."""
    party = hub.resources.relying_party
    assert party is not None
    named = address.replace("127.0.0.1", "localhost")
    hub.resources.relying_party = replace(party, origins=(named,))

    async def open_device(**options: Any) -> Device:
        context = await browser.new_context(**{"viewport": DESKTOP, **options})
        context.set_default_timeout(10_000)
        page = await context.new_page()
        session = await context.new_cdp_session(page)
        await session.send("WebAuthn.enable")
        made = await session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        await page.goto(f"{named}/console")
        return Device(page, session, made["authenticatorId"])

    return open_device


async def sign_up(device: Device, name: str) -> None:
    """Make an account with a passkey of the device."""
    await device.page.get_by_role("textbox", name="New here? Your name").fill(name)
    await device.press("Create an account with a passkey")
    await is_signed_in(device.page, name)


async def is_signed_in(page: Page, name: str) -> None:
    """Wait for the account's desk."""
    await expect(page.locator("#account-name")).to_have_text(name)
    await expect(page.locator("#desk")).to_be_visible()


async def sign_out(device: Device) -> None:
    """Leave the account's desk."""
    await device.press("Sign out")
    await expect(device.page.locator("#desk")).to_be_hidden()


async def open_account(page: Page) -> None:
    """Go to the account page in the same window."""
    await page.get_by_role("link", name="Account").click()
    await expect(page.get_by_role("heading", name="Passkeys")).to_be_visible()


async def is_sound(page: Page) -> None:
    """Look for what somebody could not read or reach, by day and by night."""
    await page.evaluate(AXE.read_text() + "\n;undefined")
    for color_scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=color_scheme)
        assert await page.evaluate(VIOLATIONS) == []
    assert not await page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )


async def test_a_passkey_makes_an_account_and_a_browser_signs_in_with_it(
    device: Callable[..., Awaitable[Device]], system_pool: Pool, address: str
):
    here = await device(viewport=PHONE)
    await expect(here.page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()
    await is_sound(here.page)
    alert = here.page.get_by_role("alert")
    await sign_up(here, "Hedy Lamarr")
    (made,) = await here.passkeys()
    assert made["rpId"] == "localhost"
    assert made["isResidentCredential"]
    await sign_out(here)
    await here.press("Sign in with a passkey")
    await is_signed_in(here.page, "Hedy Lamarr")
    (used,) = await here.passkeys()
    assert used["signCount"] > made["signCount"]
    async with system_pool.connection() as connection:
        stored = await connection.fetchrow(
            "SELECT sign_count, is_user_verified, name FROM passkey_credentials"
        )
    assert tuple(stored) == (used["signCount"], True, None)

    await sign_out(here)
    await here.ask("setUserVerified", isUserVerified=False)
    await here.press("Sign in with a passkey")
    await expect(alert).to_contain_text("No passkey was used")
    await here.ask("setUserVerified", isUserVerified=True)
    # As a copy that was made before would be.
    await here.ask("removeCredential", credentialId=used["credentialId"])
    await here.ask("addCredential", credential=used | {"signCount": 0})
    await here.press("Sign in with a passkey")
    await expect(alert).to_contain_text("Passkey refused")
    # Passkeys belong to a name: an address leads there.
    await here.page.goto(f"{address}/console")
    await expect(here.page.locator("#passkey-hint")).to_contain_text("belong to localhost")
    await expect(here.page.locator("#ways")).to_be_hidden()
    link = here.page.get_by_role("link", name="Open this page there")
    named = address.replace("127.0.0.1", "localhost")
    assert await link.get_attribute("href") == f"{named}/console"


async def test_the_account_page_lists_adds_names_and_removes_passkeys_and_logins(
    device: Callable[..., Awaitable[Device]], hub: Running
):
    provider = config.LoginProvider(issuer="https://idp.example", client_id="pinghub")
    hub.resources.login_providers.update(open_providers(config.Auth(providers={"idp": provider})))
    here, there = await device(viewport=PHONE), await device()
    await sign_up(here, "Mary Jackson")
    await open_account(here.page)
    await expect(here.page.locator("#passkeys > li")).to_contain_text("Verifies who uses it")
    await is_sound(here.page)
    await here.press("Add a passkey")
    await here.press("Go on")
    dialog = here.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("has a passkey of your account already")
    await here.press("Cancel")
    await add_provider(here, hub)
    token = await here.page.evaluate("sessionStorage.getItem('pinghub.refresh_token')")
    await here.page.close()

    # The same account on another device, which borrows the session.
    page, items = there.page, there.page.locator("#passkeys > li")
    await page.evaluate("token => sessionStorage.setItem('pinghub.refresh_token', token)", token)
    await page.goto(f"{page.url}/account")
    await there.press("Add a passkey")
    await page.get_by_role("textbox", name="What to call it").fill("Laptop <b>blue</b>")
    await there.press("Go on")
    await expect(items).to_have_count(2)
    await expect(items.last).to_contain_text("Laptop <b>blue</b>")
    await there.press("Rename: Laptop")
    await page.get_by_role("textbox", name="Name").fill("Laptop")
    await there.press("Save")
    await expect(page.get_by_role("heading", name="Laptop", exact=True)).to_be_visible()
    for name in ("Passkey", "idp", "Laptop"):
        await there.press(f"Remove: {name}")
        await there.press("Remove", within="dialog")
    await expect(page.get_by_role("dialog")).to_contain_text("Last login")
    await there.press("Cancel")
    await expect(items).to_have_count(1)
    await expect(page.locator("#logins-empty")).to_be_visible()


async def test_who_signed_in_a_while_ago_proves_it_again_and_goes_on(
    device: Callable[..., Awaitable[Device]], hub: Running, system_pool: Pool
):
    provider = config.LoginProvider(issuer="https://idp.example", client_id="pinghub")
    hub.resources.login_providers.update(open_providers(config.Auth(providers={"idp": provider})))
    here = await device()
    await sign_up(here, "Mary Jackson")
    await open_account(here.page)
    await add_provider(here, hub)
    (made,) = await here.passkeys()
    await open_account(here.page)
    await age(here.page, system_pool)
    # By the passkey, without a word of the page.
    await here.press("Remove: idp")
    await here.press("Remove", within="dialog")
    await expect(here.page.locator("#logins-empty")).to_be_visible()
    (used,) = await here.passkeys()
    assert used["signCount"] > made["signCount"]

    # Whoever has a provider alone is asked there, and repeats what they were about to do.
    here = await device()
    asked = await vouch_for(here.page, hub)
    await here.press("Sign in with idp")
    await is_signed_in(here.page, "New user")
    await open_account(here.page)
    await age(here.page, system_pool)
    await here.press("Add a passkey")
    await here.press("Go on")
    await expect(here.page.locator("#notice-words")).to_contain_text("You have signed in again")
    assert [query.get("max_age") for query in asked] == [None, "600"]
    await here.press("Add a passkey")
    await here.press("Go on")
    await expect(here.page.locator("#passkeys > li")).to_have_count(1)
    async with system_pool.connection() as connection:
        families = await connection.fetchval(
            """SELECT count(DISTINCT family_id) FROM sessions
            WHERE user_id = (SELECT user_id FROM sessions ORDER BY id DESC LIMIT 1)"""
        )
    assert families == 1


async def age(page: Page, pool: Pool) -> None:
    """Let the sign-in be of a while ago, and the page have its tokens from after that."""
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE sessions SET authenticated_at = authenticated_at - interval '11 min'"
        )
    await page.reload()
    await expect(page.get_by_role("heading", name="Passkeys")).to_be_visible()


async def vouch_for(page: Page, hub: Running) -> list[dict[str, str]]:
    """Stand in for a provider and the hub's callback; return what the page leaves with."""
    told: list[dict[str, str]] = []

    async def vouch(route: Route) -> None:
        # As they do, for the challenge that the page left with.
        asked = dict(parse_qsl(urlsplit(route.request.url).query))
        told.append(asked)
        proof = Proof(
            provider="idp",
            issuer="https://idp.example",
            subject="rosalind",
            email="rosalind@example.org",
            email_verified=True,
            authenticated_at=clock.unix_seconds(),
            challenge=asked["code_challenge"],
        )
        value = msgspec.json.encode(proof)
        code = await hub.resources.one_time.put(value, purpose="login.code", seconds=60)
        landing = f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
        await route.fulfill(status=303, headers={"location": landing})

    await page.route("**/v1/auth/idp/start?*", vouch)
    return told


async def add_provider(here: Device, hub: Running) -> None:
    """Add a provider's login by leaving the account page and coming back, then sign in with it."""
    await vouch_for(here.page, hub)
    page = here.page.url
    # A link of somebody else's, with a sign-in of theirs.
    await here.page.goto(f"{page}?code={'x' * 43}&state={'y' * 43}")
    await expect(here.page.locator("#passkeys > li")).to_have_count(1)
    await expect(here.page.locator("#problem")).to_be_hidden()
    await here.press("Add idp")
    await expect(here.page.get_by_role("dialog")).to_contain_text("Whoever can do that")
    await here.press("Go on")
    await expect(here.page.locator("#logins > li")).to_contain_text("https://idp.example")
    await expect(here.page.locator("#notice-words")).to_have_text("The login was added.")
    assert here.page.url == page
    await here.page.get_by_role("link", name="Taps and messages").first.click()
    await sign_out(here)
    await here.press("Sign in with idp")
    await is_signed_in(here.page, "Mary Jackson")
