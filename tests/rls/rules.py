"""What each role may do to a row of each table, by what the row is to the user.

`own`: the row belongs to the user. `private`: so does this one, which no key sees. `shared`: the
user sees it by membership or partnership. `foreign`: neither. A verb is allowed only where it is
listed; a table without an entry fails.
"""

from dataclasses import dataclass
from typing import Final

Verbs = frozenset[str]


@dataclass(frozen=True)
class Viewer:
    """Who looks: a database role with the settings of an actor."""

    role: str = "ping_api"
    claim: str = "user"
    """The role of the account, as `app.role` has it."""
    kind: str = "user"
    is_known: bool = True
    """Whether there is a user at all."""


NONE: Final[Verbs] = frozenset()
READ: Final = frozenset({"SELECT"})
CHANGE: Final = frozenset({"SELECT", "UPDATE"})
ALL: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})

# table → relation of the row to the user → verbs of ping_api; INSERT is judged by the owner that
# the new row would have.
API: Final[dict[str, dict[str, Verbs]]] = {
    "users": {"own": CHANGE, "foreign": NONE},
    "user_logins": {"own": READ | {"DELETE"}, "foreign": NONE},
    "identity_hashes": {"own": READ | {"DELETE"}, "foreign": NONE},
    "passkey_credentials": {"own": CHANGE, "foreign": NONE},
    "sessions": {"own": CHANGE | {"INSERT"}, "foreign": NONE},
    "api_keys": {"own": CHANGE | {"INSERT"}, "foreign": NONE},
    "consents": {"own": CHANGE | {"INSERT"}, "foreign": NONE},
    "consent_history": {"own": READ, "foreign": NONE},
    "profiles": {"own": CHANGE, "shared": READ, "foreign": NONE},
    "idempotency_keys": {"own": CHANGE | {"INSERT", "DELETE"}, "foreign": NONE},
    "rings": {"own": CHANGE, "foreign": NONE},
    "ring_claims": {"own": READ, "foreign": NONE},
    "gateways": {"own": CHANGE | {"INSERT"}, "foreign": NONE},
    "gateway_certificates": {"own": READ, "foreign": NONE},
    "ring_taps": {"own": READ, "shared": NONE, "foreign": NONE},
    "contact_cards": {"own": CHANGE | {"INSERT"}, "foreign": NONE},
    "contacts": {"own": CHANGE | {"INSERT"}, "foreign": NONE},
    "contact_methods": {"own": ALL, "foreign": NONE},
    "interests": {"own": ALL, "foreign": NONE},
    "contact_links": {"own": ALL, "foreign": NONE},
    "circles": {"own": ALL, "foreign": NONE},
    "circle_members": {"own": READ | {"INSERT", "DELETE"}, "foreign": NONE},
    "relationship_types": {"own": ALL, "shared": READ, "foreign": NONE},
    "contact_relationship_types": {"own": READ | {"INSERT", "DELETE"}, "foreign": NONE},
    "relationship_health": {"own": READ, "foreign": NONE},
    "health_snapshots": {"own": READ, "foreign": NONE},
    "health_shards": {"foreign": NONE},
    "nudges": {"own": CHANGE, "foreign": NONE},
    "nudge_mornings": {"own": NONE, "foreign": NONE},
    "contact_merges": {"own": CHANGE | {"INSERT"}, "foreign": NONE},
    "contact_distinctions": {"own": READ | {"INSERT", "DELETE"}, "foreign": NONE},
    "interactions": {"own": ALL, "private": ALL, "foreign": NONE},
    "interaction_participants": {"own": ALL, "private": ALL, "foreign": NONE},
    "connection_goals": {"own": ALL, "foreign": NONE},
    "goal_tags": {"foreign": READ},
    "goal_tag_links": {"own": READ | {"INSERT", "DELETE"}, "foreign": NONE},
    "connection_paths": {"own": ALL, "foreign": NONE},
    "connection_path_steps": {"own": READ | {"INSERT"}, "foreign": NONE},
    "path_searches": {"own": READ | {"INSERT", "DELETE"}, "foreign": NONE},
    "graph_changes": {"own": NONE, "foreign": NONE},
    "reminders": {"own": ALL, "foreign": NONE},
    "insights": {"own": CHANGE, "foreign": NONE},
    "insight_contacts": {"own": READ, "foreign": NONE},
    "evidence": {"own": READ | {"INSERT"}, "foreign": NONE},
    "insight_weeks": {"own": NONE, "foreign": NONE},
    "streaks": {"own": READ, "foreign": NONE},
    "achievements": {"foreign": READ},
    "achievement_progress": {"own": READ, "foreign": NONE},
    "achievement_increments": {"own": NONE, "foreign": NONE},
    "blocks": {"own": READ | {"INSERT", "DELETE"}, "foreign": NONE},
    "friendships": {"own": READ, "shared": NONE, "foreign": NONE},
    "touches": {"own": READ, "shared": NONE, "foreign": NONE},
    "rejected_taps": {"shared": READ, "foreign": NONE},
    "conversations": {"shared": READ, "foreign": NONE},
    "conversation_members": {"own": CHANGE, "shared": READ, "foreign": NONE},
    "messages": {"own": READ | {"INSERT"}, "shared": READ, "foreign": NONE},
    "import_jobs": {"own": CHANGE | {"INSERT"}, "foreign": NONE},
    "import_chunks": {"own": frozenset({"INSERT"}), "foreign": NONE},
    "import_rows": {"own": READ, "foreign": NONE},
    "events": {"own": READ, "foreign": NONE},
    "audit_log": {"own": READ, "shared": READ, "foreign": NONE},
    "outbox": {"foreign": NONE},
    "consumer_tasks": {"foreign": NONE},
    "data_keys": {"foreign": NONE},
    "feature_flags": {"foreign": NONE},
    "cohorts": {"foreign": NONE},
    "cohort_members": {"own": READ, "foreign": NONE},
}

# Jobs act for a user with the same policies; these rights only the interface needs.
NOT_FOR_WORKERS: Final = {
    "api_keys": {"SELECT", "INSERT", "UPDATE"},
    "user_logins": {"SELECT", "DELETE"},
    "identity_hashes": {"SELECT", "DELETE"},
    "passkey_credentials": {"SELECT", "UPDATE"},
    "sessions": {"INSERT"},
    "consents": {"INSERT", "UPDATE"},
    "consent_history": {"SELECT"},
    "idempotency_keys": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "gateways": {"INSERT", "UPDATE"},
    "rejected_taps": {"SELECT"},
    "audit_log": {"SELECT"},
    "contact_cards": {"SELECT", "INSERT", "UPDATE"},
    "import_chunks": {"INSERT"},
}

# The owner column is not granted: a copy of the other's row takes the actor by default.
BECOMES_OWN: Final = {
    ("sessions", "foreign"),
    ("consents", "foreign"),
    ("messages", "shared"),
    ("gateways", "foreign"),
    ("contact_cards", "foreign"),
    ("blocks", "foreign"),
}

# The hub's own processes act for everybody; even they cannot rewrite the audit log, nor make a data
# key as if it had never been.
SYSTEM: Final = {
    **dict.fromkeys(API, ALL),
    "audit_log": READ,
    "consent_history": READ,
    "data_keys": CHANGE | {"INSERT"},
}
# Entered by admin routes; what it may see belongs to later domains.
ADMIN: Final = {table: READ if table == "audit_log" else NONE for table in API}
READER: Final = dict.fromkeys(API, NONE)


OF_ALL_ROWS: Final = {"ping_system": SYSTEM, "ping_admin": ADMIN, "ping_reader": READER}


# Whatever a route forgets: a key sees and makes no way into the account.
NOT_BY_KEY: Final = {"api_keys", "user_logins", "passkey_credentials", "sessions"}
ONLY_READ_BY_KEY: Final = {"consents"}


def expected(viewer: Viewer, table: str, relation: str) -> Verbs:
    """Return what a viewer may do to rows of a relation to the user.

    The claims of moderators and administrators open nothing of anybody's.
    """
    if viewer.role == "ping_admin" and viewer.claim != "admin":
        return NONE
    if viewer.role in OF_ALL_ROWS:
        return OF_ALL_ROWS[viewer.role][table]
    if not viewer.is_known or (
        viewer.kind == "api_key" and (table in NOT_BY_KEY or relation == "private")
    ):
        return NONE
    if viewer.kind == "api_key" and table in ONLY_READ_BY_KEY:
        return API[table].get(relation, NONE) & READ
    withheld = NOT_FOR_WORKERS.get(table, set()) if viewer.role == "ping_worker" else set()
    return API[table].get(relation, NONE) - withheld
