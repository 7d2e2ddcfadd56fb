"""Feature flags: who already gets what."""

from migrations import scripts

revision = "20261121061600"
down_revision = "20261121061500"


def upgrade() -> None:
    scripts.upgrade("20261121061600_feature_flags")


def downgrade() -> None:
    scripts.downgrade("20261121061600_feature_flags")
