"""REST: touches of one's rings and phone, and the cards that they brought."""

from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath, JSONBody

from core.db import Tx
from core.errors import DomainError
from hub.domains.cards.schemas import Card
from hub.domains.rings import service as rings
from hub.domains.touches import service
from hub.domains.touches.schemas import ReadRing, Touch, TouchAnswer
from hub.http.deps import (
    WRITES,
    actor,
    as_system,
    read_sun_master_key,
    reading,
    resources,
    writing,
)
from hub.http.idempotency import KEYED, Answer, OptionalKey, once
from hub.http.page import Page
from hub.http.page_parameters import Cursor, Limit
from hub.http.problems import documented


@get("/touches", tags=["touches"], responses=documented("request.cursor_invalid"))
async def list_touches(
    request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None
) -> Page[Touch]:
    """List one's touches, the newest first."""
    async with reading(request) as tx:
        return await service.list_touches(tx, limit=limit, cursor=cursor)


@get("/touches/{touch_id:uuid}", tags=["touches"], responses=documented("touch.not_found"))
async def get_touch(request: Request[Any, Any, Any], touch_id: FromPath[UUID]) -> Touch:
    """Return one of one's touches; who the other is stands there once both have agreed."""
    async with reading(request) as tx:
        return await service.get_touch(tx, touch_id)


@get(
    "/touches/{touch_id:uuid}/card",
    # To have read it is on record.
    opt=WRITES,
    tags=["touches"],
    responses=documented("touch.not_found", "touch.not_exchanged"),
)
async def get_touch_card(request: Request[Any, Any, Any], touch_id: FromPath[UUID]) -> Card:
    """Return the card that the other handed over."""
    async with writing(request) as tx:
        return await service.get_card(tx, touch_id, resources(request).cipher)


@post(
    "/touches/{touch_id:uuid}/confirm",
    tags=["touches"],
    status_code=200,
    responses=documented("touch.not_found", "touch.closed"),
)
async def confirm_touch(request: Request[Any, Any, Any], touch_id: FromPath[UUID]) -> Touch:
    """Say that one was there and shares one's card; it goes over when the other agrees too."""
    return await _answer(request, touch_id, "confirmed")


@post(
    "/touches/{touch_id:uuid}/decline",
    tags=["touches"],
    status_code=200,
    responses=documented("touch.not_found", "touch.closed"),
)
async def decline_touch(request: Request[Any, Any, Any], touch_id: FromPath[UUID]) -> Touch:
    """Share nothing; the other is not told."""
    return await _answer(request, touch_id, "declined")


@post(
    "/touches",
    tags=["touches"],
    responses=documented("tap.refused", "tap.already_used", *KEYED),
)
async def report_ring_read(
    request: Request[Any, Any, Any],
    data: JSONBody[ReadRing],
    idempotency_key: OptionalKey = None,
) -> Response[Touch]:
    """Tell that one's phone has read a ring: a touch of its owner and oneself.

    The same link in the same sign-in session is the same touch for a minute.
    """

    async def effect(tx: Tx) -> Answer[Touch]:
        touch_id = await _record(request, data.sun_url)
        # No third transaction: requests that hold one and wait for another could wait for ever.
        touch = await service.get_touch(tx, touch_id)
        return Answer(touch, location=f"/v1/touches/{touch.id}")

    return await once(request, idempotency_key, effect)


async def _record(request: Request[Any, Any, Any], url: str) -> UUID:
    house, who = resources(request), actor(request)
    try:
        query = urlsplit(url).query
    except ValueError:  # brackets that hold no address
        raise DomainError("tap.refused") from None
    tap = rings.verify_sun(read_sun_master_key(house.settings), query)
    async with as_system(request) as tx:
        tapped = await rings.record_sun_tap(
            tx,
            tap,
            index_key=house.index_key,
            cipher=house.cipher,
            session=f"touch {who.session_id}",
            query=query,
        )
        return await service.read_ring(
            tx, user_id=_user(request), tap_id=tapped.tap_id, cipher=house.cipher
        )


async def _answer(request: Request[Any, Any, Any], touch_id: UUID, said: TouchAnswer) -> Touch:
    async with as_system(request) as tx:
        await service.answer(
            tx,
            user_id=_user(request),
            touch_id=touch_id,
            said=said,
            cipher=resources(request).cipher,
        )
    async with reading(request) as tx:
        return await service.get_touch(tx, touch_id)


def _user(request: Request[Any, Any, Any]) -> UUID:
    user_id = actor(request).user_id
    if user_id is None:
        raise DomainError("auth.required")
    return user_id


TOUCH_ROUTES: Final = [
    list_touches,
    get_touch,
    get_touch_card,
    confirm_touch,
    decline_touch,
    report_ring_read,
]
