"""The table of the privacy feature."""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Base, Milliseconds


class RetentionRoundRow(Base):
    """When a task of retention was last gone through to its end, and how many rows it removed then."""

    __tablename__ = "retention_rounds"

    task: Mapped[str] = mapped_column(String(64), primary_key=True)
    finished_at: Mapped[int] = mapped_column(Milliseconds)
    removed: Mapped[int] = mapped_column(BigInteger)
