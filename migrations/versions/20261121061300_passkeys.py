"""Passkeys: credentials people sign in with at the hub itself."""

from migrations import scripts

revision = "20261121061300"
down_revision = "20261121061100"


def upgrade() -> None:
    scripts.upgrade("20261121061300_passkeys")


def downgrade() -> None:
    scripts.downgrade("20261121061300_passkeys")
