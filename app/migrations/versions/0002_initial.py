"""Initial schema.

Revision: 0002. Databases of revision 0001 hold leaves of version 1; no release was made with those, and a leaf cannot be
rewritten.
"""

import sqlalchemy as sa
from alembic import op

from ledger.storage.tables import append_only_ddl, pin_search_path

revision = "0002"
down_revision = None
branch_labels = None
depends_on = None

FACTS = ("events", "event_units", "scan_commitments")
"""Tables of facts that only grow, besides the ledger's own."""
ERASES = " AND ".join(
    [
        "NEW.body = ''",
        "OLD.body <> ''",
        *(
            f"NEW.{column} {{same}} OLD.{column}"
            for column in (
                *("id", "event_id", "kind", "organisation_id", "actor", "batch_id"),
                *("event_time", "record_time", "undoes", "log_index"),
            )
        ),
        'EXISTS (SELECT 1 FROM ledger_erasures WHERE "index" = OLD.log_index)',
    ]
)
"""The one change of an event that the guards let pass: its body goes where the ledger's copy of it was erased."""
FACTS_GUARD = {
    "sqlite": [
        f"CREATE TRIGGER {table}_no_{operation.lower()} BEFORE {operation} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {operation} refused'); END"
        for table in FACTS
        for operation in ("UPDATE", "DELETE")
        if (table, operation) != ("events", "UPDATE")
    ]
    + [
        f"CREATE TRIGGER events_no_update BEFORE UPDATE ON events WHEN NOT ({ERASES.format(same='IS')}) "
        "BEGIN SELECT RAISE(ABORT, 'events is append-only: UPDATE refused'); END"
    ]
    + [
        # INSERT OR REPLACE removes the row in its way without firing its DELETE trigger.
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: this row exists already'); END"
        for table, same in {
            "events": "id = NEW.id OR event_id = NEW.event_id OR undoes = NEW.undoes OR log_index = NEW.log_index",
            "event_units": "unit_id = NEW.unit_id AND event = NEW.event",
            "scan_commitments": "number = NEW.number OR log_index = NEW.log_index",
        }.items()
    ],
    "postgresql": [
        # The function comes with the ledger's own guards.
        f"CREATE TRIGGER {table}_append_only BEFORE {operations} ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()"
        for table, operations in (
            dict.fromkeys(FACTS, "UPDATE OR DELETE OR TRUNCATE") | {"events": "DELETE OR TRUNCATE"}
        ).items()
    ]
    + [
        "CREATE FUNCTION events_only_erase() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NOT ({ERASES.format(same='IS NOT DISTINCT FROM')}) THEN "
        "RAISE EXCEPTION 'events is append-only: UPDATE refused' USING ERRCODE = 'restrict_violation'; "
        "END IF; RETURN NEW; END $$",
        pin_search_path("events_only_erase"),
        "CREATE TRIGGER events_only_erase BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION events_only_erase()",
    ],
}
CASES = {
    "id": 1,
    "kind": "case",
    "identifier": "",
    "name": "SSCC",
    "brand": "",
    "description": "",
    "sector": "",
    "created_at": 0,
}


def upgrade() -> None:
    """Make every table, the guards of what may only grow, and the one product that stands for cases."""
    op.create_table(
        "attempts",
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("window_ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_attempts")),
    )
    op.create_table(
        "batch_states",
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("statuses", sa.String(length=120), nullable=False),
        sa.Column("detained_by", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_batch_states")),
    )
    op.create_table(
        "batch_tiles",
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("tile_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "level", "tile_index", name=op.f("pk_batch_tiles")),
    )
    op.create_table(
        "event_units",
        sa.Column("unit_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("unit_id", "event", name=op.f("pk_event_units")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("event_units", schema=None) as batch_op:
        batch_op.create_index("ix_event_units_event", ["event"], unique=False)

    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("organisation_id", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=True),
        sa.Column("event_time", sa.BigInteger(), nullable=False),
        sa.Column("record_time", sa.BigInteger(), nullable=False),
        sa.Column("undoes", sa.String(length=128), nullable=True),
        sa.Column("log_index", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("event_id", name=op.f("uq_events_event_id")),
        sa.UniqueConstraint("log_index", name=op.f("uq_events_log_index")),
        sa.UniqueConstraint("undoes", name=op.f("uq_events_undoes")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_events_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("organisation_id", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("idempotency_key", sa.String(length=128), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("payload_digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint(
            "organisation_id", "kind", "idempotency_key", name=op.f("uq_jobs_organisation_id_kind_idempotency_key")
        ),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_state"), ["state"], unique=False)

    op.create_table(
        "organisations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("issuer", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.Column("log_index", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisations")),
        sa.UniqueConstraint("issuer", name=op.f("uq_organisations_issuer")),
    )
    with op.batch_alter_table("organisations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_organisations_status"), ["status"], unique=False)

    op.create_table(
        "people",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("locale", sa.String(length=2), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("email", name=op.f("uq_people_email")),
    )
    op.create_table(
        "products",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("identifier", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("brand", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("sector", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("kind", "identifier", name=op.f("uq_products_kind_identifier")),
    )
    with op.batch_alter_table("products", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_products_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "scans",
        sa.Column("unit_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("scan_key", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("scanned_at", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("organisation_id", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("latitude", sa.Integer(), nullable=True),
        sa.Column("longitude", sa.Integer(), nullable=True),
        sa.Column("accuracy", sa.Integer(), nullable=True),
        sa.Column("place_source", sa.String(length=8), nullable=False),
        sa.Column("offline", sa.Boolean(), nullable=False),
        sa.Column("operator_saw", sa.String(length=64), nullable=True),
        sa.Column("signature", sa.String(length=8), nullable=False),
        sa.Column("code_digest", sa.LargeBinary(), nullable=False),
        sa.Column("arrival", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.PrimaryKeyConstraint("unit_id", "device", "scan_key", name=op.f("pk_scans")),
    )
    with op.batch_alter_table("scans", schema=None) as batch_op:
        batch_op.create_index(
            "ix_scans_arrival",
            ["arrival"],
            unique=False,
            postgresql_using="brin",
            postgresql_with={"autosummarize": "on"},
        )

    op.create_table(
        "scan_commitments",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_index", sa.BigInteger(), nullable=False),
        sa.Column("committed_at", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("upto", sa.Text(), nullable=False),
        sa.Column("marks", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_scan_commitments")),
        sa.UniqueConstraint("log_index", name=op.f("uq_scan_commitments_log_index")),
    )
    op.create_table(
        "serial_files",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "part", name=op.f("pk_serial_files")),
    )
    op.create_table(
        "service_keys",
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_private_key", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("signs_from", sa.BigInteger(), nullable=False),
        sa.Column("signs_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_service_keys")),
        sa.UniqueConstraint("purpose", "number", name=op.f("uq_service_keys_purpose_number")),
    )
    op.create_table(
        "unit_states",
        sa.Column("unit_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("statuses", sa.String(length=120), nullable=False),
        sa.Column("sales", sa.Integer(), nullable=False),
        sa.Column("first_sold_at", sa.BigInteger(), nullable=True),
        sa.Column("first_sold_by", sa.BigInteger(), nullable=True),
        sa.Column("detained_by", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("unit_id", name=op.f("pk_unit_states")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "units",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "serial",
            sa.String(length=20).with_variant(sa.String(length=20, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("unit_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("product_id", "serial", name=op.f("pk_units")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("prefix", sa.String(length=12), nullable=False),
        sa.Column("organisation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=True),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_api_keys_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
    )
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_keys_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "batches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("handle", sa.String(length=5), nullable=False),
        sa.Column("product_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("organisation_id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.String(length=16), nullable=False),
        sa.Column("profile", sa.String(length=8), nullable=False),
        sa.Column("lot", sa.String(length=20), nullable=True),
        sa.Column("expiry", sa.String(length=6), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("generated", sa.Boolean(), nullable=False),
        sa.Column("key_id", sa.BigInteger(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column(
            "first_serial",
            sa.String(length=20).with_variant(sa.String(length=20, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "last_serial",
            sa.String(length=20).with_variant(sa.String(length=20, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("root", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=True),
        sa.Column("log_index", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_batches_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint("handle", name=op.f("uq_batches_handle")),
        sa.UniqueConstraint("job_id", "part", name=op.f("uq_batches_job_id_part")),
    )
    with op.batch_alter_table("batches", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_batches_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_batches_product_id"), ["product_id"], unique=False)
        batch_op.create_index(
            "ix_batches_unpublished",
            ["job_id"],
            unique=False,
            sqlite_where=sa.text("log_index IS NULL"),
            postgresql_where=sa.text("log_index IS NULL"),
        )

    op.create_table(
        "issuing_rights",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reference", sa.String(length=10), nullable=False),
        sa.Column("organisation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=14), nullable=False),
        sa.Column("granted_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("quota", sa.BigInteger(), nullable=True),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.Column("log_index", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["granted_by"], ["organisations.id"], name=op.f("fk_issuing_rights_granted_by")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_issuing_rights_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issuing_rights")),
        sa.UniqueConstraint("reference", name=op.f("uq_issuing_rights_reference")),
    )
    with op.batch_alter_table("issuing_rights", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_issuing_rights_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_issuing_rights_value"), ["value"], unique=False)

    op.create_table(
        "memberships",
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("organisation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_memberships_organisation_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_memberships_person_id")),
        sa.PrimaryKeyConstraint("person_id", "organisation_id", name=op.f("pk_memberships")),
    )
    op.create_table(
        "organisation_keys",
        sa.Column("key_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_private_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.Column("registered_index", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_index", sa.BigInteger(), nullable=True),
        sa.Column("revocation_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_organisation_keys_organisation_id")
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_organisation_keys")),
        sa.UniqueConstraint("public_key", name=op.f("uq_organisation_keys_public_key")),
    )
    with op.batch_alter_table("organisation_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_organisation_keys_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "sign_in_sessions",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("organisation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_sign_in_sessions_organisation_id")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_sign_in_sessions_person_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sign_in_sessions")),
    )
    op.create_table(
        "ledger_alarms",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="counted from 1",
        ),
        sa.Column(
            "time",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="milliseconds since 1970",
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False, comment="a sentence for people"),
        sa.Column("evidence", sa.Text(), nullable=False, comment="such as the signed note that contradicts this log"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_audits",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="counted from 1",
        ),
        sa.Column(
            "time",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="milliseconds since 1970",
        ),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column(
            "size",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="entries of the log when it was audited",
        ),
        sa.Column(
            "ok",
            sa.SmallInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="1 when no fault was found",
        ),
        sa.Column("report", sa.Text(), nullable=False, comment="JSON of ledger.audit.report.AuditReport"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_checkpoints",
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False, comment="the signed note, as published"),
        sa.Column(
            "time",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="milliseconds since 1970",
        ),
        sa.PrimaryKeyConstraint("size"),
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_cosignatures",
        sa.Column(
            "size",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="of the published checkpoint",
        ),
        sa.Column(
            "key_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="of the witness's key",
        ),
        sa.Column(
            "line", sa.Text(), nullable=False, comment="signature line of the note, verified before it was stored"
        ),
        sa.Column(
            "time",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="milliseconds since 1970",
        ),
        sa.PrimaryKeyConstraint("size", "key_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_entries",
        sa.Column(
            "index",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="position in the log, from 0",
        ),
        sa.Column(
            "statement_key",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="first 8 bytes of SHA-256(statement), signed big endian",
        ),
        sa.Column("salt", sa.LargeBinary(), nullable=True, comment="32 random bytes; NULL when the body was erased"),
        sa.Column(
            "body", sa.LargeBinary(), nullable=False, comment="JSON of ledger.leaf.Body; erased: commitment || tags"
        ),
        sa.CheckConstraint('"index" >= 0', name="ledger_entries_index"),
        sa.CheckConstraint("length(salt) = 32", name="ledger_entries_salt"),
        sa.PrimaryKeyConstraint("index"),
        sqlite_strict=True,
    )
    with op.batch_alter_table("ledger_entries", schema=None) as batch_op:
        batch_op.create_index("ledger_entries_statement", ["statement_key"], unique=False)

    op.create_table(
        "ledger_erasures",
        sa.Column(
            "index",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="the entry whose body was erased",
        ),
        sa.Column(
            "erased_by",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="the entry that says so",
        ),
        sa.CheckConstraint('erased_by > "index"', name="ledger_erasures_order"),
        sa.ForeignKeyConstraint(
            ["erased_by"],
            ["ledger_entries.index"],
            name="ledger_erasures_said",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("index"),
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_freezes",
        sa.Column(
            "entry",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="the last entry of the log",
        ),
        sa.Column(
            "time",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="milliseconds since 1970",
        ),
        sa.PrimaryKeyConstraint("entry"),
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_heads",
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("prev_size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column(
            "time",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="milliseconds since 1970",
        ),
        sa.CheckConstraint("length(root) = 32", name="ledger_heads_root"),
        sa.CheckConstraint("size > prev_size AND prev_size >= 0", name="ledger_heads_order"),
        sa.PrimaryKeyConstraint("size"),
        sa.UniqueConstraint("prev_size"),
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_map_heads",
        sa.Column(
            "size",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
            comment="entries whose tags the map holds",
        ),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column(
            "entry",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="the entry that states this head",
        ),
        sa.Column(
            "time",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="milliseconds since 1970",
        ),
        sa.CheckConstraint("entry >= size", name="ledger_map_heads_entry"),
        sa.CheckConstraint("length(root) = 32", name="ledger_map_heads_root"),
        sa.PrimaryKeyConstraint("size"),
        sa.UniqueConstraint("entry"),
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_map_tiles",
        sa.Column("level", sa.SmallInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False, comment="16 hashes of 32 bytes"),
        sa.CheckConstraint("length(data) = 512", name="ledger_map_tiles_data"),
        sa.PrimaryKeyConstraint("level", "index"),
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_tags",
        sa.Column("tag", sa.LargeBinary(), nullable=False, comment="16 bytes, ledger.leaf.subject_tag"),
        sa.Column(
            "index",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="the entry that bears it",
        ),
        sa.CheckConstraint("length(tag) = 16", name="ledger_tags_tag"),
        sa.PrimaryKeyConstraint("tag"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_tiles",
        sa.Column("level", sa.SmallInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column(
            "data", sa.LargeBinary(), nullable=False, comment="256 hashes of 32 bytes; only full tiles are stored"
        ),
        sa.CheckConstraint("length(data) = 8192", name="ledger_tiles_data"),
        sa.PrimaryKeyConstraint("level", "index"),
        sqlite_strict=True,
    )

    dialect = op.get_bind().dialect.name
    for statement in append_only_ddl(dialect) + FACTS_GUARD[dialect]:
        op.execute(statement)
    products = sa.table("products", *(sa.column(name) for name in CASES))
    op.execute(products.insert().values(CASES))
    if dialect == "postgresql":
        op.execute("SELECT setval(pg_get_serial_sequence('products', 'id'), 1)")
        # Tile hashes look random: trying to compress them is work for nothing.
        op.execute("ALTER TABLE batch_tiles ALTER COLUMN data SET STORAGE EXTERNAL")


def downgrade() -> None:
    """The ledger only grows: going back means restoring a backup."""
    raise RuntimeError("the first schema cannot be taken back; restore a backup instead")
