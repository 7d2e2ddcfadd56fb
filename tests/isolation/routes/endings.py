"""What cannot be undone, so that Ada's own requests have been answered before."""

from tests.isolation.asks import HERS, Ask, Foreign, Own

_DONE = frozenset({204})

ROUTES: dict[str, tuple[Ask, ...]] = {
    "POST /v1/rings/{ring_id}/release": (HERS,),
    "POST /v1/rings/{ring_id}/revoke": (Foreign(body={"confirm": "revoke"}),),
    "DELETE /v1/gateways/{gateway_id}": (HERS,),
    "DELETE /v1/interactions/{interaction_id}": (HERS,),
    "DELETE /v1/relationship-types/{type_id}": (HERS,),
    "DELETE /v1/circles/{circle_id}": (HERS,),
    "DELETE /v1/paths/{path_id}": (HERS,),
    "DELETE /v1/reminders/{reminder_id}": (HERS,),
    "DELETE /v1/goals/{goal_id}": (HERS,),
    "POST /v1/auth/logout": (Own(expected=_DONE),),
}
