"""Interactions, circles, kinds of relationships and their health."""

from typing import Any

from tests.isolation.asks import HERS, Ask, Foreign, Own, beside

_CREATED = frozenset({201})
_NEW_CIRCLE: dict[str, Any] = {"name": "hello", "tier": 1, "cadence_days": 7}
_NEW_TYPE: dict[str, Any] = {
    "name": "hello",
    "display_name": "hello",
    "scoring_weights": {"recency": 1, "frequency": 0, "reciprocity": 0, "duration": 0},
}

ROUTES: dict[str, tuple[Ask, ...]] = {
    "GET /v1/circles": (Own(),),
    "POST /v1/circles": (Own(body=_NEW_CIRCLE, expected=_CREATED),),
    "GET /v1/circles/{circle_id}": (HERS,),
    "PATCH /v1/circles/{circle_id}": (Foreign(body={"tier": 2}),),
    "GET /v1/circles/{circle_id}/members": (HERS,),
    "PUT /v1/circles/{circle_id}/members/{contact_id}": (
        Foreign(body={"is_primary": True}),
        beside(
            "/v1/circles/{my_circle}/members/{contact}", "contact.not_found", {"is_primary": True}
        ),
    ),
    "DELETE /v1/circles/{circle_id}/members/{contact_id}": (
        HERS,
        beside("/v1/circles/{my_circle}/members/{contact}", "contact.not_found"),
    ),
    "GET /v1/contacts/{contact_id}/circles": (HERS,),
    "GET /v1/relationship-types": (Own(),),
    "POST /v1/relationship-types": (Own(body=_NEW_TYPE, expected=_CREATED),),
    "GET /v1/relationship-types/{type_id}": (HERS,),
    "PATCH /v1/relationship-types/{type_id}": (Foreign(body={"decay_rate": 2}),),
    "GET /v1/contacts/{contact_id}/types": (HERS,),
    "PUT /v1/contacts/{contact_id}/types/{type_id}": (
        HERS,
        beside("/v1/contacts/{my_contact}/types/{kind}", "relationship.type_not_found"),
    ),
    "DELETE /v1/contacts/{contact_id}/types/{type_id}": (
        HERS,
        beside("/v1/contacts/{my_contact}/types/{kind}", "relationship.type_not_found"),
    ),
    "GET /v1/health": (
        Own(path="/v1/health?band=cold"),
        Own(path="/v1/health?contact_id={contact}"),
    ),
    "GET /v1/contacts/{contact_id}/health": (HERS,),
    "GET /v1/contacts/{contact_id}/health/history": (HERS,),
    "GET /v1/contacts/{contact_id}/health/series": (HERS,),
    "GET /v1/alerts": (Own(path="/v1/alerts?status=open&kind=birthday"),),
    "GET /v1/alerts/{alert_id}": (HERS,),
    "PATCH /v1/alerts/{alert_id}": (Foreign(body={"status": "done"}),),
    "GET /v1/interactions": (
        Own(),
        Foreign(path="/v1/interactions?contact_id={contact}", code="contact.not_found"),
    ),
    "POST /v1/interactions": (
        Own(body={"subject": "hello"}, expected=_CREATED),
        Foreign(body={"contact_id": "{contact}"}, code="contact.not_found"),
    ),
    "GET /v1/interactions/{interaction_id}": (HERS,),
    "PATCH /v1/interactions/{interaction_id}": (
        Foreign(body={"summary": "mine"}),
        beside(
            "/v1/interactions/{my_interaction}", "contact.not_found", {"contact_id": "{contact}"}
        ),
    ),
    "GET /v1/search/interactions": (
        Own(path="/v1/search/interactions?q=canary"),
        Foreign(
            path="/v1/search/interactions?q=canary&contact_id={contact}", code="contact.not_found"
        ),
    ),
    "GET /v1/contacts/{contact_id}/intelligence": (HERS,),
}
