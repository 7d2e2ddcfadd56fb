"""Goals, paths to people, reminders, insights, achievements."""

from migrations import scripts

revision = "20261121062300"
down_revision = "20261121062200"


def upgrade() -> None:
    scripts.upgrade("20261121062300_goals")


def downgrade() -> None:
    scripts.downgrade("20261121062300_goals")
