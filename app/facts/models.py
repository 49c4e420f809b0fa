"""Tables of facts and of the projections made from them; other features go through `service`.

`unit_id` and `batch_id` are plain numbers here: what they stand for is the registry's business.
"""

from sqlalchemy import BigInteger, Boolean, Column, Identity, Index, Integer, String, Table, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Base, BigId, Bytes, Milliseconds


class EventRow(Base):
    """Something changed: an EPCIS 2.0 event, signed by its actor, on the ledger at `log_index`. Insert-only."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    event_id: Mapped[str] = mapped_column(String(128), unique=True)
    kind: Mapped[str] = mapped_column(String(32))
    organisation_id: Mapped[int] = mapped_column(BigInteger, index=True)
    actor: Mapped[str] = mapped_column(String(64))
    batch_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    event_time: Mapped[int] = mapped_column(Milliseconds)
    record_time: Mapped[int] = mapped_column(Milliseconds)
    undoes: Mapped[str | None] = mapped_column(String(128), unique=True)
    log_index: Mapped[int] = mapped_column(BigInteger, unique=True)
    body: Mapped[str] = mapped_column(Text)
    """JSON; empty when the body of the entry at `log_index` was erased, and this copy with it."""


event_units = Table(
    "event_units",
    Base.metadata,
    Column("unit_id", BigInteger, primary_key=True, autoincrement=False),
    Column("event", BigInteger, primary_key=True, autoincrement=False),
    Index("ix_event_units_event", "event"),
    sqlite_with_rowid=False,
)
"""Which units an event names; an event that names none speaks for its whole batch."""

unit_states = Table(
    "unit_states",
    Base.metadata,
    Column("unit_id", BigInteger, primary_key=True, autoincrement=False),
    Column("statuses", String(120), nullable=False),
    Column("sales", Integer, nullable=False),
    Column("first_sold_at", BigInteger),
    Column("first_sold_by", BigInteger),
    Column("detained_by", BigInteger),
    Column("changed_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Projection: state of each unit that has events of its own."""

batch_states = Table(
    "batch_states",
    Base.metadata,
    Column("batch_id", BigInteger, primary_key=True, autoincrement=False),
    Column("statuses", String(120), nullable=False),
    Column("detained_by", BigInteger),
    Column("changed_at", BigInteger, nullable=False),
)
"""Projection: state that events give to whole batches."""

scans = Table(
    "scans",
    Base.metadata,
    Column("unit_id", BigInteger, primary_key=True, autoincrement=False),
    Column("device", String(64), primary_key=True),
    Column("scan_key", String(64), primary_key=True),
    Column("received_at", BigInteger, nullable=False),
    Column("scanned_at", BigInteger, nullable=False),
    Column("role", String(32), nullable=False),
    Column("organisation_id", BigInteger),
    Column("action", String(16), nullable=False),
    Column("latitude", Integer),
    Column("longitude", Integer),
    Column("accuracy", Integer),
    Column("place_source", String(8), nullable=False),
    Column("offline", Boolean, nullable=False),
    Column("operator_saw", String(64)),
    Column("signature", String(8), nullable=False),
    Column("code_digest", Bytes, nullable=False),
    Column("statement", String(43)),
    Column("arrival", BigInteger, Identity(), nullable=False),
    # A summary of each range of pages: scans lie there in the order of their arrival, so recording one costs nothing.
    Index("ix_scans_arrival", "arrival", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
)
"""Observations, on PostgreSQL. With SQLite this table stays empty: scans lie in files of their own, so that recording
one never waits for the ledger's writer (docs/decisions/0003-scan-storage.md)."""


scan_commitments = Table(
    "scan_commitments",
    Base.metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("log_index", BigInteger, nullable=False, unique=True),
    Column("committed_at", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("root", Bytes, nullable=False),
    Column("upto", Text, nullable=False),
    Column("marks", Bytes, nullable=False),
)
"""What the ledger says of scans: each row is one entry, which commits to the scans that came in since the row before.

number: counted from 1. root: of the tree over `size` scans, salted with a secret. upto: JSON, for each part of the
store the arrival up to which scans are committed to. marks: for each scan of the tree its number (8 bytes) and the
first 8 bytes of its leaf hash, so that an audit names the very scan that was changed or taken away. Insert-only.
"""

scan_secrets = Table(
    "scan_secrets",
    Base.metadata,
    Column("context", String(40), primary_key=True),
    Column("sealed_secret", Bytes, nullable=False),
)
"""The secret of each tree over scans, under the context it is sealed for. Apart from the trees, so that it can be
destroyed: with it, whoever guesses what a redacted scan said could confirm the guess."""

scan_redactions = Table(
    "scan_redactions",
    Base.metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("log_index", BigInteger, nullable=False, unique=True),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("redacted_at", BigInteger, nullable=False),
    Column("kept_days", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("root", Bytes, nullable=False),
    Column("leaves", Bytes, nullable=False),
    Column("marks", Bytes, nullable=False),
)
"""Scans that have lost what tells of people, with what the ledger says of it (docs/decisions/0011-retention.md).

number: counted from 1. first, last: the commitments whose scans they are. kept_days: how long they had been kept at
least. leaves: the 32-byte leaf hash that each scan had before, in the order of the commitments, so that their roots can
still be computed. root, marks: of a new tree over the same `size` scans as they are now. Insert-only.
"""
