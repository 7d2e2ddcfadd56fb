"""Payload of the event of consents, by which the slices take back what they did with one."""

from datetime import datetime

from msgspec import Struct

from hub.domains.consents.schemas import Purpose


class ConsentWithdrawn(Struct, frozen=True, kw_only=True, tag="consent.withdrawn"):
    """A user no longer lets their data be used for a purpose; nothing may use it from now on."""

    purpose: Purpose
    withdrawn_at: datetime
