"""Which goal an insight serves."""

from migrations import scripts

revision = "20261121062500"
down_revision = "20261121062400"


def upgrade() -> None:
    scripts.upgrade("20261121062500_insight_goals")


def downgrade() -> None:
    scripts.downgrade("20261121062500_insight_goals")
