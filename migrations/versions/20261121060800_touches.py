"""Two rings that touched: contact cards, exchanges, friendships."""

from migrations import scripts

revision = "20261121060800"
down_revision = "20261121060700"


def upgrade() -> None:
    scripts.upgrade("20261121060800_touches")


def downgrade() -> None:
    scripts.downgrade("20261121060800_touches")
