"""Logins at identity providers."""

from migrations import scripts

revision = "20261121061000"
down_revision = "20261121060900"


def upgrade() -> None:
    scripts.upgrade("20261121061000_logins")


def downgrade() -> None:
    scripts.downgrade("20261121061000_logins")
