"""The address book and imports."""

from tests.isolation.asks import HERS, Ask, Foreign, Own, beside

_CREATED = frozenset({201})

ROUTES: dict[str, tuple[Ask, ...]] = {
    # Ada has not consented to being found.
    "POST /v1/contacts/match": (
        Own(
            body={"addresses": [{"form": "plain", "kind": "email", "value": "ada@example.com"}]},
            expected=frozenset({200, 403, 422}),
        ),
    ),
    # A file's body is no JSON: {} is none that any reader takes, and a job of the asker's own.
    "POST /v1/contacts/import": (
        Own(path="/v1/contacts/import?format=vcard", body={}, expected=frozenset({202})),
    ),
    "GET /v1/contacts/export": (Own(path="/v1/contacts/export?format=json"),),
    "GET /v1/imports": (Own(),),
    "GET /v1/imports/{import_id}": (HERS,),
    "GET /v1/imports/{import_id}/rows": (HERS,),
    "POST /v1/imports/{import_id}/start": (HERS,),
    "POST /v1/imports/{import_id}/cancel": (HERS,),
    "POST /v1/imports/{import_id}/undo": (HERS,),
    "GET /v1/contacts": (
        Own(),
        Own(path="/v1/contacts?company=canary-of-ada"),
    ),
    "POST /v1/contacts": (Own(body={"full_name": "hello"}, expected=_CREATED),),
    "POST /v1/contacts/search": (
        Own(body={"text": "canary"}),
        Own(body={"address": {"kind": "email", "value": "canary-of-ada@example.com"}}),
    ),
    "GET /v1/contacts/tags": (Own(),),
    "GET /v1/contacts/self": (Own(),),
    "POST /v1/contacts/link-users": (
        Own(body={"contact_ids": ["{contact}"]}, expected=frozenset({200, 403})),
    ),
    "DELETE /v1/contacts/{contact_id}/linked-user": (HERS,),
    "GET /v1/contacts/{contact_id}": (HERS,),
    "PATCH /v1/contacts/{contact_id}": (Foreign(body={"bio": "mine"}),),
    "DELETE /v1/contacts/{contact_id}": (HERS,),
    "POST /v1/contacts/{contact_id}/restore": (HERS,),
    "GET /v1/contacts/{contact_id}/methods": (HERS,),
    "POST /v1/contacts/{contact_id}/methods": (
        Foreign(body={"kind": "email", "value": "a@example.com"}),
    ),
    "GET /v1/contacts/{contact_id}/methods/{method_id}": (
        HERS,
        beside("/v1/contacts/{my_contact}/methods/{method}", "contact.method_not_found"),
    ),
    "PATCH /v1/contacts/{contact_id}/methods/{method_id}": (
        Foreign(body={"label": "mine"}),
        beside(
            "/v1/contacts/{my_contact}/methods/{method}",
            "contact.method_not_found",
            {"label": "mine"},
        ),
    ),
    "DELETE /v1/contacts/{contact_id}/methods/{method_id}": (
        HERS,
        beside("/v1/contacts/{my_contact}/methods/{method}", "contact.method_not_found"),
    ),
    "GET /v1/interests": (Own(path="/v1/interests?category=sport"),),
    "GET /v1/contacts/{contact_id}/interests": (HERS,),
    "POST /v1/contacts/{contact_id}/interests": (
        Foreign(body={"category": "sport", "topic": "chess"}),
    ),
    "GET /v1/contacts/{contact_id}/interests/{interest_id}/evidence": (
        HERS,
        beside(
            "/v1/contacts/{my_contact}/interests/{interest}/evidence", "contact.interest_not_found"
        ),
    ),
    "PUT /v1/contacts/{contact_id}/interests/{interest_id}/evidence/{interaction_id}": (
        Foreign(body={}),
        beside(
            "/v1/contacts/{my_contact}/interests/{interest}/evidence/{my_interaction}",
            "contact.interest_not_found",
            {},
        ),
        beside(
            "/v1/contacts/{my_contact}/interests/{my_interest}/evidence/{interaction}",
            "interaction.not_found",
            {},
        ),
    ),
    "DELETE /v1/contacts/{contact_id}/interests/{interest_id}": (
        HERS,
        beside("/v1/contacts/{my_contact}/interests/{interest}", "contact.interest_not_found"),
    ),
    "GET /v1/contacts/{contact_id}/links": (HERS,),
    "GET /v1/contacts/{contact_id}/links/{other_id}": (HERS,),
    "PUT /v1/contacts/{contact_id}/links/{other_id}": (
        Foreign(body={"kind": "friend"}),
        Foreign(
            path="/v1/contacts/{my_contact}/links/{contact}",
            body={"kind": "friend"},
            owner_may=False,
        ),
    ),
    "DELETE /v1/contacts/{contact_id}/links/{other_id}": (
        HERS,
        beside("/v1/contacts/{my_contact}/links/{contact}", "contact.link_not_found"),
    ),
    "GET /v1/contacts/{contact_id}/mutuals": (
        Foreign(path="/v1/contacts/{contact}/mutuals?other={other_contact}"),
        Foreign(path="/v1/contacts/{my_contact}/mutuals?other={contact}", owner_may=False),
    ),
    "GET /v1/contacts/merge-suggestions": (Own(),),
    "PUT /v1/contacts/{contact_id}/distinctions/{other_id}": (
        HERS,
        Foreign(path="/v1/contacts/{my_contact}/distinctions/{contact}", owner_may=False),
    ),
    "DELETE /v1/contacts/{contact_id}/distinctions/{other_id}": (
        HERS,
        Foreign(path="/v1/contacts/{my_contact}/distinctions/{contact}", owner_may=False),
    ),
    "GET /v1/contacts/merges": (Own(),),
    "GET /v1/contacts/merges/{merge_id}": (HERS,),
    "POST /v1/contacts/{contact_id}/merge": (
        Foreign(body={"merged_id": "{other_contact}"}),
        Foreign(
            path="/v1/contacts/{my_contact}/merge", body={"merged_id": "{contact}"}, owner_may=False
        ),
    ),
    "POST /v1/contacts/merges/{merge_id}/undo": (HERS,),
}
