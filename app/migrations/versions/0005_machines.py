"""OAuth clients, access tokens, client certificates, used token identifiers, days of use."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _granted() -> "list[sa.Column[Any]]":
    return [
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=True),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
    ]


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "oauth_clients",
        sa.Column("id", _ID, nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=True),
        sa.Column("public_jwk", sa.Text(), nullable=True),
        *_granted(),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_oauth_clients_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_clients")),
        sa.UniqueConstraint("client_id", name=op.f("uq_oauth_clients_client_id")),
    )
    op.create_index(op.f("ix_oauth_clients_organisation_id"), "oauth_clients", ["organisation_id"])
    op.create_table(
        "access_tokens",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_access_tokens")),
    )
    op.create_index(op.f("ix_access_tokens_client_id"), "access_tokens", ["client_id"])
    op.create_index(op.f("ix_access_tokens_expires_at"), "access_tokens", ["expires_at"])
    op.create_table(
        "client_certificates",
        sa.Column("id", _ID, nullable=False),
        sa.Column("thumbprint", sa.LargeBinary(), nullable=False),
        *_granted(),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_client_certificates_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_certificates")),
        sa.UniqueConstraint("thumbprint", name=op.f("uq_client_certificates_thumbprint")),
    )
    op.create_index(op.f("ix_client_certificates_organisation_id"), "client_certificates", ["organisation_id"])
    op.create_table(
        "machine_uses",
        sa.Column("machine", sa.String(64), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("machine", name=op.f("pk_machine_uses")),
    )
    op.create_table(
        "token_ids",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_token_ids")),
    )
    op.create_index(op.f("ix_token_ids_expires_at"), "token_ids", ["expires_at"])


def downgrade() -> None:
    """The ledger only grows: going back means restoring a backup."""
    raise RuntimeError("this schema cannot be taken back; restore a backup instead")
