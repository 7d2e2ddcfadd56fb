"""Errors: every failure a caller may meet has a stable code in this catalogue.

`DomainError` is raised anywhere; the edges translate it: RFC 9457 problem details over REST,
error codes on sockets, reason codes over MQTT, exit code and hint in the command line.
"""

from typing import Any, Final

from core.error_spec import ErrorSpec
from core.people_errors import PEOPLE_CATALOGUE

CATALOGUE: Final[dict[str, ErrorSpec]] = {
    "request.malformed": ErrorSpec(
        400, "Malformed request", "Send a body and parameters that match the OpenAPI document."
    ),
    "request.cursor_invalid": ErrorSpec(
        400, "Invalid cursor", "Start again without `cursor`; cursors are opaque and not editable."
    ),
    "auth.required": ErrorSpec(
        401, "Authentication required", "Send `Authorization: Bearer <access token or API key>`."
    ),
    "auth.token_invalid": ErrorSpec(
        401, "Invalid token", "Refresh the access token or sign in again."
    ),
    "auth.token_expired": ErrorSpec(401, "Token expired", "Refresh the access token."),
    "auth.recent_sign_in_required": ErrorSpec(
        401,
        "Recent sign-in required",
        "Prove again who you are: send the `refresh_token` along with a new sign-in, then retry.",
    ),
    "auth.other_account": ErrorSpec(
        403, "Another account", "Sign in to the account that the refresh token belongs to."
    ),
    "auth.ambiguous": ErrorSpec(
        400, "More than one credential", "Send one `Authorization` or one `X-API-Key`, not both."
    ),
    "auth.key_in_url": ErrorSpec(
        400,
        "API key in the URL",
        "URLs end up in logs: revoke this key, and send its successor in a header.",
    ),
    "auth.key_malformed": ErrorSpec(
        401, "Not an API key", "Copy the whole key again: its checksum does not fit."
    ),
    "auth.key_invalid": ErrorSpec(
        401, "API key invalid", "It is unknown or revoked; make another."
    ),
    "auth.key_expired": ErrorSpec(401, "API key expired", "Make another with POST /v1/api-keys."),
    "auth.key_refused": ErrorSpec(
        403, "Not by API key", "Sign in for this: API keys open no such route."
    ),
    "auth.scope_missing": ErrorSpec(
        403, "Scope missing", "Give the API key the scope with PATCH /v1/api-keys/{id}."
    ),
    "auth.forbidden": ErrorSpec(403, "Forbidden", "The signed-in user may not do this."),
    "auth.development_only": ErrorSpec(
        403,
        "Development only",
        'Works only with server.mode = "development" and from a loopback address without a proxy.',
    ),
    "login.provider_unknown": ErrorSpec(
        404, "Unknown provider", "Use a provider of `[auth.providers]` that allows this."
    ),
    "login.redirect_refused": ErrorSpec(
        422, "Redirect refused", "Add the app's redirect_uri, exactly, to `auth.redirect_uris`."
    ),
    "login.state_invalid": ErrorSpec(
        400,
        "Sign-in not under way",
        "Start again, and come back within ten minutes in the same browser.",
    ),
    "login.declined": ErrorSpec(
        403, "Sign-in declined", "The person or the provider has declined; start again."
    ),
    "login.refused": ErrorSpec(
        401,
        "Sign-in refused",
        "What the provider said cannot be believed; start again, or look at the hub's log.",
    ),
    "login.code_invalid": ErrorSpec(
        401, "Code invalid", "A code works once, for a minute, with its verifier; start again."
    ),
    "login.link_required": ErrorSpec(
        409,
        "Account exists",
        "Sign in to the account of this e-mail address and add the login: POST /v1/me/logins.",
    ),
    "login.taken": ErrorSpec(
        409, "Login taken", "This login belongs to another account; remove it there first."
    ),
    "login.email_unverified": ErrorSpec(
        409, "E-mail unverified", "Confirm the e-mail address at the provider, then start again."
    ),
    "login.not_found": ErrorSpec(404, "Login not found", "List yours with GET /v1/me/logins."),
    "login.last": ErrorSpec(
        409, "Last login", "Add another login first: nobody could sign in to this account."
    ),
    "login.limit": ErrorSpec(409, "Too many logins", "Remove one of the account's logins first."),
    "login.provider_unavailable": ErrorSpec(
        503, "Provider unavailable", "The identity provider does not answer; retry later."
    ),
    "passkey.refused": ErrorSpec(
        401,
        "Passkey refused",
        "Start again with new options, within five minutes; if it stays, use another login.",
    ),
    "passkey.invalid": ErrorSpec(
        422,
        "Passkey not taken",
        "Start again with new options, and send what the device made of them, within five minutes.",
    ),
    "passkey.sign_up_closed": ErrorSpec(
        403, "Sign-up closed", "Sign in with a provider of this hub, then add a passkey."
    ),
    "passkey.not_found": ErrorSpec(
        404, "Passkey not found", "List yours with GET /v1/me/passkeys."
    ),
    "passkey.unavailable": ErrorSpec(
        503,
        "Passkeys unavailable",
        "Passkeys belong to a domain: the operator has to set [passkeys] rp_id.",
    ),
    "session.not_found": ErrorSpec(
        404, "Sign-in session not found", "List yours with GET /v1/me/sessions."
    ),
    "identity.not_found": ErrorSpec(
        404, "Address not found", "List yours with GET /v1/me/identities."
    ),
    "key.not_found": ErrorSpec(404, "API key not found", "List yours with GET /v1/api-keys."),
    "key.limit": ErrorSpec(409, "Too many API keys", "Revoke one of the account's keys first."),
    "flag.not_found": ErrorSpec(404, "Flag not found", "List them with GET /v1/admin/flags."),
    "flag.limit": ErrorSpec(
        409, "Too many flags", "Remove flags that have been on for everybody for long."
    ),
    "cohort.not_found": ErrorSpec(404, "Cohort not found", "List them with GET /v1/admin/cohorts."),
    "cohort.in_use": ErrorSpec(
        409, "Cohort in use", "Take it out of the flag that `detail` names, then remove it."
    ),
    "cohort.limit": ErrorSpec(409, "Too many cohorts", "Remove cohorts that no flag names."),
    "account.not_found": ErrorSpec(
        404, "Service account not found", "List them with GET /v1/service-accounts."
    ),
    "request.origin_refused": ErrorSpec(
        403, "Origin refused", "Add the page's origin to `server.allowed_origins`."
    ),
    "request.not_found": ErrorSpec(404, "Not found", "Check the path and the id."),
    "request.method_not_allowed": ErrorSpec(
        405, "Method not allowed", "Use a method that the OpenAPI document lists for this path."
    ),
    "request.conflict": ErrorSpec(
        409, "Conflict", "The resource is in a state that does not allow this; read it again."
    ),
    "request.precondition_failed": ErrorSpec(
        412,
        "Changed meanwhile",
        "Read the resource again, and repeat the change with its new ETag.",
    ),
    "idempotency.in_flight": ErrorSpec(
        409, "Request in flight", "The same Idempotency-Key is being processed; retry later."
    ),
    "idempotency.mismatch": ErrorSpec(
        422, "Idempotency key reused", "Use a new Idempotency-Key for a different request."
    ),
    "idempotency.key_invalid": ErrorSpec(
        400, "Invalid idempotency key", "Send 1 to 255 visible ASCII characters."
    ),
    "request.too_large": ErrorSpec(413, "Body too large", "Send a smaller body."),
    "request.media_type": ErrorSpec(
        415, "Unsupported media type", "Send `Content-Type: application/json`."
    ),
    "request.invalid": ErrorSpec(422, "Invalid value", "Correct the field that `errors` names."),
    "limit.exceeded": ErrorSpec(429, "Too many requests", "Wait for the seconds in `Retry-After`."),
    "server.internal": ErrorSpec(
        500, "Internal error", "Retry; if it stays, report the `request_id`."
    ),
    "service.unavailable": ErrorSpec(
        503, "Temporarily unavailable", "Retry after the seconds in `Retry-After`."
    ),
    "ring.not_found": ErrorSpec(404, "Ring not found", "List your rings with GET /v1/rings."),
    "ring.claim_refused": ErrorSpec(
        409, "Claim refused", "The code is wrong or already used; look at the ring's card."
    ),
    "ring.claim_not_found": ErrorSpec(
        404, "Claim not found", "Start a claim with POST /v1/ring-claims."
    ),
    "ring.claim_closed": ErrorSpec(
        409,
        "Claim closed",
        "It is done, was refused or has expired; where it is not done, start a new one.",
    ),
    "ring.proof_refused": ErrorSpec(
        409, "Proof refused", "Press the ring and let it answer this claim's challenge."
    ),
    "ring.state_refused": ErrorSpec(
        409,
        "Not in this state",
        "Read the ring: an active one is lost or released, a lost one found; revoked is final.",
    ),
    "tap.refused": ErrorSpec(403, "Tap refused", "Tap the ring again; a link works once."),
    "tap.already_used": ErrorSpec(
        409, "Tap already used", "Tap the ring again; another session has used this link."
    ),
    "gateway.not_found": ErrorSpec(
        404, "Gateway not found", "List your gateways with GET /v1/gateways."
    ),
    "gateway.name_taken": ErrorSpec(
        409, "Name taken", "Another gateway of yours has this name; choose another one."
    ),
    "gateway.revision_conflict": ErrorSpec(
        409,
        "Configuration changed meanwhile",
        "Read the gateway again and repeat the change on its present `config_rev`.",
    ),
    "gateway.offline": ErrorSpec(
        409, "Gateway offline", "Wait until the gateway is online; look at its power and network."
    ),
    "gateway.not_connected": ErrorSpec(
        409, "Ring not connected", "Bring the ring near the gateway, or ask another gateway."
    ),
    "gateway.ring_not_pressed": ErrorSpec(
        409, "Ring not pressed", "Ask again, and press the ring when it blinks."
    ),
    "gateway.busy": ErrorSpec(
        503, "Gateway busy", "The gateway serves as many calls as it can; retry later."
    ),
    "gateway.call_failed": ErrorSpec(
        502, "Call failed", "The gateway tried without success; retry, or look at its log."
    ),
    "gateway.call_refused": ErrorSpec(
        422, "Call refused", "The gateway does not take these arguments; correct them."
    ),
    "gateway.method_unknown": ErrorSpec(
        409, "Method unknown", "The gateway's software is too old for this; update it."
    ),
    "gateway.timeout": ErrorSpec(
        504, "Gateway did not answer", "Retry; if it stays, look at the gateway's network."
    ),
    "gateway.revoked": ErrorSpec(
        409, "Gateway revoked", "What is revoked stays so: register the device as a new gateway."
    ),
    "gateway.claim_refused": ErrorSpec(
        409,
        "Claim refused",
        "The code is wrong, has expired or was used by another device: make a new one.",
    ),
    "gateway.csr_invalid": ErrorSpec(
        422,
        "Certificate request invalid",
        "Send PKCS #10 as PEM, up to 4 KiB, with a key on P-256 or Ed25519 and signed by it.",
    ),
    "gateway.claims_unavailable": ErrorSpec(
        503,
        "Gateways cannot be claimed",
        "The operator has to set [pki] ca_key, ca_certificate and gateway_mqtt_url.",
    ),
    "touch.not_found": ErrorSpec(404, "Touch not found", "List yours with GET /v1/touches."),
    "touch.closed": ErrorSpec(
        409, "Touch closed", "It does not wait for you: answered, expired, or shared by nobody."
    ),
    "touch.not_exchanged": ErrorSpec(
        409, "Not exchanged", "The other's card is here once both sides have agreed."
    ),
    "friend.not_found": ErrorSpec(404, "Friend not found", "List yours with GET /v1/friends."),
    "conversation.not_found": ErrorSpec(
        404, "Conversation not found", "List yours with GET /v1/conversations."
    ),
    "conversation.partner_invalid": ErrorSpec(
        422, "Partner invalid", "Name another existing user."
    ),
    "consent.missing": ErrorSpec(
        403, "Consent missing", "Ask the person, then send PUT /v1/me/consents/{purpose}."
    ),
    "consent.text_outdated": ErrorSpec(
        409,
        "Not the present text",
        "Show the person `text` of GET /v1/me/consents/{purpose} and send its `current_version`.",
    ),
    **PEOPLE_CATALOGUE,
}


class DomainError(Exception):
    """A refusal with a code of the catalogue; `detail` is safe to show to the caller."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        retry_after_seconds: int | None = None,
        errors: list[dict[str, Any]] | None = None,
    ) -> None:
        spec = CATALOGUE[code]
        super().__init__(detail or spec.title)
        self.code = code
        self.detail = detail or spec.remedy
        self.status = spec.status
        self.title = spec.title
        self.retry_after_seconds = retry_after_seconds
        self.errors = errors or []


class ConfigError(Exception):
    """A setting is missing or wrong; the message says which and what to do."""
