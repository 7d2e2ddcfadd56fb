"""Answers that are kept for repeated requests are sealed."""

from migrations import scripts

revision = "20261121062700"
down_revision = "20261121062600"


def upgrade() -> None:
    scripts.upgrade("20261121062700_sealed_answers")


def downgrade() -> None:
    scripts.downgrade("20261121062700_sealed_answers")
