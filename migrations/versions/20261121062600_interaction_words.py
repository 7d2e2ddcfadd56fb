"""Words of interactions: one small sigma, and no hyphens that nobody sees."""

from migrations import scripts

revision = "20261121062600"
down_revision = "20261121062500"


def upgrade() -> None:
    scripts.upgrade("20261121062600_interaction_words")


def downgrade() -> None:
    scripts.downgrade("20261121062600_interaction_words")
