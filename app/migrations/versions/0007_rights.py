"""rights."""

import sqlalchemy as sa  # noqa: F401
from alembic import op  # noqa: F401

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """The ledger only grows: going back means restoring a backup."""
    raise RuntimeError("this schema cannot be taken back; restore a backup instead")
