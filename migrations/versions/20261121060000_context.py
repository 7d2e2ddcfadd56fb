"""Schemas and the transaction's context."""

from migrations import scripts

revision = "20261121060000"
down_revision = None


def upgrade() -> None:
    scripts.upgrade("20261121060000_context")


def downgrade() -> None:
    scripts.downgrade("20261121060000_context")
