"""Jurisdictions, sealed applications, invitations, documents of evidence."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables and columns."""
    op.add_column("organisations", sa.Column("jurisdiction", sa.Text(), nullable=True))
    op.add_column("issuing_rights", sa.Column("evidence_sha256", sa.String(64), nullable=True))
    op.create_table(
        "applications",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_applications")),
    )
    op.create_index(op.f("ix_applications_expires_at"), "applications", ["expires_at"])
    op.create_table(
        "invitations",
        sa.Column("reference", sa.String(10), nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("locale", sa.String(2), nullable=False),
        sa.Column("invited_by", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_invitations_organisation_id")),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_invitations")),
        sa.UniqueConstraint("organisation_id", "email", name=op.f("uq_invitations_organisation_id_email")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    op.create_index(op.f("ix_invitations_expires_at"), "invitations", ["expires_at"])
    op.create_table(
        "evidence_documents",
        sa.Column("right_id", _ID, autoincrement=False, nullable=False),
        sa.Column("media_type", sa.String(40), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("handed_in_by", sa.String(64), nullable=False),
        sa.Column("handed_in_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["right_id"], ["issuing_rights.id"], name=op.f("fk_evidence_documents_right_id")),
        sa.PrimaryKeyConstraint("right_id", name=op.f("pk_evidence_documents")),
    )


def downgrade() -> None:
    """The ledger only grows: going back means restoring a backup."""
    raise RuntimeError("this schema cannot be taken back; restore a backup instead")
