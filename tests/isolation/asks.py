"""In which ways a route is asked for what is somebody else's.

`{ring}` in a path, query or body is a ring of Ada's; `{my_gateway}` is the asker's own. Ids are put
wherever a route takes them: a test compares with the parameters and bodies of the OpenAPI document.
A path that is left out is the route's own with Ada's ids.
"""

import re
from dataclasses import dataclass, replace
from typing import Any, Final

_THINGS: Final = {
    "session_id": ("session", "session.not_found"),
    "login_id": ("login", "login.not_found"),
    "passkey_id": ("passkey", "passkey.not_found"),
    "identity_id": ("identity", "identity.not_found"),
    "key_id": ("key", "key.not_found"),
    "account_id": ("account", "account.not_found"),
    "ring_id": ("ring", "ring.not_found"),
    "claim_id": ("claim", "ring.claim_not_found"),
    "gateway_id": ("gateway", "gateway.not_found"),
    "conversation_id": ("conversation", "conversation.not_found"),
    "import_id": ("import", "import.not_found"),
    "contact_id": ("contact", "contact.not_found"),
    "other_id": ("other_contact", "contact.not_found"),
    "method_id": ("method", "contact.method_not_found"),
    "interest_id": ("interest", "contact.interest_not_found"),
    "merge_id": ("merge", "contact.merge_not_found"),
    "circle_id": ("circle", "circle.not_found"),
    "type_id": ("kind", "relationship.type_not_found"),
    "alert_id": ("alert", "nudge.not_found"),
    "interaction_id": ("interaction", "interaction.not_found"),
    "goal_id": ("goal", "goal.not_found"),
    "tag_id": ("tag", "goal.tag_not_found"),
    "path_id": ("path", "path.not_found"),
    "reminder_id": ("reminder", "reminder.not_found"),
    "insight_id": ("insight", "insight.not_found"),
    "touch_id": ("touch", "touch.not_found"),
    "friend_id": ("friend", "friend.not_found"),
}
"""Parameter of a path → what of Ada's it names, and what is said where that is not there."""


@dataclass(frozen=True)
class Foreign:
    """Names something of Ada's: 404 with `code` for everybody but her, as if it were not there."""

    path: str = ""
    code: str = ""
    """Left out: that of the first thing which the route names."""
    body: dict[str, Any] | None = None
    by: str = ""
    """The only asker who gets so far; "": all of them."""
    seen_by_friend: bool = False
    """Grace may: she is a member, or it is with her."""
    status: int = 404
    owner_may: bool = True
    """Ada gets another answer than strangers do; not if the body names what is the asker's."""


@dataclass(frozen=True)
class Own:
    """Names nothing of Ada's, or a filter that only narrows: the answer has nothing of hers."""

    path: str = ""
    body: dict[str, Any] | None = None
    expected: frozenset[int] = frozenset({200})


@dataclass(frozen=True)
class Secret:
    """Asks for a secret instead of a user: whoever guesses is refused and told nothing."""

    path: str = ""
    body: dict[str, Any] | None = None
    expected: frozenset[int] = frozenset({401, 403, 404})


@dataclass(frozen=True)
class Closed:
    """Known by role, whatever is named: 403 for users, documented."""

    path: str = ""
    body: dict[str, Any] | None = None


@dataclass(frozen=True)
class Exempt:
    """Tells nothing of users, or is no part of the product in use."""

    reason: str


Ask = Foreign | Own | Secret | Closed | Exempt
HERS: Final = Foreign()


def beside(path: str, code: str, body: dict[str, Any] | None = None) -> Foreign:
    """Ask with something of Ada's beside what is the stranger's own."""
    return Foreign(path, code, body, by="stranger", owner_may=False)


def filled_in(route: str, ask: Ask) -> Ask:
    """Return an ask with the path and the code that follow from its route."""
    if isinstance(ask, Exempt):
        return ask
    params: list[str] = re.findall(r"\{(\w+)\}", route)
    path = ask.path or re.sub(
        r"\{(\w+)\}", lambda param: f"{{{_THINGS[param[1]][0]}}}", route.partition(" ")[2]
    )
    if not isinstance(ask, Foreign):
        return replace(ask, path=path)
    return replace(ask, path=path, code=ask.code or _THINGS[params[0]][1])
