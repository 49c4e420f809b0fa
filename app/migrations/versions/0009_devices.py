"""devices."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables, and to each scan what its device signed."""
    op.add_column("scans", sa.Column("statement", sa.String(43)))
    op.create_table(
        "devices",
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("person_id", _ID, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("enrolled_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("last_contact_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.Column("revoked_from", sa.BigInteger()),
        sa.Column("revoked_by", sa.String(64)),
        sa.Column("revocation_reason", sa.Text()),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_devices_organisation_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_devices_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
        sa.UniqueConstraint("public_key", name=op.f("uq_devices_public_key")),
    )
    op.create_index(op.f("ix_devices_organisation_id"), "devices", ["organisation_id"])
    op.create_index(op.f("ix_devices_person_id"), "devices", ["person_id"])
    op.create_table(
        "device_codes",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("person_id", _ID, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_device_codes_organisation_id")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_device_codes_person_id")),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_device_codes")),
    )
    op.create_index(op.f("ix_device_codes_expires_at"), "device_codes", ["expires_at"])
    op.create_table(
        "device_statements",
        sa.Column("device_id", sa.String(12), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(43), nullable=False),
        sa.Column("standing", sa.String(16), nullable=False),
        sa.Column("scanned_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("statement", sa.Text()),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_device_statements_device_id")),
        sa.PrimaryKeyConstraint("device_id", "seq", name=op.f("pk_device_statements")),
        sa.UniqueConstraint("digest", name=op.f("uq_device_statements_digest")),
    )
    op.create_index(op.f("ix_device_statements_received_at"), "device_statements", ["received_at"])
    op.create_table(
        "device_conflicts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("device_id", sa.String(12), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(43), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("statement", sa.Text()),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_device_conflicts_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_conflicts")),
        sa.UniqueConstraint("digest", name=op.f("uq_device_conflicts_digest")),
    )
    op.create_index(op.f("ix_device_conflicts_device_id"), "device_conflicts", ["device_id"])
    op.create_table(
        "device_rules",
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_device_rules_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_device_rules")),
    )


def downgrade() -> None:
    """The ledger only grows: going back means restoring a backup."""
    raise RuntimeError("this schema cannot be taken back; restore a backup instead")
