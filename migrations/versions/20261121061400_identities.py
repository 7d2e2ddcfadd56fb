"""Identities: hashed addresses by which contacts find users."""

from migrations import scripts

revision = "20261121061400"
down_revision = "20261121061300"


def upgrade() -> None:
    scripts.upgrade("20261121061400_identities")


def downgrade() -> None:
    scripts.downgrade("20261121061400_identities")
