"""How each route is asked for what is somebody else's. A route without a line fails the tests.

`{ring}` in a path, query or body is a ring of Ada's; `{my_gateway}` is the asker's own. Ids are put
wherever a route takes them: a test compares with the parameters and bodies of the OpenAPI document.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Foreign:
    """Names something of Ada's: 404 with `code` for everybody but her, as if it were not there."""

    path: str
    code: str
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

    path: str
    body: dict[str, Any] | None = None
    expected: frozenset[int] = frozenset({200})


@dataclass(frozen=True)
class Secret:
    """Asks for a secret instead of a user: whoever guesses is refused and told nothing."""

    path: str
    body: dict[str, Any] | None = None
    expected: frozenset[int] = frozenset({401, 403, 404})


@dataclass(frozen=True)
class Closed:
    """Known by role, whatever is named: 403 for users, documented."""

    path: str
    body: dict[str, Any] | None = None


@dataclass(frozen=True)
class Exempt:
    """Tells nothing of users, or is no part of the product in use."""

    reason: str


Ask = Foreign | Own | Secret | Closed | Exempt

_CREATED = frozenset({201})
_DONE = frozenset({204})
_KEY: dict[str, Any] = {"name": "backend", "scopes": ["rings:read"]}
_SAY: dict[str, Any] = {"body": "hello"}
_WRONG_CODE = "AAAA-AAAA-AAAA-AAAA"
_NO_SECRET = "A" * 43
_CONVERSATION = "/v1/conversations/{conversation}"
_GATEWAY = "/v1/gateways/{gateway}"
_RING = "/v1/rings/{ring}"
_CLAIM = "/v1/ring-claims/{claim}"
_TOUCH = "/v1/touches/{touch}"
_INTERACTION = "/v1/interactions/{interaction}"
_CONTACT = "/v1/contacts/{contact}"
_MINE = "/v1/contacts/{my_contact}"
_NO_CONTACT = "contact.not_found"
_CIRCLE = "/v1/circles/{circle}"
_NO_CIRCLE = "circle.not_found"
_NEW_CIRCLE: dict[str, Any] = {"name": "hello", "tier": 1, "cadence_days": 7}
_TYPE = "/v1/relationship-types/{kind}"
_NO_TYPE = "relationship.type_not_found"
_NEW_TYPE: dict[str, Any] = {
    "name": "hello",
    "display_name": "hello",
    "scoring_weights": {"recency": 1, "frequency": 0, "reciprocity": 0, "duration": 0},
}
_ALERT = "/v1/alerts/{alert}"
_GOAL = "/v1/goals/{goal}"
_NO_GOAL = "goal.not_found"
_PATH = "/v1/paths/{path}"
_NO_PATH = "path.not_found"
_NO_TARGET = "path.target_unknown"
_REMINDER = "/v1/reminders/{reminder}"
_NO_REMINDER = "reminder.not_found"
_INSIGHT = "/v1/insights/{insight}"
_NO_INSIGHT = "insight.not_found"
_NEW_GOAL: dict[str, Any] = {"kind": "mentor", "intention": "hello"}
_TOMORROW = datetime.now(UTC) + timedelta(days=1)
_NEW_REMINDER: dict[str, Any] = {
    "title": "hello",
    "due_local": f"{_TOMORROW:%Y-%m-%dT%H:%M}",
    "timezone": "UTC",
}
_ACCOUNT = "/v1/service-accounts/{account}"
_PROOF: dict[str, Any] = {
    "kind": "ble",
    "ring_public_key": "00" * 32,
    "boot": 1,
    "seq": 1,
    "tag": "00" * 16,
}
_DOCUMENT = Exempt("the same document for everybody")
_PAGE = Exempt("files of the console, the same for everybody")
_PROBE = Exempt("whether the process is well")
_PROVIDER = Secret("/v1/auth/google/callback", expected=frozenset({404}))

ROUTES: dict[str, tuple[Ask, ...]] = {
    "GET /v1/auth/development/users": (
        Exempt("development only, from this machine: lists whom one may sign in as"),
    ),
    "POST /v1/auth/development/sign-in": (
        Exempt("development only, from this machine: signs in as anybody"),
    ),
    "POST /v1/auth/refresh": (Secret("/v1/auth/refresh", {"refresh_token": _NO_SECRET}),),
    "GET /v1/auth/{provider}/start": (
        Secret(
            f"/v1/auth/google/start?redirect_uri=app%3A%2F%2Fx&code_challenge={_NO_SECRET}",
            expected=frozenset({404}),
        ),
    ),
    "GET /v1/auth/{provider}/callback": (_PROVIDER,),
    "POST /v1/auth/{provider}/callback": (
        Secret("/v1/auth/google/callback", {}, expected=frozenset({415})),
    ),
    "POST /v1/auth/token": (
        Secret("/v1/auth/token", {"code": _NO_SECRET, "code_verifier": _NO_SECRET}),
    ),
    "POST /v1/auth/{provider}/id-token": (
        Secret("/v1/auth/google/id-token", {"id_token": _NO_SECRET, "nonce": _NO_SECRET}),
    ),
    "GET /v1/me": (Own("/v1/me"),),
    "PATCH /v1/me": (Own("/v1/me", {"locale": "en"}),),
    "GET /v1/me/sessions": (Own("/v1/me/sessions"),),
    "GET /v1/me/sessions/{session_id}": (
        Foreign("/v1/me/sessions/{session}", "session.not_found"),
    ),
    "PATCH /v1/me/sessions/{session_id}": (
        Foreign("/v1/me/sessions/{session}", "session.not_found", {"device_name": "mine"}),
    ),
    "DELETE /v1/me/sessions/{session_id}": (
        Foreign("/v1/me/sessions/{session}", "session.not_found"),
    ),
    "DELETE /v1/me/sessions": (Own("/v1/me/sessions", expected=_DONE),),
    "GET /v1/me/logins": (Own("/v1/me/logins"),),
    "POST /v1/me/logins": (
        Secret("/v1/me/logins", {"by": "code", "code": _NO_SECRET, "code_verifier": _NO_SECRET}),
    ),
    "GET /v1/me/logins/{login_id}": (Foreign("/v1/me/logins/{login}", "login.not_found"),),
    "DELETE /v1/me/logins/{login_id}": (Foreign("/v1/me/logins/{login}", "login.not_found"),),
    "POST /v1/auth/passkeys/sign-up/options": (
        Own("/v1/auth/passkeys/sign-up/options", {"full_name": "Eve"}),
    ),
    "POST /v1/auth/passkeys/sign-up": (
        Secret("/v1/auth/passkeys/sign-up", {"credential": {}}, frozenset({422})),
    ),
    "POST /v1/auth/passkeys/sign-in/options": (Own("/v1/auth/passkeys/sign-in/options"),),
    "POST /v1/auth/passkeys/sign-in": (
        Secret("/v1/auth/passkeys/sign-in", {"credential": {}}, frozenset({422})),
    ),
    "POST /v1/me/passkeys/options": (Own("/v1/me/passkeys/options"),),
    "POST /v1/me/passkeys": (Secret("/v1/me/passkeys", {"credential": {}}, frozenset({422})),),
    "GET /v1/me/passkeys": (Own("/v1/me/passkeys"),),
    "GET /v1/me/passkeys/{passkey_id}": (
        Foreign("/v1/me/passkeys/{passkey}", "passkey.not_found"),
    ),
    "PATCH /v1/me/passkeys/{passkey_id}": (
        Foreign("/v1/me/passkeys/{passkey}", "passkey.not_found", {"name": "mine"}),
    ),
    "DELETE /v1/me/passkeys/{passkey_id}": (
        Foreign("/v1/me/passkeys/{passkey}", "passkey.not_found"),
    ),
    "GET /v1/me/identities": (Own("/v1/me/identities"),),
    "GET /v1/me/identities/{identity_id}": (
        Foreign("/v1/me/identities/{identity}", "identity.not_found"),
    ),
    "DELETE /v1/me/identities/{identity_id}": (
        Foreign("/v1/me/identities/{identity}", "identity.not_found"),
    ),
    # Ada has not consented to being found.
    "POST /v1/contacts/match": (
        Own(
            "/v1/contacts/match",
            {"addresses": [{"form": "plain", "kind": "email", "value": "ada@example.com"}]},
            frozenset({200, 403, 422}),
        ),
    ),
    "GET /v1/me/consents": (Own("/v1/me/consents"),),
    "GET /v1/me/consents/{purpose}": (Own("/v1/me/consents/location"),),
    "PUT /v1/me/consents/{purpose}": (Own("/v1/me/consents/location", {"granted": False}),),
    "GET /v1/me/consent-history": (Own("/v1/me/consent-history"),),
    "GET /v1/me/audit": (Own("/v1/me/audit"),),
    "GET /v1/admin/audit": (Closed("/v1/admin/audit?owner_id={friend}&actor_id={friend}"),),
    "GET /v1/flags": (Own("/v1/flags"),),
    "GET /v1/admin/flags": (Closed("/v1/admin/flags"),),
    "GET /v1/admin/flags/{key}": (Closed("/v1/admin/flags/beta"),),
    "PUT /v1/admin/flags/{key}": (Closed("/v1/admin/flags/beta", {"enabled": True}),),
    "PATCH /v1/admin/flags/{key}": (Closed("/v1/admin/flags/beta", {"enabled": True}),),
    "DELETE /v1/admin/flags/{key}": (Closed("/v1/admin/flags/beta"),),
    "GET /v1/admin/cohorts": (Closed("/v1/admin/cohorts"),),
    "GET /v1/admin/cohorts/{name}": (Closed("/v1/admin/cohorts/first"),),
    "PUT /v1/admin/cohorts/{name}": (Closed("/v1/admin/cohorts/first", {}),),
    "DELETE /v1/admin/cohorts/{name}": (Closed("/v1/admin/cohorts/first"),),
    "GET /v1/admin/cohorts/{name}/members": (Closed("/v1/admin/cohorts/first/members"),),
    "PUT /v1/admin/cohorts/{name}/members/{user_id}": (
        Closed("/v1/admin/cohorts/first/members/{friend}"),
    ),
    "DELETE /v1/admin/cohorts/{name}/members/{user_id}": (
        Closed("/v1/admin/cohorts/first/members/{friend}"),
    ),
    "GET /v1/me/privacy": (Own("/v1/me/privacy"),),
    "PATCH /v1/me/privacy": (Own("/v1/me/privacy", {"share_on_tap": "ask"}),),
    "GET /v1/me/card": (Own("/v1/me/card"),),
    "PUT /v1/me/card": (Own("/v1/me/card", {"full_name": "Eve"}),),
    "POST /v1/api-keys": (Own("/v1/api-keys", _KEY, _CREATED),),
    "GET /v1/api-keys": (Own("/v1/api-keys"),),
    "GET /v1/api-keys/{key_id}": (Foreign("/v1/api-keys/{key}", "key.not_found"),),
    "PATCH /v1/api-keys/{key_id}": (
        Foreign("/v1/api-keys/{key}", "key.not_found", {"name": "mine"}),
    ),
    "DELETE /v1/api-keys/{key_id}": (Foreign("/v1/api-keys/{key}", "key.not_found"),),
    "POST /v1/service-accounts": (Closed("/v1/service-accounts", {"name": "mine"}),),
    "GET /v1/service-accounts": (Closed("/v1/service-accounts"),),
    "DELETE /v1/service-accounts/{account_id}": (
        Closed(_ACCOUNT),
        Foreign("/v1/service-accounts/{friend}", "account.not_found", by="admin", owner_may=False),
    ),
    "POST /v1/service-accounts/{account_id}/api-keys": (
        Closed(f"{_ACCOUNT}/api-keys", _KEY),
        Foreign(
            "/v1/service-accounts/{friend}/api-keys",
            "account.not_found",
            _KEY,
            by="admin",
            owner_may=False,
        ),
    ),
    "GET /v1/service-accounts/{account_id}/api-keys": (
        Closed(f"{_ACCOUNT}/api-keys"),
        Foreign(
            "/v1/service-accounts/{friend}/api-keys",
            "account.not_found",
            by="admin",
            owner_may=False,
        ),
    ),
    "GET /v1/service-accounts/{account_id}/api-keys/{key_id}": (
        Closed(f"{_ACCOUNT}/api-keys/{{account_key}}"),
        Foreign(
            "/v1/service-accounts/{my_account}/api-keys/{key}",
            "key.not_found",
            by="admin",
            owner_may=False,
        ),
    ),
    "PATCH /v1/service-accounts/{account_id}/api-keys/{key_id}": (
        Closed(f"{_ACCOUNT}/api-keys/{{account_key}}", {"name": "mine"}),
        Foreign(
            "/v1/service-accounts/{my_account}/api-keys/{key}",
            "key.not_found",
            {"name": "mine"},
            by="admin",
            owner_may=False,
        ),
    ),
    "DELETE /v1/service-accounts/{account_id}/api-keys/{key_id}": (
        Closed(f"{_ACCOUNT}/api-keys/{{account_key}}"),
        Foreign(
            "/v1/service-accounts/{my_account}/api-keys/{key}",
            "key.not_found",
            by="admin",
            owner_may=False,
        ),
    ),
    "GET /v1/rings": (Own("/v1/rings"),),
    "GET /v1/rings/{ring_id}": (Foreign(_RING, "ring.not_found"),),
    "PATCH /v1/rings/{ring_id}": (Foreign(_RING, "ring.not_found", {"label": "mine"}),),
    "POST /v1/rings/{ring_id}/lost": (Foreign(f"{_RING}/lost", "ring.not_found"),),
    "POST /v1/rings/{ring_id}/found": (Foreign(f"{_RING}/found", "ring.not_found"),),
    "GET /v1/rings/taps": (Own("/v1/rings/taps"), Own("/v1/rings/taps?ring_id={ring}")),
    "POST /v1/development/rings/{ring_id}/tap": (
        Foreign("/v1/development/rings/{ring}/tap", "ring.not_found"),
    ),
    "POST /v1/ring-claims": (
        Secret("/v1/ring-claims", {"claim_code": "AAAAAAAAAAAA"}, frozenset({409})),
    ),
    "GET /v1/ring-claims/{claim_id}": (Foreign(_CLAIM, "ring.claim_not_found"),),
    "POST /v1/ring-claims/{claim_id}/proof": (
        Foreign(f"{_CLAIM}/proof", "ring.claim_not_found", _PROOF),
    ),
    "POST /v1/ring-claims/{claim_id}/gateway": (
        Foreign(f"{_CLAIM}/gateway", "gateway.not_found", {"gateway_id": "{gateway}"}),
        Foreign(
            f"{_CLAIM}/gateway",
            "ring.claim_not_found",
            {"gateway_id": "{my_gateway}"},
            by="stranger",
            owner_may=False,
        ),
        Foreign(
            "/v1/ring-claims/{my_claim}/gateway",
            "gateway.not_found",
            {"gateway_id": "{gateway}"},
            by="stranger",
            owner_may=False,
        ),
    ),
    "POST /v1/development/ring-claims/{claim_id}/press": (
        Foreign("/v1/development/ring-claims/{claim}/press", "ring.claim_not_found"),
    ),
    "POST /v1/gateways": (Own("/v1/gateways", {"name": "attic"}, _CREATED),),
    "GET /v1/gateways": (Own("/v1/gateways"),),
    "GET /v1/gateways/{gateway_id}": (Foreign(_GATEWAY, "gateway.not_found"),),
    "PATCH /v1/gateways/{gateway_id}": (Foreign(_GATEWAY, "gateway.not_found", {"name": "mine"}),),
    "POST /v1/gateways/{gateway_id}/credentials": (
        Foreign(f"{_GATEWAY}/credentials", "gateway.not_found"),
    ),
    "POST /v1/gateways/{gateway_id}/rpc/identify": (
        Foreign(f"{_GATEWAY}/rpc/identify", "gateway.not_found", {"ring_id": "{ring}"}),
        Foreign(
            "/v1/gateways/{my_gateway}/rpc/identify",
            "ring.not_found",
            {"ring_id": "{ring}"},
            by="stranger",
            owner_may=False,
        ),
    ),
    "POST /v1/gateways/{gateway_id}/rpc/rescan": (
        Foreign(f"{_GATEWAY}/rpc/rescan", "gateway.not_found"),
    ),
    "POST /v1/gateways/{gateway_id}/rpc/collect": (
        Foreign(f"{_GATEWAY}/rpc/collect", "gateway.not_found", {"lines": 1}),
    ),
    "GET /v1/gateways/{gateway_id}/certificates": (
        Foreign(f"{_GATEWAY}/certificates", "gateway.not_found"),
    ),
    "GET /v1/rejected-taps": (
        Own("/v1/rejected-taps"),
        Own("/v1/rejected-taps?gateway_id={gateway}"),
    ),
    "POST /v1/gateways/claim": (
        Secret(
            "/v1/gateways/claim",
            {"claim_code": _WRONG_CODE, "csr": "none"},
            frozenset({403, 422, 503}),
        ),
    ),
    # Whoever knows a person's id may talk to them; what they have is still theirs.
    "POST /v1/conversations": (Own("/v1/conversations", {"partner_id": "{other}"}, _CREATED),),
    "GET /v1/conversations": (Own("/v1/conversations"),),
    "GET /v1/conversations/{conversation_id}": (
        Foreign(_CONVERSATION, "conversation.not_found", seen_by_friend=True),
    ),
    "GET /v1/conversations/{conversation_id}/messages": (
        Foreign(f"{_CONVERSATION}/messages", "conversation.not_found", seen_by_friend=True),
    ),
    "POST /v1/conversations/{conversation_id}/messages": (
        Foreign(f"{_CONVERSATION}/messages", "conversation.not_found", _SAY, seen_by_friend=True),
        Foreign(
            "/v1/conversations/{my_conversation}/messages",
            "request.invalid",
            {**_SAY, "reply_to_id": "{message}"},
            by="stranger",
            status=422,
            owner_may=False,
        ),
    ),
    # A file's body is no JSON: {} is none that any reader takes, and a job of the asker's own.
    "POST /v1/contacts/import": (Own("/v1/contacts/import?format=vcard", {}, frozenset({202})),),
    "GET /v1/contacts/export": (Own("/v1/contacts/export?format=json"),),
    "GET /v1/imports": (Own("/v1/imports"),),
    "GET /v1/imports/{import_id}": (Foreign("/v1/imports/{import}", "import.not_found"),),
    "GET /v1/imports/{import_id}/rows": (Foreign("/v1/imports/{import}/rows", "import.not_found"),),
    "POST /v1/imports/{import_id}/start": (
        Foreign("/v1/imports/{import}/start", "import.not_found"),
    ),
    "POST /v1/imports/{import_id}/cancel": (
        Foreign("/v1/imports/{import}/cancel", "import.not_found"),
    ),
    "POST /v1/imports/{import_id}/undo": (
        Foreign("/v1/imports/{import}/undo", "import.not_found"),
    ),
    "GET /v1/contacts": (
        Own("/v1/contacts"),
        Own("/v1/contacts?company=canary-of-ada"),
    ),
    "POST /v1/contacts": (Own("/v1/contacts", {"full_name": "hello"}, _CREATED),),
    "POST /v1/contacts/search": (
        Own("/v1/contacts/search", {"text": "canary"}),
        Own(
            "/v1/contacts/search",
            {"address": {"kind": "email", "value": "canary-of-ada@example.com"}},
        ),
    ),
    "GET /v1/contacts/tags": (Own("/v1/contacts/tags"),),
    "GET /v1/contacts/self": (Own("/v1/contacts/self"),),
    "POST /v1/contacts/link-users": (
        Own(
            "/v1/contacts/link-users",
            {"contact_ids": ["{contact}"]},
            frozenset({200, 403}),
        ),
    ),
    "DELETE /v1/contacts/{contact_id}/linked-user": (
        Foreign(f"{_CONTACT}/linked-user", _NO_CONTACT),
    ),
    "GET /v1/contacts/{contact_id}": (Foreign(_CONTACT, _NO_CONTACT),),
    "PATCH /v1/contacts/{contact_id}": (Foreign(_CONTACT, _NO_CONTACT, {"bio": "mine"}),),
    "DELETE /v1/contacts/{contact_id}": (Foreign(_CONTACT, _NO_CONTACT),),
    "POST /v1/contacts/{contact_id}/restore": (Foreign(f"{_CONTACT}/restore", _NO_CONTACT),),
    "GET /v1/contacts/{contact_id}/methods": (Foreign(f"{_CONTACT}/methods", _NO_CONTACT),),
    "POST /v1/contacts/{contact_id}/methods": (
        Foreign(f"{_CONTACT}/methods", _NO_CONTACT, {"kind": "email", "value": "a@example.com"}),
    ),
    "GET /v1/contacts/{contact_id}/methods/{method_id}": (
        Foreign(f"{_CONTACT}/methods/{{method}}", _NO_CONTACT),
        Foreign(
            f"{_MINE}/methods/{{method}}",
            "contact.method_not_found",
            by="stranger",
            owner_may=False,
        ),
    ),
    "PATCH /v1/contacts/{contact_id}/methods/{method_id}": (
        Foreign(f"{_CONTACT}/methods/{{method}}", _NO_CONTACT, {"label": "mine"}),
        Foreign(
            f"{_MINE}/methods/{{method}}",
            "contact.method_not_found",
            {"label": "mine"},
            by="stranger",
            owner_may=False,
        ),
    ),
    "DELETE /v1/contacts/{contact_id}/methods/{method_id}": (
        Foreign(f"{_CONTACT}/methods/{{method}}", _NO_CONTACT),
        Foreign(
            f"{_MINE}/methods/{{method}}",
            "contact.method_not_found",
            by="stranger",
            owner_may=False,
        ),
    ),
    "GET /v1/interests": (Own("/v1/interests?category=sport"),),
    "GET /v1/contacts/{contact_id}/interests": (Foreign(f"{_CONTACT}/interests", _NO_CONTACT),),
    "POST /v1/contacts/{contact_id}/interests": (
        Foreign(f"{_CONTACT}/interests", _NO_CONTACT, {"category": "sport", "topic": "chess"}),
    ),
    "GET /v1/contacts/{contact_id}/interests/{interest_id}/evidence": (
        Foreign(f"{_CONTACT}/interests/{{interest}}/evidence", _NO_CONTACT),
        Foreign(
            f"{_MINE}/interests/{{interest}}/evidence",
            "contact.interest_not_found",
            by="stranger",
            owner_may=False,
        ),
    ),
    "DELETE /v1/contacts/{contact_id}/interests/{interest_id}": (
        Foreign(f"{_CONTACT}/interests/{{interest}}", _NO_CONTACT),
        Foreign(
            f"{_MINE}/interests/{{interest}}",
            "contact.interest_not_found",
            by="stranger",
            owner_may=False,
        ),
    ),
    "GET /v1/contacts/{contact_id}/links": (Foreign(f"{_CONTACT}/links", _NO_CONTACT),),
    "GET /v1/contacts/{contact_id}/links/{other_id}": (
        Foreign(f"{_CONTACT}/links/{{other_contact}}", _NO_CONTACT),
    ),
    "PUT /v1/contacts/{contact_id}/links/{other_id}": (
        Foreign(f"{_CONTACT}/links/{{other_contact}}", _NO_CONTACT, {"kind": "friend"}),
        Foreign(f"{_MINE}/links/{{contact}}", _NO_CONTACT, {"kind": "friend"}, owner_may=False),
    ),
    "DELETE /v1/contacts/{contact_id}/links/{other_id}": (
        Foreign(f"{_CONTACT}/links/{{other_contact}}", _NO_CONTACT),
        Foreign(
            f"{_MINE}/links/{{contact}}", "contact.link_not_found", by="stranger", owner_may=False
        ),
    ),
    "GET /v1/contacts/{contact_id}/mutuals": (
        Foreign(f"{_CONTACT}/mutuals?other={{other_contact}}", _NO_CONTACT),
        Foreign(f"{_MINE}/mutuals?other={{contact}}", _NO_CONTACT, owner_may=False),
    ),
    "GET /v1/contacts/merge-suggestions": (Own("/v1/contacts/merge-suggestions"),),
    "PUT /v1/contacts/{contact_id}/distinctions/{other_id}": (
        Foreign(f"{_CONTACT}/distinctions/{{other_contact}}", _NO_CONTACT),
        Foreign(f"{_MINE}/distinctions/{{contact}}", _NO_CONTACT, owner_may=False),
    ),
    "DELETE /v1/contacts/{contact_id}/distinctions/{other_id}": (
        Foreign(f"{_CONTACT}/distinctions/{{other_contact}}", _NO_CONTACT),
        Foreign(f"{_MINE}/distinctions/{{contact}}", _NO_CONTACT, owner_may=False),
    ),
    "GET /v1/contacts/merges": (Own("/v1/contacts/merges"),),
    "GET /v1/contacts/merges/{merge_id}": (
        Foreign("/v1/contacts/merges/{merge}", "contact.merge_not_found"),
    ),
    "POST /v1/contacts/{contact_id}/merge": (
        Foreign(f"{_CONTACT}/merge", _NO_CONTACT, {"merged_id": "{other_contact}"}),
        Foreign(f"{_MINE}/merge", _NO_CONTACT, {"merged_id": "{contact}"}, owner_may=False),
    ),
    "POST /v1/contacts/merges/{merge_id}/undo": (
        Foreign("/v1/contacts/merges/{merge}/undo", "contact.merge_not_found"),
    ),
    "GET /v1/circles": (Own("/v1/circles"),),
    "POST /v1/circles": (Own("/v1/circles", _NEW_CIRCLE, _CREATED),),
    "GET /v1/circles/{circle_id}": (Foreign(_CIRCLE, _NO_CIRCLE),),
    "PATCH /v1/circles/{circle_id}": (Foreign(_CIRCLE, _NO_CIRCLE, {"tier": 2}),),
    "GET /v1/circles/{circle_id}/members": (Foreign(f"{_CIRCLE}/members", _NO_CIRCLE),),
    "PUT /v1/circles/{circle_id}/members/{contact_id}": (
        Foreign(f"{_CIRCLE}/members/{{contact}}", _NO_CIRCLE, {"is_primary": True}),
        Foreign(
            "/v1/circles/{my_circle}/members/{contact}",
            _NO_CONTACT,
            {"is_primary": True},
            by="stranger",
            owner_may=False,
        ),
    ),
    "DELETE /v1/circles/{circle_id}/members/{contact_id}": (
        Foreign(f"{_CIRCLE}/members/{{contact}}", _NO_CIRCLE),
        Foreign(
            "/v1/circles/{my_circle}/members/{contact}",
            _NO_CONTACT,
            by="stranger",
            owner_may=False,
        ),
    ),
    "GET /v1/contacts/{contact_id}/circles": (Foreign(f"{_CONTACT}/circles", _NO_CONTACT),),
    "GET /v1/relationship-types": (Own("/v1/relationship-types"),),
    "POST /v1/relationship-types": (Own("/v1/relationship-types", _NEW_TYPE, _CREATED),),
    "GET /v1/relationship-types/{type_id}": (Foreign(_TYPE, _NO_TYPE),),
    "PATCH /v1/relationship-types/{type_id}": (Foreign(_TYPE, _NO_TYPE, {"decay_rate": 2}),),
    "GET /v1/contacts/{contact_id}/types": (Foreign(f"{_CONTACT}/types", _NO_CONTACT),),
    "PUT /v1/contacts/{contact_id}/types/{type_id}": (
        Foreign(f"{_CONTACT}/types/{{kind}}", _NO_CONTACT),
        Foreign(f"{_MINE}/types/{{kind}}", _NO_TYPE, by="stranger", owner_may=False),
    ),
    "DELETE /v1/contacts/{contact_id}/types/{type_id}": (
        Foreign(f"{_CONTACT}/types/{{kind}}", _NO_CONTACT),
        Foreign(f"{_MINE}/types/{{kind}}", _NO_TYPE, by="stranger", owner_may=False),
    ),
    "GET /v1/health": (Own("/v1/health?band=cold"),),
    "GET /v1/contacts/{contact_id}/health": (Foreign(f"{_CONTACT}/health", _NO_CONTACT),),
    "GET /v1/contacts/{contact_id}/health/history": (
        Foreign(f"{_CONTACT}/health/history", _NO_CONTACT),
    ),
    "GET /v1/contacts/{contact_id}/health/series": (
        Foreign(f"{_CONTACT}/health/series", _NO_CONTACT),
    ),
    "GET /v1/alerts": (Own("/v1/alerts?status=open&kind=birthday"),),
    "GET /v1/alerts/{alert_id}": (Foreign(_ALERT, "nudge.not_found"),),
    "PATCH /v1/alerts/{alert_id}": (Foreign(_ALERT, "nudge.not_found", {"status": "done"}),),
    "GET /v1/interactions": (
        Own("/v1/interactions"),
        Foreign("/v1/interactions?contact_id={contact}", "contact.not_found"),
    ),
    "POST /v1/interactions": (
        Own("/v1/interactions", {"subject": "hello"}, _CREATED),
        Foreign("/v1/interactions", "contact.not_found", {"contact_id": "{contact}"}),
    ),
    "GET /v1/interactions/{interaction_id}": (Foreign(_INTERACTION, "interaction.not_found"),),
    "PATCH /v1/interactions/{interaction_id}": (
        Foreign(_INTERACTION, "interaction.not_found", {"summary": "mine"}),
        Foreign(
            "/v1/interactions/{my_interaction}",
            "contact.not_found",
            {"contact_id": "{contact}"},
            by="stranger",
            owner_may=False,
        ),
    ),
    "GET /v1/search/interactions": (
        Own("/v1/search/interactions?q=canary"),
        Foreign("/v1/search/interactions?q=canary&contact_id={contact}", "contact.not_found"),
    ),
    "GET /v1/contacts/{contact_id}/intelligence": (
        Foreign("/v1/contacts/{contact}/intelligence", "contact.not_found"),
    ),
    "GET /v1/goals": (Own("/v1/goals"), Own("/v1/goals?tag_id={tag}")),
    "POST /v1/goals": (
        Own("/v1/goals", _NEW_GOAL, _CREATED),
        Foreign("/v1/goals", _NO_CONTACT, {**_NEW_GOAL, "contact_id": "{contact}"}),
    ),
    "GET /v1/goals/{goal_id}": (Foreign(_GOAL, _NO_GOAL),),
    "PATCH /v1/goals/{goal_id}": (
        Foreign(_GOAL, _NO_GOAL, {"intention": "mine"}),
        Foreign(
            "/v1/goals/{my_goal}",
            _NO_CONTACT,
            {"contact_id": "{contact}"},
            by="stranger",
            owner_may=False,
        ),
    ),
    "GET /v1/goal-tags": (Own("/v1/goal-tags"),),
    "PUT /v1/goals/{goal_id}/tags/{tag_id}": (Foreign(f"{_GOAL}/tags/{{tag}}", _NO_GOAL),),
    "DELETE /v1/goals/{goal_id}/tags/{tag_id}": (Foreign(f"{_GOAL}/tags/{{tag}}", _NO_GOAL),),
    "POST /v1/paths/find": (
        Foreign("/v1/paths/find", _NO_TARGET, {"target_contact_id": "{contact}"}),
        Foreign("/v1/paths/find", _NO_TARGET, {"target_company": "canary-of-ada"}, by="stranger"),
    ),
    "POST /v1/paths": (
        Foreign("/v1/paths", _NO_TARGET, {"target_contact_id": "{contact}"}),
        Foreign(
            "/v1/paths",
            _NO_GOAL,
            {"target_contact_id": "{my_contact}", "goal_id": "{goal}"},
            by="stranger",
            owner_may=False,
        ),
    ),
    "GET /v1/paths": (Own("/v1/paths"), Own("/v1/paths?goal_id={goal}")),
    "GET /v1/paths/{path_id}": (Foreign(_PATH, _NO_PATH),),
    "PATCH /v1/paths/{path_id}": (
        Foreign(_PATH, _NO_PATH, {"status": "in_progress"}),
        Foreign(
            "/v1/paths/{my_path}", _NO_GOAL, {"goal_id": "{goal}"}, by="stranger", owner_may=False
        ),
    ),
    "GET /v1/reminders": (Own("/v1/reminders"), Own("/v1/reminders?contact_id={contact}")),
    "POST /v1/reminders": (
        Own("/v1/reminders", _NEW_REMINDER, _CREATED),
        Foreign("/v1/reminders", _NO_CONTACT, {**_NEW_REMINDER, "contact_id": "{contact}"}),
    ),
    "GET /v1/reminders/{reminder_id}": (Foreign(_REMINDER, _NO_REMINDER),),
    "PATCH /v1/reminders/{reminder_id}": (
        Foreign(_REMINDER, _NO_REMINDER, {"title": "mine"}),
        Foreign(
            "/v1/reminders/{my_reminder}",
            _NO_CONTACT,
            {"contact_id": "{contact}"},
            by="stranger",
            owner_may=False,
        ),
    ),
    "POST /v1/reminders/{reminder_id}/snooze": (
        Foreign(f"{_REMINDER}/snooze", _NO_REMINDER, {"until": _TOMORROW.isoformat()}),
    ),
    "POST /v1/reminders/{reminder_id}/done": (Foreign(f"{_REMINDER}/done", _NO_REMINDER),),
    "POST /v1/reminders/{reminder_id}/dismiss": (Foreign(f"{_REMINDER}/dismiss", _NO_REMINDER),),
    "GET /v1/insights": (Own("/v1/insights"),),
    "GET /v1/insights/{insight_id}": (Foreign(_INSIGHT, _NO_INSIGHT),),
    "POST /v1/insights/{insight_id}/act": (Foreign(f"{_INSIGHT}/act", _NO_INSIGHT),),
    "POST /v1/insights/{insight_id}/dismiss": (Foreign(f"{_INSIGHT}/dismiss", _NO_INSIGHT),),
    "GET /v1/achievements": (Own("/v1/achievements"),),
    "GET /v1/me/achievements": (Own("/v1/me/achievements"),),
    "GET /v1/me/streaks": (Own("/v1/me/streaks"),),
    "GET /v1/touches": (Own("/v1/touches"),),
    "POST /v1/touches": (
        Secret("/v1/touches", {"sun_url": "https://x/t?picc_data=00&cmac=00"}, frozenset({403})),
    ),
    "GET /v1/touches/{touch_id}": (Foreign(_TOUCH, "touch.not_found"),),
    "GET /v1/touches/{touch_id}/card": (Foreign(f"{_TOUCH}/card", "touch.not_found"),),
    "POST /v1/touches/{touch_id}/confirm": (Foreign(f"{_TOUCH}/confirm", "touch.not_found"),),
    "POST /v1/touches/{touch_id}/decline": (Foreign(f"{_TOUCH}/decline", "touch.not_found"),),
    "GET /v1/friends": (Own("/v1/friends"),),
    "DELETE /v1/friends/{friend_id}": (
        Foreign("/v1/friends/{friend}", "friend.not_found", by="stranger"),
    ),
    "GET /v1/blocks": (Own("/v1/blocks"),),
    "PUT /v1/blocks/{user_id}": (Own("/v1/blocks/{other}", expected=_DONE),),
    "DELETE /v1/blocks/{user_id}": (Own("/v1/blocks/{blocked}", expected=_DONE),),
    "GET /v1/realtime/diagnose": (
        Own("/v1/realtime/diagnose"),
        Own("/v1/realtime/diagnose?channel=conversation:{conversation}"),
    ),
    "GET /t": (Secret("/t?picc_data=00&cmac=00", expected=frozenset({403})),),
    # What cannot be undone comes last, so that Ada's own requests have been answered before.
    "POST /v1/rings/{ring_id}/release": (Foreign(f"{_RING}/release", "ring.not_found"),),
    "POST /v1/rings/{ring_id}/revoke": (
        Foreign(f"{_RING}/revoke", "ring.not_found", {"confirm": "revoke"}),
    ),
    "DELETE /v1/gateways/{gateway_id}": (Foreign(_GATEWAY, "gateway.not_found"),),
    "DELETE /v1/interactions/{interaction_id}": (Foreign(_INTERACTION, "interaction.not_found"),),
    "DELETE /v1/relationship-types/{type_id}": (Foreign(_TYPE, _NO_TYPE),),
    "DELETE /v1/circles/{circle_id}": (Foreign(_CIRCLE, _NO_CIRCLE),),
    "DELETE /v1/paths/{path_id}": (Foreign(_PATH, _NO_PATH),),
    "DELETE /v1/reminders/{reminder_id}": (Foreign(_REMINDER, _NO_REMINDER),),
    "DELETE /v1/goals/{goal_id}": (Foreign(_GOAL, _NO_GOAL),),
    "POST /v1/auth/logout": (Own("/v1/auth/logout", expected=_DONE),),
    "GET /.well-known/jwks.json": (_DOCUMENT,),
    "GET /.well-known/apple-app-site-association": (_DOCUMENT,),
    "GET /.well-known/assetlinks.json": (_DOCUMENT,),
    "GET /v1/auth/methods": (_DOCUMENT,),
    "GET /livez": (_PROBE,),
    "GET /readyz": (_PROBE,),
    "GET /metrics": (Exempt("numbers without names, for machines on the operator's network"),),
    "GET /errors": (_DOCUMENT,),
    "GET /schema": (_DOCUMENT,),
    "GET /schema/{path}": (_DOCUMENT,),
    "GET /schema/openapi.json": (_DOCUMENT,),
    "GET /schema/asyncapi.json": (_DOCUMENT,),
    "GET /schema/scalar.js": (_DOCUMENT,),
    "GET /": (_PAGE,),
    "GET /console": (_PAGE,),
    "GET /console/account": (_PAGE,),
    "GET /console/audit": (_PAGE,),
    "GET /console/edge": (_PAGE,),
    "GET /console/flags": (_PAGE,),
    "GET /console/people": (_PAGE,),
    "GET /console/realtime": (_PAGE,),
    "GET /console/{name}": (_PAGE,),
    "GET /console/sdk/centrifuge.js": (_PAGE,),
}
"""`METHOD /path` → how it is asked, in the order in which the tests ask."""
