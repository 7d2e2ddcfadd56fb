"""Rings, taps and gateways."""

from typing import Any

from tests.isolation.asks import HERS, Ask, Foreign, Own, Secret, beside

_CREATED = frozenset({201})
_PROOF: dict[str, Any] = {
    "kind": "ble",
    "ring_public_key": "00" * 32,
    "boot": 1,
    "seq": 1,
    "tag": "00" * 16,
}

ROUTES: dict[str, tuple[Ask, ...]] = {
    "GET /v1/rings": (Own(),),
    "GET /v1/rings/{ring_id}": (HERS,),
    "PATCH /v1/rings/{ring_id}": (Foreign(body={"label": "mine"}),),
    "POST /v1/rings/{ring_id}/lost": (HERS,),
    "POST /v1/rings/{ring_id}/found": (HERS,),
    "GET /v1/rings/taps": (
        Own(),
        Own(path="/v1/rings/taps?ring_id={ring}"),
    ),
    "POST /v1/development/rings/{ring_id}/tap": (HERS,),
    "POST /v1/ring-claims": (
        Secret(body={"claim_code": "AAAAAAAAAAAA"}, expected=frozenset({409})),
    ),
    "GET /v1/ring-claims/{claim_id}": (HERS,),
    "POST /v1/ring-claims/{claim_id}/proof": (Foreign(body=_PROOF),),
    "POST /v1/ring-claims/{claim_id}/gateway": (
        Foreign(body={"gateway_id": "{gateway}"}, code="gateway.not_found"),
        beside(
            "/v1/ring-claims/{claim}/gateway",
            "ring.claim_not_found",
            {"gateway_id": "{my_gateway}"},
        ),
        beside(
            "/v1/ring-claims/{my_claim}/gateway", "gateway.not_found", {"gateway_id": "{gateway}"}
        ),
    ),
    "POST /v1/development/ring-claims/{claim_id}/press": (HERS,),
    "POST /v1/gateways": (Own(body={"name": "attic"}, expected=_CREATED),),
    "GET /v1/gateways": (Own(),),
    "GET /v1/gateways/{gateway_id}": (HERS,),
    "PATCH /v1/gateways/{gateway_id}": (Foreign(body={"name": "mine"}),),
    "POST /v1/gateways/{gateway_id}/credentials": (HERS,),
    "POST /v1/gateways/{gateway_id}/rpc/identify": (
        Foreign(body={"ring_id": "{ring}"}),
        beside("/v1/gateways/{my_gateway}/rpc/identify", "ring.not_found", {"ring_id": "{ring}"}),
    ),
    "POST /v1/gateways/{gateway_id}/rpc/rescan": (HERS,),
    "POST /v1/gateways/{gateway_id}/rpc/collect": (Foreign(body={"lines": 1}),),
    "GET /v1/gateways/{gateway_id}/certificates": (HERS,),
    "GET /v1/rejected-taps": (
        Own(),
        Own(path="/v1/rejected-taps?gateway_id={gateway}"),
    ),
    "POST /v1/gateways/claim": (
        Secret(
            body={"claim_code": "AAAA-AAAA-AAAA-AAAA", "csr": "none"},
            expected=frozenset({403, 422, 503}),
        ),
    ),
    "GET /t": (Secret(path="/t?picc_data=00&cmac=00", expected=frozenset({403})),),
}
