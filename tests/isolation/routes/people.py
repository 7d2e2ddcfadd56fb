"""Conversations, touches, friends and blocks."""

from typing import Any

from tests.isolation.asks import HERS, Ask, Foreign, Own, Secret

_CREATED = frozenset({201})
_DONE = frozenset({204})
_SAY: dict[str, Any] = {"body": "hello"}

ROUTES: dict[str, tuple[Ask, ...]] = {
    # Whoever knows a person's id may talk to them; what they have is still theirs.
    "POST /v1/conversations": (Own(body={"partner_id": "{other}"}, expected=_CREATED),),
    "GET /v1/conversations": (Own(),),
    "GET /v1/conversations/{conversation_id}": (Foreign(seen_by_friend=True),),
    "GET /v1/conversations/{conversation_id}/messages": (Foreign(seen_by_friend=True),),
    "POST /v1/conversations/{conversation_id}/messages": (
        Foreign(body=_SAY, seen_by_friend=True),
        Foreign(
            path="/v1/conversations/{my_conversation}/messages",
            body={**_SAY, "reply_to_id": "{message}"},
            code="request.invalid",
            by="stranger",
            owner_may=False,
            status=422,
        ),
    ),
    "GET /v1/touches": (Own(),),
    "POST /v1/touches": (
        Secret(body={"sun_url": "https://x/t?picc_data=00&cmac=00"}, expected=frozenset({403})),
    ),
    "GET /v1/touches/{touch_id}": (HERS,),
    "GET /v1/touches/{touch_id}/card": (HERS,),
    "POST /v1/touches/{touch_id}/confirm": (HERS,),
    "POST /v1/touches/{touch_id}/decline": (HERS,),
    "GET /v1/friends": (Own(),),
    "DELETE /v1/friends/{friend_id}": (Foreign(code="friend.not_found", by="stranger"),),
    "GET /v1/blocks": (Own(),),
    "PUT /v1/blocks/{user_id}": (Own(path="/v1/blocks/{other}", expected=_DONE),),
    "DELETE /v1/blocks/{user_id}": (Own(path="/v1/blocks/{blocked}", expected=_DONE),),
    "GET /v1/realtime/diagnose": (
        Own(),
        Own(path="/v1/realtime/diagnose?channel=conversation:{conversation}"),
    ),
}
