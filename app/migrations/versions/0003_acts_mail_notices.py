"""Administrative acts, outgoing mail, notices."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "administrative_acts",
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("act", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_administrative_acts_organisation_id")
        ),
        sa.PrimaryKeyConstraint("log_index", name=op.f("pk_administrative_acts")),
    )
    op.create_index(op.f("ix_administrative_acts_organisation_id"), "administrative_acts", ["organisation_id"])
    op.create_table(
        "outgoing_mail",
        sa.Column("id", _ID, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outgoing_mail")),
    )
    op.create_index(op.f("ix_outgoing_mail_next_attempt_at"), "outgoing_mail", ["next_attempt_at"])
    op.create_table(
        "notices",
        sa.Column("id", _ID, nullable=False),
        sa.Column("organisation_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index(op.f("ix_notices_organisation_id"), "notices", ["organisation_id"])
    op.create_index(op.f("ix_notices_created_at"), "notices", ["created_at"])


def downgrade() -> None:
    """The ledger only grows: going back means restoring a backup."""
    raise RuntimeError("this schema cannot be taken back; restore a backup instead")
