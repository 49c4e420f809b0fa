"""How people sign in: sessions that say more, passkeys, code apps, recovery, history."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _reference(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"))


def _time(name: str, *, nullable: bool = False) -> "sa.Column[Any]":
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    """Add the tables."""
    # Sessions know more than those there were: everybody signs in once again.
    op.drop_table("sign_in_sessions")
    op.create_table(
        "sign_in_sessions",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("reference", sa.String(16), nullable=False),
        sa.Column("person_id", _ID, nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("strong", sa.Boolean(), nullable=False),
        sa.Column("browser", sa.String(40), nullable=False),
        sa.Column("place", sa.String(50), nullable=False),
        _time("created_at"),
        _time("confirmed_at"),
        _time("seen_at"),
        _time("expires_at"),
        _reference("sign_in_sessions", "person_id", "people"),
        _reference("sign_in_sessions", "organisation_id", "organisations"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sign_in_sessions")),
        sa.UniqueConstraint("reference", name=op.f("uq_sign_in_sessions_reference")),
    )
    op.create_index(op.f("ix_sign_in_sessions_person_id"), "sign_in_sessions", ["person_id"])
    op.create_index(op.f("ix_sign_in_sessions_expires_at"), "sign_in_sessions", ["expires_at"])
    op.create_table(
        "sign_in_steps",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", _ID, nullable=False),
        _time("expires_at"),
        _reference("sign_in_steps", "person_id", "people"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sign_in_steps")),
    )
    op.create_index(op.f("ix_sign_in_steps_expires_at"), "sign_in_steps", ["expires_at"])
    op.create_table(
        "passkey_challenges",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("person_id", _ID, nullable=True),
        _time("expires_at"),
        _reference("passkey_challenges", "person_id", "people"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_passkey_challenges")),
    )
    op.create_index(op.f("ix_passkey_challenges_expires_at"), "passkey_challenges", ["expires_at"])
    op.create_table(
        "passkeys",
        sa.Column("id", _ID, nullable=False),
        sa.Column("person_id", _ID, nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", _ID, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        _time("created_at"),
        _time("last_used_at", nullable=True),
        _reference("passkeys", "person_id", "people"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkeys_credential_id")),
    )
    op.create_index(op.f("ix_passkeys_person_id"), "passkeys", ["person_id"])
    op.create_table(
        "code_apps",
        sa.Column("person_id", _ID, autoincrement=False, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", _ID, nullable=False),
        _time("created_at"),
        _time("confirmed_at", nullable=True),
        _reference("code_apps", "person_id", "people"),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_code_apps")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", _ID, nullable=False),
        _reference("recovery_codes", "person_id", "people"),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_recovery_codes")),
    )
    op.create_index(op.f("ix_recovery_codes_person_id"), "recovery_codes", ["person_id"])
    op.create_table(
        "recovery_links",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", _ID, nullable=True),
        _time("expires_at"),
        _reference("recovery_links", "person_id", "people"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_recovery_links")),
    )
    op.create_index(op.f("ix_recovery_links_person_id"), "recovery_links", ["person_id"])
    op.create_index(op.f("ix_recovery_links_expires_at"), "recovery_links", ["expires_at"])
    op.create_table(
        "factor_resets",
        sa.Column("person_id", _ID, autoincrement=False, nullable=False),
        sa.Column("organisation_id", _ID, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("asked_by", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        _time("created_at"),
        _time("effective_at"),
        _reference("factor_resets", "person_id", "people"),
        _reference("factor_resets", "organisation_id", "organisations"),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_factor_resets")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_factor_resets_token_hash")),
    )
    op.create_table(
        "security_events",
        sa.Column("id", _ID, nullable=False),
        sa.Column("person_id", _ID, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("browser", sa.String(40), nullable=False),
        sa.Column("place", sa.String(50), nullable=False),
        _time("at"),
        _reference("security_events", "person_id", "people"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_events")),
    )
    op.create_index(op.f("ix_security_events_person_id"), "security_events", ["person_id"])
    op.create_index(op.f("ix_security_events_at"), "security_events", ["at"])


def downgrade() -> None:
    """The ledger only grows: going back means restoring a backup."""
    raise RuntimeError("this schema cannot be taken back; restore a backup instead")
