"""Consents: what people let their data be used for."""

from migrations import scripts

revision = "20261121061500"
down_revision = "20261121061400"


def upgrade() -> None:
    scripts.upgrade("20261121061500_consents")


def downgrade() -> None:
    scripts.downgrade("20261121061500_consents")
