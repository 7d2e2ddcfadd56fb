"""The hub's ASGI application, assembled in one place: what is not named here is not served."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version

from litestar import Litestar

from core import config
from hub.console.routes import console_routes
from hub.http import envelope
from hub.http.aliases import aliased
from hub.http.auth import admit
from hub.http.cors import cors_config
from hub.http.document import describe
from hub.http.openapi import openapi_config
from hub.http.problems import problem_response
from hub.http.revalidation import revalidated
from hub.http.strict_request import StrictRequest
from hub.wiring.aliases import ALIASES
from hub.wiring.asyncapi import asyncapi_route
from hub.wiring.configured import configured
from hub.wiring.house import open_house, with_keys
from hub.wiring.realtime import connections_first, open_realtime, server_api
from hub.wiring.rest import ROOT_ROUTES, versioned
from hub.wiring.scopes import ROUTE_SCOPES


def create_app(settings: config.Settings | None = None) -> Litestar:
    """Return the application; it opens connections when it starts, not before."""
    settings = settings or config.load()
    rules = configured(settings.realtime)
    document = openapi_config(version("pinghub"), settings.server.public_url)

    @asynccontextmanager
    async def running(app: Litestar) -> AsyncGenerator[None]:
        async with open_house(app.state.settings) as house, open_realtime(app, house, rules):
            app.state.resources = house
            yield

    app = Litestar(
        route_handlers=[
            versioned(settings),
            server_api,
            *ROOT_ROUTES,
            asyncapi_route(version("pinghub"), settings.server.public_url),
            *console_routes(settings),
        ],
        guards=[admit],
        request_class=StrictRequest,
        lifespan=[running],
        exception_handlers={Exception: problem_response},
        plugins=[document.structs],
        openapi_config=document,
        request_max_body_size=settings.server.max_body_bytes,
        cors_config=cors_config(settings.server.allowed_origins),
        logging_config=None,
    )
    app.state.settings = settings
    app.state.route_scopes = ROUTE_SCOPES
    describe(app, ROUTE_SCOPES)
    rest = connections_first(app, revalidated(app.asgi_handler))
    app.asgi_handler = aliased(ALIASES, envelope.wrap(app, with_keys(app, rest)))
    return app


async def drain(app: Litestar, seconds: float) -> None:
    """Say goodbye: readiness goes red, realtime connections are closed one by one."""
    app.state.resources.is_draining = True
    await app.state.realtime.close(seconds)
