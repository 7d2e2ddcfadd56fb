"""Claims of rings: a code, a challenge, and the keys that follow."""

from migrations import scripts

revision = "20261121060700"
down_revision = "20261121060600"


def upgrade() -> None:
    scripts.upgrade("20261121060700_ring_claims")


def downgrade() -> None:
    scripts.downgrade("20261121060700_ring_claims")
