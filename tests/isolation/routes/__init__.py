"""How each route is asked for what is somebody else's. A route without a line fails the tests."""

from typing import Final

from tests.isolation.asks import Ask, filled_in
from tests.isolation.routes import (
    accounts,
    aims,
    closeness,
    contacts,
    edge,
    endings,
    pages,
    people,
)

_ALL: Final = (accounts, edge, people, contacts, closeness, aims, endings, pages)
ROUTES: Final[dict[str, tuple[Ask, ...]]] = {
    route: tuple(filled_in(route, ask) for ask in asks)
    for part in _ALL
    for route, asks in part.ROUTES.items()
}
"""`METHOD /path` → how it is asked, in the order in which the tests ask."""
