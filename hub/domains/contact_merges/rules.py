"""Pure rules of merges: how likely two contacts are one person, and what one takes of the other."""

from math import prod
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from hub.domains.contact_merges.schemas import Candidate, Change, MergeRecord, Noted, Reason
from hub.domains.contacts.schemas import (
    NOTES_MAX_CHARS,
    TAGS_MAX,
    YEAR_UNKNOWN,
    ContactRow,
    MethodKind,
)

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
_OTHER_NAME: Final = 0.65
"""What is left where no word of the names is the same: the mailbox of an office."""
_OTHER_WORDS: Final = 0.8
"""What is left where some are the same and others are not: a family's telephone."""
_OTHER_BIRTHDAY: Final = 0.3
"""What is left where both birthdays are known and differ: father and son."""

_GAPS: Final = (
    "first_name",
    "last_name",
    "company",
    "job_title",
    "linkedin_url",
    "avatar_url",
    "location",
    "bio",
    "birthday",
    "context",
    "frequency",
)
WRITTEN: Final = (
    *_GAPS,
    "linked_user_id",
    "linked_by",
    "notes",
    "tags",
    "strength",
    "last_interaction_at",
    "archived_at",
)
"""In the order of the statement that writes them."""
_NUMBERS: Final = ("strength", "last_interaction_at", "archived_at")
"""What a merge remembers as it was, each as a `Change`."""
_BETWEEN_NOTES: Final = "\n\n"
_NO_CONTEXT: Final = b"{}"


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
    elif _is_short_for(one, other) or _is_short_for(other, one):
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
    if one and other and not names:
        found *= _OTHER_WORDS if one & other else _OTHER_NAME
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


def fill(kept: ContactRow, merged: ContactRow, how: Noted) -> tuple[ContactRow, MergeRecord]:
    """Return the kept contact with what it takes, and what is to be remembered of that.

    It keeps what it has. What it lacks it takes, and tags it has of both. It is archived only if
    both were. Notes are sealed: `how` is what `noted` said of them, and whoever seals writes them.
    """
    filled = [
        name
        for name in _GAPS
        if _is_gap(getattr(kept, name)) and not _is_gap(getattr(merged, name))
    ]
    new: dict[str, Any] = {name: getattr(merged, name) for name in filled}
    # Oneself is no user of one's own address book.
    if kept.linked_user_id is None and merged.linked_user_id is not None and not kept.is_self:
        filled.append("linked_user_id")
        new |= {"linked_user_id": merged.linked_user_id, "linked_by": merged.linked_by}
    tags = [tag for tag in merged.tags if tag not in kept.tags][: TAGS_MAX - len(kept.tags)]
    new |= {
        "tags": kept.tags + tags,
        "strength": max(kept.strength, merged.strength),
        "last_interaction_at": max(
            filter(None, (kept.last_interaction_at, merged.last_interaction_at)), default=None
        ),
        "archived_at": kept.archived_at if merged.archived_at else None,
    }
    record = MergeRecord(
        filled=filled,
        tags_added=len(tags),
        tags_kept=len(kept.tags),
        notes=how,
        was_archived=merged.archived_at is not None,
    )
    changes: dict[str, Any] = {name: Change(getattr(kept, name), new[name]) for name in _NUMBERS}
    return replace(kept, **new), replace(record, **changes)


def unfill(kept: ContactRow, merged: ContactRow, record: MergeRecord) -> ContactRow:
    """Return the kept contact without what it took, as far as that has not changed since."""
    new: dict[str, Any] = {}
    for name in record.filled:
        if getattr(kept, name) == getattr(merged, name):
            new |= _emptied(name)
    if record.tags_added:
        # Those that it took are of the other's; what it had of those stands before them, and what
        # later merges brought behind them.
        first = min(record.tags_kept, max(0, len(kept.tags) - record.tags_added))
        taken = set(kept.tags[first:]) & set(merged.tags)
        new["tags"] = [tag for tag in kept.tags if tag not in taken]
    for name in _NUMBERS:
        change: Change | None = getattr(record, name)
        if change is not None and getattr(kept, name) == change.after:
            new[name] = change.before
    return replace(kept, **new)


def retaken(merged: ContactRow, before: ContactRow, after: ContactRow) -> ContactRow:
    """Return a merged contact with no more than what the kept one may take of it once more.

    That is what the undo of another merge has changed of the kept one, from `before` to `after`:
    what people have emptied or taken away since stays as they wanted it.
    """
    new: dict[str, Any] = {
        "tags": [tag for tag in merged.tags if tag in before.tags and tag not in after.tags]
    }
    for name in (*_GAPS, "linked_user_id"):
        if getattr(before, name) == getattr(after, name):
            new |= _emptied(name)
    if before.strength == after.strength:
        new["strength"] = 0.0
    for name in ("last_interaction_at", "archived_at"):
        if getattr(before, name) == getattr(after, name):
            new[name] = getattr(after, name)
    return replace(merged, **new)


def noted(mine: str | None, theirs: str | None) -> tuple[str | None, Noted]:
    """Return the notes of both, the kept contact's first; its own alone where that is too long."""
    if theirs is None or mine == theirs:
        return mine, "kept"
    if mine is None:
        return theirs, "filled"
    both = mine + _BETWEEN_NOTES + theirs
    return (mine, "kept") if len(both) > NOTES_MAX_CHARS else (both, "appended")


def unnoted(now: str | None, theirs: str | None, how: Noted) -> str | None:
    """Return notes without what `noted` added to them, wherever other merges have left that."""
    if how == "kept" or now is None or theirs is None:
        return now
    if now == theirs:
        return None
    if now.endswith(_BETWEEN_NOTES + theirs):
        return now.removesuffix(_BETWEEN_NOTES + theirs)
    if now.startswith(theirs + _BETWEEN_NOTES):
        return now.removeprefix(theirs + _BETWEEN_NOTES)
    return now.replace(_BETWEEN_NOTES + theirs + _BETWEEN_NOTES, _BETWEEN_NOTES, 1)


def _is_short_for(short: set[str], long: set[str]) -> bool:
    """Say whether all words of a name begin words of another: "A. Lovelace", "Vint Cerf"."""
    return bool(short) and all(any(word.startswith(each) for word in long) for each in short)


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


def _emptied(name: str) -> dict[str, Any]:
    match name:
        case "context":
            return {name: msgspec.Raw(_NO_CONTEXT)}
        case "linked_user_id":
            return {name: None, "linked_by": None}
        case _:
            return {name: None}


def _is_gap(value: object) -> bool:
    return value is None or (isinstance(value, msgspec.Raw) and bytes(value) == _NO_CONTEXT)
