"""Data keys: what fields are sealed with, wrapped by key-encryption keys."""

from migrations import scripts

revision = "20261121061100"
down_revision = "20261121061200"


def upgrade() -> None:
    scripts.upgrade("20261121061100_data_keys")


def downgrade() -> None:
    scripts.downgrade("20261121061100_data_keys")
