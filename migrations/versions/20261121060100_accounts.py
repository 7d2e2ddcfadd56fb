"""Users, sign-in sessions, profiles, idempotency keys."""

from migrations import scripts

revision = "20261121060100"
down_revision = "20261121060000"


def upgrade() -> None:
    scripts.upgrade("20261121060100_accounts")


def downgrade() -> None:
    scripts.downgrade("20261121060100_accounts")
