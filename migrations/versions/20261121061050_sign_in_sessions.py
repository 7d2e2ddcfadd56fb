"""Sign-in sessions: names, generations of refresh tokens, why they ended."""

from migrations import scripts

revision = "20261121061050"
down_revision = "20261121061000"


def upgrade() -> None:
    scripts.upgrade("20261121061050_sign_in_sessions")


def downgrade() -> None:
    scripts.downgrade("20261121061050_sign_in_sessions")
