"""Limits for each lot, and jobs that wait for a second person."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("issuing_rights", sa.Column("lot_quota", sa.BigInteger(), nullable=True))
    op.create_index("ix_batches_product_id_lot", "batches", ["product_id", "lot"])
    op.add_column("jobs", sa.Column("asked_by_person", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("waits_until", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("decided_by", sa.String(64), nullable=True))
    op.add_column("jobs", sa.Column("decided_at", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("decision_reason", sa.Text(), nullable=True))


def downgrade() -> None:
    """The ledger only grows: going back means restoring a backup."""
    raise RuntimeError("this schema cannot be taken back; restore a backup instead")
