"""Keys that a firm holds, and what they have signed."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns and tables; keys of before are held by the service, and revoked where their entries stand."""
    with op.batch_alter_table("organisation_keys") as keys:
        keys.add_column(sa.Column("holder", sa.String(16), nullable=False, server_default="service"))
        keys.add_column(sa.Column("revoked_from", sa.BigInteger(), nullable=True))
        keys.alter_column("sealed_private_key", existing_type=sa.LargeBinary(), nullable=True)
    with op.batch_alter_table("organisation_keys") as keys:
        keys.alter_column("holder", existing_type=sa.String(16), existing_nullable=False, server_default=None)
    op.execute("UPDATE organisation_keys SET revoked_from = revoked_index")
    op.create_table(
        "key_registrations",
        sa.Column("key_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_key_registrations_organisation_id")
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_key_registrations")),
    )
    op.create_index(op.f("ix_key_registrations_organisation_id"), "key_registrations", ["organisation_id"])
    op.create_table(
        "unit_signatures",
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chunk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "chunk", name=op.f("pk_unit_signatures")),
    )
    op.create_table(
        "batch_signings",
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("signatures_hash", sa.LargeBinary(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_batch_signings")),
    )


def downgrade() -> None:
    """The ledger only grows: going back means restoring a backup."""
    raise RuntimeError("this schema cannot be taken back; restore a backup instead")
