"""What the API's mechanisms keep: versions of rows, quotas of tiers."""

from migrations import scripts

revision = "20261121061700"
down_revision = "20261121061600"


def upgrade() -> None:
    scripts.upgrade("20261121061700_api")


def downgrade() -> None:
    scripts.downgrade("20261121061700_api")
