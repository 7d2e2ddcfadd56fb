"""Conversations and messages."""

from migrations import scripts

revision = "20261121060300"
down_revision = "20261121060200"


def upgrade() -> None:
    scripts.upgrade("20261121060300_messaging")


def downgrade() -> None:
    scripts.downgrade("20261121060300_messaging")
