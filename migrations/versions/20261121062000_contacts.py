"""Contacts: the address book, its addresses, interests and links."""

from migrations import scripts

revision = "20261121062000"
down_revision = "20261121061700"


def upgrade() -> None:
    scripts.upgrade("20261121062000_contacts")


def downgrade() -> None:
    scripts.downgrade("20261121062000_contacts")
