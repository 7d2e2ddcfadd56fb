"""Closeness: circles, types of relationships, their health and its history."""

from migrations import scripts

revision = "20261121062200"
down_revision = "20261121062100"


def upgrade() -> None:
    scripts.upgrade("20261121062200_closeness")


def downgrade() -> None:
    scripts.downgrade("20261121062200_closeness")
