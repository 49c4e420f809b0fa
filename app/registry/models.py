"""Tables of the registry feature; other features go through `service`."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Base, BigId, Bytes, Milliseconds

CASE_PRODUCT_ID = 1
"""The one row of kind `case`, made by the first migration: SSCCs are unique in the world, not within a product."""

SerialText = String(20).with_variant(String(20, collation="C"), "postgresql")
"""AI 21 or SSCC, compared by code point on both databases: a batch is one range of its product's serials."""


class ProductRow(Base):
    """What units are instances of: a GTIN, or an item in the issuer's registry namespace."""

    __tablename__ = "products"
    __table_args__ = (UniqueConstraint("kind", "identifier"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    identifier: Mapped[str] = mapped_column(String(40))
    organisation_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    name: Mapped[str] = mapped_column(String(200))
    brand: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text)
    sector: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[int] = mapped_column(Milliseconds)
    log_index: Mapped[int | None] = mapped_column(BigInteger)


class BatchRow(Base):
    """Units commissioned together; for others they exist once `log_index` is set, by the leaf's transaction."""

    __tablename__ = "batches"
    __table_args__ = (
        UniqueConstraint("job_id", "part"),
        Index(
            "ix_batches_unpublished",
            "job_id",
            sqlite_where=text("log_index IS NULL"),
            postgresql_where=text("log_index IS NULL"),
        ),
        Index("ix_batches_product_id_lot", "product_id", "lot"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    handle: Mapped[str] = mapped_column(String(5), unique=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), index=True)
    organisation_id: Mapped[int] = mapped_column(BigInteger, index=True)
    job_id: Mapped[str] = mapped_column(String(32))
    part: Mapped[int] = mapped_column()
    """Which batch of the job: an import makes several."""
    attempt: Mapped[str] = mapped_column(String(16))
    """Token of the attempt that fills the batch. Empty: abandoned; whoever was filling it must stop."""
    profile: Mapped[str] = mapped_column(String(8))
    lot: Mapped[str | None] = mapped_column(String(20))
    expiry: Mapped[str | None] = mapped_column(String(6))
    note: Mapped[str] = mapped_column(Text)
    quantity: Mapped[int] = mapped_column(Integer)
    generated: Mapped[bool] = mapped_column()
    key_id: Mapped[int] = mapped_column(BigInteger)
    sealed_secret: Mapped[bytes] = mapped_column(Bytes)
    first_serial: Mapped[str] = mapped_column(SerialText)
    last_serial: Mapped[str] = mapped_column(SerialText)
    root: Mapped[bytes | None] = mapped_column(Bytes)
    created_at: Mapped[int] = mapped_column(Milliseconds)
    published_at: Mapped[int | None] = mapped_column(Milliseconds)
    log_index: Mapped[int | None] = mapped_column(BigInteger)


units = Table(
    "units",
    Base.metadata,
    # 32 bits, unlike products.id: it makes row and index entry 8 bytes shorter each on PostgreSQL.
    Column("product_id", Integer, primary_key=True, autoincrement=False),
    Column("serial", SerialText, primary_key=True),
    Column("unit_id", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""One row a unit and one index: the look-up of a scan. A batch's serials ascend with the position, so that the units
of a batch are read in order from the same index, between its first and last serial."""

batch_tiles = Table(
    "batch_tiles",
    Base.metadata,
    Column("batch_id", BigInteger, primary_key=True, autoincrement=False),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("tile_index", Integer, primary_key=True, autoincrement=False),
    Column("data", Bytes, nullable=False),
)
"""Batch trees in tiles of height 4 (16 hashes, 512 bytes), right-edge partial tiles included."""


unit_signatures = Table(
    "unit_signatures",
    Base.metadata,
    Column("batch_id", BigInteger, primary_key=True, autoincrement=False),
    Column("chunk", Integer, primary_key=True, autoincrement=False),
    Column("data", Bytes, nullable=False),
)
"""Signatures of codes under a key that the firm holds: 64 bytes a unit, 512 units a row, in order of position. Rows are
added, never changed. Batches under a key that the service holds have none: theirs are made anew (RFC 8032)."""


class BatchSigningRow(Base):
    """All codes of a batch are signed by the key that the firm holds: what its entry on the ledger says."""

    __tablename__ = "batch_signings"

    batch_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    signatures_hash: Mapped[bytes] = mapped_column(Bytes)
    """SHA-256 of all signatures in order of position."""
    seal: Mapped[bytes] = mapped_column(Bytes)
    """The firm's signature of the batch's root and size (64 bytes)."""
    signed_at: Mapped[int] = mapped_column(Milliseconds)
    log_index: Mapped[int] = mapped_column(BigInteger)


class SerialFileRow(Base):
    """Serials that a firm brought, waiting for the job that commissions them; removed when that job has ended."""

    __tablename__ = "serial_files"

    job_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(Bytes)
