"""The AsyncAPI 3 document: the realtime channels and the typed payloads that they carry.

Made from the routes of events, so that it cannot say more or less than the relay does.
https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import inspect
from typing import Any, Final, cast
from urllib.parse import urlsplit

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from hub.http.auth import UNLIMITED
from hub.wiring.events import PAYLOADS, ROUTES, Audience, Publication

_SCHEMAS: Final = "#/components/schemas/{name}"
_PLACES: Final[dict[Audience, tuple[str, str, str]]] = {
    "taps:{owner}": ("taps", "user_id", "The user; subscribed by the server at connect."),
    "messages:{member}": ("messages", "user_id", "The user; subscribed by the server at connect."),
    "health:{owner}": ("health", "user_id", "The user; subscribed by the server at connect."),
    "sync:{owner}": ("sync", "user_id", "The user; subscribed by the server at connect."),
    "notifications:{owner}": (
        "notifications",
        "user_id",
        "The user; subscribed by the server at connect.",
    ),
    "insights:{owner}": ("insights", "user_id", "The user; subscribed by the server at connect."),
    "achievements:{owner}": (
        "achievements",
        "user_id",
        "The user; subscribed by the server at connect.",
    ),
    "conversation:{subject}": (
        "conversation",
        "conversation_id",
        "The conversation; its members may subscribe.",
    ),
    # One channel, without a parameter.
    "flags:all": ("flags", "", ""),
}


def asyncapi_route(version: str, public_url: str) -> HTTPRouteHandler:
    """Return the handler of GET /schema/asyncapi.json."""
    content = document(version, public_url)

    @get("/schema/asyncapi.json", opt=UNLIMITED, include_in_schema=False, sync_to_thread=False)
    def asyncapi_document() -> dict[str, Any]:
        return content

    return asyncapi_document


def document(version: str, public_url: str) -> dict[str, Any]:
    """Return the document of a hub that is reached under `public_url`."""
    address = urlsplit(public_url)
    published = {name: kind for name, kind in PAYLOADS.items() if ROUTES[name].channels}
    references, schemas = msgspec.json.schema_components(
        (Publication, *published.values()), ref_template=_SCHEMAS
    )
    envelope, *payloads = (_target(reference) for reference in references)
    for name in payloads:
        # The tag tells events apart in the database; in a publication it stands beside the data.
        del schemas[name]["properties"]["type"]
        schemas[name]["required"].remove("type")
    messages = {
        event_type: _message(event_type, envelope, name)
        for event_type, name in zip(published, payloads, strict=True)
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Ping Hub",
            "version": version,
            "description": (
                "What the hub says live, in Centrifugo's client protocol: use one of its SDKs."
                " Every publication is one committed event; its `id` is the event's id in every"
                " channel and over REST. Clients read these channels; they write over REST or rpc."
            ),
        },
        "defaultContentType": "application/json",
        "servers": {
            "hub": {
                "host": address.netloc,
                "protocol": "wss" if address.scheme == "https" else "ws",
                "pathname": "/connection/websocket",
                "security": [{"$ref": "#/components/securitySchemes/access_token"}],
            }
        },
        "channels": {
            name: _channel(audience, name, parameter, meaning)
            for audience, (name, parameter, meaning) in _PLACES.items()
        },
        "operations": {
            f"send_{name}": {
                "action": "send",
                "summary": f"The hub publishes in {name} channels.",
                "channel": {"$ref": f"#/channels/{name}"},
            }
            for name, _, _ in _PLACES.values()
        },
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": {
                "access_token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token of REST, as `token` of the connect command.",
                }
            },
        },
    }


def _channel(audience: Audience, name: str, parameter: str, meaning: str) -> dict[str, Any]:
    return {
        "address": f"{name}:{{{parameter}}}" if parameter else audience,
        "parameters": {parameter: {"description": meaning}} if parameter else {},
        "messages": {
            event_type: {"$ref": f"#/components/messages/{event_type}"}
            for event_type, route in ROUTES.items()
            if audience in route.channels
        },
    }


def _message(event_type: str, envelope: str, payload: str) -> dict[str, Any]:
    return {
        "name": event_type,
        "title": event_type,
        "summary": inspect.cleandoc(PAYLOADS[event_type].__doc__ or ""),
        "payload": {
            "allOf": [
                {"$ref": _SCHEMAS.format(name=envelope)},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": event_type},
                        "data": {"$ref": _SCHEMAS.format(name=payload)},
                    },
                    "required": ["type", "data"],
                },
            ]
        },
    }


def _target(reference: dict[str, Any]) -> str:
    return cast("str", reference["$ref"]).rpartition("/")[2]
