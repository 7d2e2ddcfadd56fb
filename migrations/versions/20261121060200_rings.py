"""Rings, gateways, taps."""

from migrations import scripts

revision = "20261121060200"
down_revision = "20261121060100"


def upgrade() -> None:
    scripts.upgrade("20261121060200_rings")


def downgrade() -> None:
    scripts.downgrade("20261121060200_rings")
