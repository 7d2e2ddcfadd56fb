"""Accounts, sign-in, keys and what administrators do."""

from typing import Any

from tests.isolation.asks import HERS, Ask, Closed, Exempt, Foreign, Own, Secret

_CREATED = frozenset({201})
_DONE = frozenset({204})
_NO_SECRET = "A" * 43
_KEY: dict[str, Any] = {"name": "backend", "scopes": ["rings:read"]}

ROUTES: dict[str, tuple[Ask, ...]] = {
    "GET /v1/auth/development/users": (
        Exempt("development only, from this machine: lists whom one may sign in as"),
    ),
    "POST /v1/auth/development/sign-in": (
        Exempt("development only, from this machine: signs in as anybody"),
    ),
    "POST /v1/auth/refresh": (Secret(body={"refresh_token": _NO_SECRET}),),
    "GET /v1/auth/{provider}/start": (
        Secret(
            path=f"/v1/auth/google/start?redirect_uri=app%3A%2F%2Fx&code_challenge={_NO_SECRET}",
            expected=frozenset({404}),
        ),
    ),
    "GET /v1/auth/{provider}/callback": (
        Secret(path="/v1/auth/google/callback", expected=frozenset({404})),
    ),
    "POST /v1/auth/{provider}/callback": (
        Secret(path="/v1/auth/google/callback", body={}, expected=frozenset({415})),
    ),
    "POST /v1/auth/token": (Secret(body={"code": _NO_SECRET, "code_verifier": _NO_SECRET}),),
    "POST /v1/auth/{provider}/id-token": (
        Secret(path="/v1/auth/google/id-token", body={"id_token": _NO_SECRET, "nonce": _NO_SECRET}),
    ),
    "GET /v1/me": (Own(),),
    "PATCH /v1/me": (Own(body={"locale": "en"}),),
    "GET /v1/me/sessions": (Own(),),
    "GET /v1/me/sessions/{session_id}": (HERS,),
    "PATCH /v1/me/sessions/{session_id}": (Foreign(body={"device_name": "mine"}),),
    "DELETE /v1/me/sessions/{session_id}": (HERS,),
    "DELETE /v1/me/sessions": (Own(expected=_DONE),),
    "GET /v1/me/logins": (Own(),),
    "POST /v1/me/logins": (
        Secret(body={"by": "code", "code": _NO_SECRET, "code_verifier": _NO_SECRET}),
    ),
    "GET /v1/me/logins/{login_id}": (HERS,),
    "DELETE /v1/me/logins/{login_id}": (HERS,),
    "POST /v1/auth/passkeys/sign-up/options": (Own(body={"full_name": "Eve"}),),
    "POST /v1/auth/passkeys/sign-up": (Secret(body={"credential": {}}, expected=frozenset({422})),),
    "POST /v1/auth/passkeys/sign-in/options": (Own(),),
    "POST /v1/auth/passkeys/sign-in": (Secret(body={"credential": {}}, expected=frozenset({422})),),
    "POST /v1/me/passkeys/options": (Own(),),
    "POST /v1/me/passkeys": (Secret(body={"credential": {}}, expected=frozenset({422})),),
    "GET /v1/me/passkeys": (Own(),),
    "GET /v1/me/passkeys/{passkey_id}": (HERS,),
    "PATCH /v1/me/passkeys/{passkey_id}": (Foreign(body={"name": "mine"}),),
    "DELETE /v1/me/passkeys/{passkey_id}": (HERS,),
    "GET /v1/me/identities": (Own(),),
    "GET /v1/me/identities/{identity_id}": (HERS,),
    "DELETE /v1/me/identities/{identity_id}": (HERS,),
    "GET /v1/me/consents": (Own(),),
    "GET /v1/me/consents/{purpose}": (Own(path="/v1/me/consents/location"),),
    "PUT /v1/me/consents/{purpose}": (
        Own(path="/v1/me/consents/location", body={"granted": False}),
    ),
    "GET /v1/me/consent-history": (Own(),),
    "GET /v1/me/audit": (Own(),),
    "GET /v1/admin/audit": (Closed(path="/v1/admin/audit?owner_id={friend}&actor_id={friend}"),),
    "GET /v1/flags": (Own(),),
    "GET /v1/admin/flags": (Closed(),),
    "GET /v1/admin/flags/{key}": (Closed(path="/v1/admin/flags/beta"),),
    "PUT /v1/admin/flags/{key}": (Closed(path="/v1/admin/flags/beta", body={"enabled": True}),),
    "PATCH /v1/admin/flags/{key}": (Closed(path="/v1/admin/flags/beta", body={"enabled": True}),),
    "DELETE /v1/admin/flags/{key}": (Closed(path="/v1/admin/flags/beta"),),
    "GET /v1/admin/cohorts": (Closed(),),
    "GET /v1/admin/cohorts/{name}": (Closed(path="/v1/admin/cohorts/first"),),
    "PUT /v1/admin/cohorts/{name}": (Closed(path="/v1/admin/cohorts/first", body={}),),
    "DELETE /v1/admin/cohorts/{name}": (Closed(path="/v1/admin/cohorts/first"),),
    "GET /v1/admin/cohorts/{name}/members": (Closed(path="/v1/admin/cohorts/first/members"),),
    "PUT /v1/admin/cohorts/{name}/members/{user_id}": (
        Closed(path="/v1/admin/cohorts/first/members/{friend}"),
    ),
    "DELETE /v1/admin/cohorts/{name}/members/{user_id}": (
        Closed(path="/v1/admin/cohorts/first/members/{friend}"),
    ),
    "GET /v1/me/privacy": (Own(),),
    "PATCH /v1/me/privacy": (Own(body={"share_on_tap": "ask"}),),
    "GET /v1/me/card": (Own(),),
    "PUT /v1/me/card": (Own(body={"full_name": "Eve"}),),
    "POST /v1/api-keys": (Own(body=_KEY, expected=_CREATED),),
    "GET /v1/api-keys": (Own(),),
    "GET /v1/api-keys/{key_id}": (HERS,),
    "PATCH /v1/api-keys/{key_id}": (Foreign(body={"name": "mine"}),),
    "DELETE /v1/api-keys/{key_id}": (HERS,),
    "POST /v1/service-accounts": (Closed(body={"name": "mine"}),),
    "GET /v1/service-accounts": (Closed(),),
    "DELETE /v1/service-accounts/{account_id}": (
        Closed(),
        Foreign(
            path="/v1/service-accounts/{friend}",
            code="account.not_found",
            by="admin",
            owner_may=False,
        ),
    ),
    "POST /v1/service-accounts/{account_id}/api-keys": (
        Closed(body=_KEY),
        Foreign(
            path="/v1/service-accounts/{friend}/api-keys",
            body=_KEY,
            code="account.not_found",
            by="admin",
            owner_may=False,
        ),
    ),
    "GET /v1/service-accounts/{account_id}/api-keys": (
        Closed(),
        Foreign(
            path="/v1/service-accounts/{friend}/api-keys",
            code="account.not_found",
            by="admin",
            owner_may=False,
        ),
    ),
    "GET /v1/service-accounts/{account_id}/api-keys/{key_id}": (
        Closed(path="/v1/service-accounts/{account}/api-keys/{account_key}"),
        Foreign(
            path="/v1/service-accounts/{my_account}/api-keys/{key}",
            code="key.not_found",
            by="admin",
            owner_may=False,
        ),
    ),
    "PATCH /v1/service-accounts/{account_id}/api-keys/{key_id}": (
        Closed(path="/v1/service-accounts/{account}/api-keys/{account_key}", body={"name": "mine"}),
        Foreign(
            path="/v1/service-accounts/{my_account}/api-keys/{key}",
            body={"name": "mine"},
            code="key.not_found",
            by="admin",
            owner_may=False,
        ),
    ),
    "DELETE /v1/service-accounts/{account_id}/api-keys/{key_id}": (
        Closed(path="/v1/service-accounts/{account}/api-keys/{account_key}"),
        Foreign(
            path="/v1/service-accounts/{my_account}/api-keys/{key}",
            code="key.not_found",
            by="admin",
            owner_may=False,
        ),
    ),
}
