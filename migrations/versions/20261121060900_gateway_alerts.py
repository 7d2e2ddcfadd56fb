"""Alerts of gateways, and reads of NFC readers."""

from migrations import scripts

revision = "20261121060900"
down_revision = "20261121060800"


def upgrade() -> None:
    scripts.upgrade("20261121060900_gateway_alerts")


def downgrade() -> None:
    scripts.downgrade("20261121060900_gateway_alerts")
