"""API keys, and accounts of backends."""

from migrations import scripts

revision = "20261121061200"
down_revision = "20261121061050"


def upgrade() -> None:
    scripts.upgrade("20261121061200_api_keys")


def downgrade() -> None:
    scripts.downgrade("20261121061200_api_keys")
