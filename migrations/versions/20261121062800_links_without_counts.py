"""Links of contacts keep no counts."""

from migrations import scripts

revision = "20261121062800"
down_revision = "20261121062700"


def upgrade() -> None:
    scripts.upgrade("20261121062800_links_without_counts")


def downgrade() -> None:
    scripts.downgrade("20261121062800_links_without_counts")
