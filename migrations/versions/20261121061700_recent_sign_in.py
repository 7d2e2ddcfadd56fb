"""Recent sign-ins: when the person behind a sign-in session last proved who they are."""

from migrations import scripts

revision = "20261121061700"
down_revision = "20261121061600"


def upgrade() -> None:
    scripts.upgrade("20261121061700_recent_sign_in")


def downgrade() -> None:
    scripts.downgrade("20261121061700_recent_sign_in")
