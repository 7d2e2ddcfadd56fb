"""What the kept contact of a merge takes from the other one, and gives back: pure but for sealing.

It keeps what it has. What it lacks it takes; tags and notes it has of both.
"""

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from hub.domains.contact_merges.schemas import Change, MergeRecord
from hub.domains.contacts import sealing
from hub.domains.contacts.schemas import NOTES_MAX_CHARS, TAGS_MAX, ContactRow
from hub.domains.contacts.sealing import Keys

WRITTEN: Final = (
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
    "linked_user_id",
    "linked_by",
    "notes",
    "tags",
    "strength",
    "last_interaction_at",
)
"""In the order of the statement that writes them."""
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
_BETWEEN_NOTES: Final = "\n\n"
_NO_CONTEXT: Final = b"{}"


def fill(keys: Keys, kept: ContactRow, merged: ContactRow) -> tuple[ContactRow, MergeRecord]:
    """Return the kept contact with what it takes, and what is to be remembered of that."""
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
    notes, how = _noted(keys, kept, merged)
    latest = max(
        (at for at in (kept.last_interaction_at, merged.last_interaction_at) if at is not None),
        default=None,
    )
    strength = max(kept.strength, merged.strength)
    new |= {
        "tags": kept.tags + tags,
        "notes": notes,
        "strength": strength,
        "last_interaction_at": latest,
    }
    record = MergeRecord(
        filled=filled,
        tags_added=len(tags),
        notes=how,
        strength=Change(kept.strength, strength),
        last_interaction_at=Change(kept.last_interaction_at, latest),
        was_archived=merged.archived_at is not None,
    )
    return replace(kept, **new), record


def unfill(keys: Keys, kept: ContactRow, merged: ContactRow, record: MergeRecord) -> ContactRow:
    """Return the kept contact without what it took, as far as that has not changed since."""
    new: dict[str, Any] = {}
    for name in record.filled:
        if getattr(kept, name) == getattr(merged, name):
            new[name] = msgspec.Raw(_NO_CONTEXT) if name == "context" else None
            if name == "linked_user_id":
                new["linked_by"] = None
    if record.tags_added:
        # Those that it took are of the other's; what it had of those it has before them.
        kept_at_least = max(0, len(kept.tags) - record.tags_added)
        taken = set(kept.tags[kept_at_least:]) & set(merged.tags)
        new["tags"] = [tag for tag in kept.tags if tag not in taken]
    new["notes"] = _unnoted(keys, kept, merged, record)
    for name, change in (
        ("strength", record.strength),
        ("last_interaction_at", record.last_interaction_at),
    ):
        if change is not None and getattr(kept, name) == change.after:
            new[name] = change.before
    return replace(kept, **new)


def _is_gap(value: object) -> bool:
    return value is None or (isinstance(value, msgspec.Raw) and bytes(value) == _NO_CONTEXT)


def _noted(keys: Keys, kept: ContactRow, merged: ContactRow) -> tuple[bytes | None, Any]:
    mine = sealing.open_notes(keys, kept.id, kept.notes)
    theirs = sealing.open_notes(keys, merged.id, merged.notes)
    if theirs is None or mine == theirs:
        return kept.notes, "kept"
    if mine is None:
        return sealing.seal_notes(keys, kept.id, theirs), "filled"
    both = mine + _BETWEEN_NOTES + theirs
    if len(both) > NOTES_MAX_CHARS:
        return kept.notes, "kept"
    return sealing.seal_notes(keys, kept.id, both), "appended"


def _unnoted(keys: Keys, kept: ContactRow, merged: ContactRow, record: MergeRecord) -> bytes | None:
    if record.notes == "kept":
        return kept.notes
    now = sealing.open_notes(keys, kept.id, kept.notes)
    theirs = sealing.open_notes(keys, merged.id, merged.notes)
    if now is None or theirs is None:
        return kept.notes
    if record.notes == "filled":
        return None if now == theirs else kept.notes
    if not now.endswith(_BETWEEN_NOTES + theirs):
        return kept.notes
    return sealing.seal_notes(keys, kept.id, now.removesuffix(_BETWEEN_NOTES + theirs))
