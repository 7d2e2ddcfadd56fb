"""Sessions, reported configuration and health of gateways."""

from migrations import scripts

revision = "20261121060500"
down_revision = "20261121060400"


def upgrade() -> None:
    scripts.upgrade("20261121060500_gateway_reports")


def downgrade() -> None:
    scripts.downgrade("20261121060500_gateway_reports")
