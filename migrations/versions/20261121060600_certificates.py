"""Certificates of gateways, and the codes by which they get their first one."""

from migrations import scripts

revision = "20261121060600"
down_revision = "20261121060500"


def upgrade() -> None:
    scripts.upgrade("20261121060600_certificates")


def downgrade() -> None:
    scripts.downgrade("20261121060600_certificates")
