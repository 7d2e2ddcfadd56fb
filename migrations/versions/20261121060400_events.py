"""Events, the outbox, consumer tasks, the audit log."""

from migrations import scripts

revision = "20261121060400"
down_revision = "20261121060300"


def upgrade() -> None:
    scripts.upgrade("20261121060400_events")


def downgrade() -> None:
    scripts.downgrade("20261121060400_events")
