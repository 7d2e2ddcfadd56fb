"""Imports: jobs, their rows, and what undoes them."""

from migrations import scripts

revision = "20261121062400"
down_revision = "20261121062300"


def upgrade() -> None:
    scripts.upgrade("20261121062400_imports")


def downgrade() -> None:
    scripts.downgrade("20261121062400_imports")
