"""One running system for all end-to-end tests, and browsers; each journey looks at its own taps."""

import json
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.console import DESKTOP, SignIn, expect_connected
from tests.e2e.faults import FaultySystem
from tests.e2e.journey import Journey, ticking
from tests.fixtures.chromium import CHROMIUM, FLAGS
from tests.fixtures.ports import missing
from tests.fixtures.stack import Stack, running


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Generator[FaultySystem]:
    """Everything that `pinghub up` runs, on free ports in its own folder; no taps by itself."""
    stack = Stack(
        tmp_path_factory.mktemp("system"),
        system_type=FaultySystem,
        # Lost calls are looked for sooner than in production, or each would cost half a minute.
        settings={"PINGHUB_RELAY__SWEEP_SECONDS": "1", "PINGHUB_RELAY__STALE_TASK_SECONDS": "5"},
    )
    with running(stack):
        assert isinstance(stack.system, FaultySystem)
        yield stack.system


@pytest.fixture
async def journey(system: FaultySystem) -> AsyncGenerator[Journey]:
    """Phones connected, nothing pressed yet."""
    rings = json.loads((system.home / "rings.json").read_text())
    journey = Journey(system, rings)
    async with ticking(system):
        await journey.open()
        try:
            yield journey
        finally:
            await journey.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing("chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def window(browser: Browser, stack: Stack) -> Iterator[Callable[..., Page]]:
    """Open windows; afterwards none may have asked another origin or broken the page's policy."""
    contexts: list[BrowserContext] = []
    origins: set[str] = set()
    complaints: list[str] = []

    def open_window(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        context.on("request", lambda request: origins.add(urlsplit(request.url).netloc))
        page.on("websocket", lambda socket: origins.add(urlsplit(socket.url).netloc))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda line: (
                complaints.append(line.text) if "Content Security Policy" in line.text else None
            ),
        )
        page.goto(f"{stack.url}/console")
        return page

    yield open_window
    for context in contexts:
        context.close()
    own = urlsplit(stack.url).netloc
    assert origins <= {own, own.replace("127.0.0.1", "localhost")}
    assert complaints == []


@pytest.fixture
def signed_in(window: Callable[..., Page]) -> SignIn:
    def sign_in(name: str, **options: Any) -> Page:
        page = window(**options)
        page.get_by_role("button", name=name).click()
        expect_connected(page)
        return page

    return sign_in
