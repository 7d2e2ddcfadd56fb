"""Pure rules of merges: how likely two contacts are one person, and what fills which gap."""

from math import prod
from typing import Final

from hub.domains.contact_merges.schemas import Candidate, Reason
from hub.domains.contacts.rules import YEAR_UNKNOWN
from hub.domains.contacts.schemas import MethodKind

SUGGESTED_FROM: Final = 0.5
WEIGHTS: Final[dict[Reason, float]] = {
    "same_user": 0.95,
    "same_linkedin": 0.8,
    "same_email": 0.7,
    "same_twitter": 0.7,
    "same_phone": 0.5,
    "same_url": 0.3,
    "same_name": 0.45,
    "similar_name": 0.25,
    "same_company": 0.25,
    "same_birthday": 0.5,
}
"""How likely each alone makes it; independent of each other, they add up to `1 - prod(1 - w)`."""

_SINGLE_NAME: Final = 0.2
"""Weight of a name of one word: many people are called Anna."""
_OTHER_NAME: Final = 0.4
"""What is left where no word of the names is the same: a family's telephone."""
_OTHER_BIRTHDAY: Final = 0.3
"""What is left where both birthdays are known and differ: father and son."""


def score(pair: Candidate) -> tuple[float, list[Reason]]:
    """Return how likely two contacts are one person, 0 to 1, and what speaks for it.

    The same whichever comes first. Nothing that speaks for it lowers it, nothing against raises it.
    """
    reasons: list[Reason] = []
    if pair.is_same_user:
        reasons.append("same_user")
    reasons.extend(reason for kind, reason in _BY_KIND.items() if kind in pair.shared_kinds)
    one, other = set(pair.one_words.split()), set(pair.other_words.split())
    names: list[Reason] = []
    if one and one == other:
        names.append("same_name")
    elif one & other and (one <= other or other <= one):
        names.append("similar_name")
    # That two people work for one company says nothing, unless they are called alike.
    if names and pair.one_company_plain and pair.one_company_plain == pair.other_company_plain:
        names.append("same_company")
    reasons.extend(names)
    if _same_birthday(pair):
        reasons.append("same_birthday")
    weights = [
        _SINGLE_NAME if reason == "same_name" and len(one) == 1 else WEIGHTS[reason]
        for reason in reasons
    ]
    found = 1 - prod(1 - weight for weight in weights)
    if one and other and not one & other:
        found *= _OTHER_NAME
    if _other_birthday(pair):
        found *= _OTHER_BIRTHDAY
    return round(found, 4), reasons


_BY_KIND: Final[dict[MethodKind, Reason]] = {
    "email": "same_email",
    "phone": "same_phone",
    "linkedin": "same_linkedin",
    "twitter": "same_twitter",
    "url": "same_url",
}


def _same_birthday(pair: Candidate) -> bool:
    return pair.one_birthday is not None and pair.one_birthday == pair.other_birthday


def _other_birthday(pair: Candidate) -> bool:
    """Say whether the birthdays cannot be one; a year that is not known may be any."""
    one, other = pair.one_birthday, pair.other_birthday
    if one is None or other is None:
        return False
    if YEAR_UNKNOWN in {one.year, other.year}:
        return (one.month, one.day) != (other.month, other.day)
    return one != other
