"""Secrets of scans that can be destroyed, redacted scans, daily salts, the root of derived secrets, finished rounds."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

GUARD = {
    "sqlite": [
        *(
            f"CREATE TRIGGER scan_redactions_no_{operation.lower()} BEFORE {operation} ON scan_redactions "
            f"BEGIN SELECT RAISE(ABORT, 'scan_redactions is append-only: {operation} refused'); END"
            for operation in ("UPDATE", "DELETE")
        ),
        # INSERT OR REPLACE removes the row in its way without firing its DELETE trigger.
        "CREATE TRIGGER scan_redactions_no_replace BEFORE INSERT ON scan_redactions "
        "WHEN EXISTS (SELECT 1 FROM scan_redactions WHERE number = NEW.number OR log_index = NEW.log_index) "
        "BEGIN SELECT RAISE(ABORT, 'scan_redactions is append-only: this row exists already'); END",
    ],
    "postgresql": [
        # The function comes with the ledger's own guards.
        "CREATE TRIGGER scan_redactions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON scan_redactions "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()"
    ],
}


def upgrade() -> None:
    """Add the tables; the secrets of commitments move out of a table of which nothing may ever be taken away."""
    op.create_table(
        "scan_secrets",
        sa.Column("context", sa.String(40), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("context", name=op.f("pk_scan_secrets")),
    )
    op.execute(
        "INSERT INTO scan_secrets (context, sealed_secret) "
        "SELECT 'scan commitment ' || number, sealed_secret FROM scan_commitments"
    )
    op.execute("ALTER TABLE scan_commitments DROP COLUMN sealed_secret")
    op.create_table(
        "scan_redactions",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_index", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("redacted_at", sa.BigInteger(), nullable=False),
        sa.Column("kept_days", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
        sa.Column("marks", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_scan_redactions")),
        sa.UniqueConstraint("log_index", name=op.f("uq_scan_redactions_log_index")),
    )
    for statement in GUARD[op.get_bind().dialect.name]:
        op.execute(statement)
    op.create_table(
        "daily_salts",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sealed_salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_daily_salts")),
    )
    op.create_table(
        "derivation_roots",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sealed_root", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_derivation_roots")),
    )
    op.create_table(
        "retention_rounds",
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task", name=op.f("pk_retention_rounds")),
    )


def downgrade() -> None:
    """The ledger only grows: going back means restoring a backup."""
    raise RuntimeError("this schema cannot be taken back; restore a backup instead")
