"""Interactions: every contact with a person, by time."""

from migrations import scripts

revision = "20261121062100"
down_revision = "20261121062000"


def upgrade() -> None:
    scripts.upgrade("20261121062100_interactions")


def downgrade() -> None:
    scripts.downgrade("20261121062100_interactions")
