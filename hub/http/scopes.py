"""What an API key may be allowed to do: a closed list, without a word for everything.

A scope stands for itself: to write does not include to read. Which route asks for which is in
hub/wiring/scopes.py; the database knows the same words (api_keys.scopes).
"""

from typing import Final, Literal

Scope = Literal[
    "account:read",
    "account:write",
    "achievements:read",
    "cards:read",
    "cards:write",
    "circles:read",
    "circles:write",
    "contacts:read",
    "contacts:write",
    "friends:read",
    "friends:write",
    "gateways:read",
    "gateways:write",
    "goals:read",
    "goals:write",
    "health:read",
    "health:write",
    "interactions:read",
    "interactions:write",
    "insights:read",
    "insights:write",
    "messages:read",
    "messages:write",
    "realtime:read",
    "reminders:read",
    "reminders:write",
    "rings:read",
    "rings:write",
    "taps:read",
    "touches:read",
    "touches:write",
]

MEANINGS: Final[dict[Scope, str]] = {
    "account:read": "The account, its profile and its privacy settings.",
    "account:write": "Change name, time zone, profile and privacy settings.",
    "achievements:read": "What can be achieved, what the account has, and its days in a row.",
    "cards:read": "The card that goes over at a touch.",
    "cards:write": "Replace that card.",
    "circles:read": "Circles, types of relationships, and who is in them.",
    "circles:write": "Make and change circles and types, put contacts into them.",
    "contacts:read": "The address book: contacts, how they are reached, interests and links.",
    "contacts:write": "Add, search, change, archive and merge contacts.",
    "friends:read": "Friends and blocked people.",
    "friends:write": "End friendships, block and unblock.",
    "gateways:read": "Gateways, their certificates, and taps that were refused from them.",
    "gateways:write": "Register, configure, call and cast out gateways.",
    "health:read": "How relationships fare, and whom the hub reminds of.",
    "health:write": "Say what came of the hub's reminders.",
    "interactions:read": "Interactions with people but private ones, and what follows of them.",
    "interactions:write": "Note interactions down, change and take away what was noted down.",
    "goals:read": "Goals, and the ways to people that the account keeps.",
    "goals:write": "Set and change goals; find and keep ways to people.",
    "insights:read": "What the hub has noticed about the account's contacts.",
    "insights:write": "Dismiss insights, or note what came of them.",
    "messages:read": "Conversations and their messages.",
    "messages:write": "Open conversations and send messages.",
    "realtime:read": "Why the account receives nothing live.",
    "reminders:read": "Reminders.",
    "reminders:write": "Set, change, snooze and finish reminders.",
    "rings:read": "Rings and claims of rings.",
    "rings:write": "Claim, name, lose, find, revoke and release rings.",
    "taps:read": "Taps of the account's rings.",
    "touches:read": "Touches with others, and the cards that they gave.",
    "touches:write": "Confirm, decline and report touches.",
}

_READS: Final = frozenset({"GET", "HEAD"})


def covers(granted: frozenset[str], needed: Scope, method: str) -> bool:
    """Say whether a key's scopes allow a request; what only reads never allows a write."""
    return needed in granted and (method in _READS or needed.endswith(":write"))
