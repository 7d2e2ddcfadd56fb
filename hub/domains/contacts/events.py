"""Payloads of events about contacts; written by migrations/objects/events.sql.

Who the contact is, and nothing of how they are reached: that is read over REST.
"""

from uuid import UUID

import msgspec

from hub.domains.contacts.schemas import Source


class ContactCreated(msgspec.Struct, frozen=True, tag="contact.created"):
    """A contact was added, by hand or by an import."""

    contact_id: UUID
    full_name: str
    company: str | None
    job_title: str | None
    tags: list[str]
    source: Source


class ContactUpdated(msgspec.Struct, frozen=True, tag="contact.updated"):
    """Fields, tags or addresses of a contact changed."""

    contact_id: UUID
    full_name: str
    company: str | None
    job_title: str | None
    tags: list[str]


class ContactJobChanged(msgspec.Struct, frozen=True, tag="contact.job_changed"):
    """A contact whose work was known works elsewhere, or as something else."""

    contact_id: UUID
    full_name: str
    former_company: str | None
    former_job_title: str | None
    company: str | None
    job_title: str | None


class ContactArchived(msgspec.Struct, frozen=True, tag="contact.archived"):
    """A contact left the lists."""

    contact_id: UUID


class ContactRestored(msgspec.Struct, frozen=True, tag="contact.restored"):
    """An archived contact is back in the lists."""

    contact_id: UUID


class ContactMerged(msgspec.Struct, frozen=True, tag="contact.merged"):
    """Two contacts were one person: `kept_id` has now what `merged_id` had."""

    merge_id: UUID
    kept_id: UUID
    merged_id: UUID


class ContactUnmerged(msgspec.Struct, frozen=True, tag="contact.unmerged"):
    """A merge was undone: `merged_id` is a contact of its own again."""

    merge_id: UUID
    kept_id: UUID
    merged_id: UUID
