"""${message}."""

from migrations import scripts

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
NAME = "${up_revision}_${slug if slug is not UNDEFINED else 'name'}"


def upgrade() -> None:
    scripts.upgrade(NAME)


def downgrade() -> None:
    scripts.downgrade(NAME)
