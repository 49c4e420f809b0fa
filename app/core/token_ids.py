"""Identifiers that count once: a signed request that comes a second time is a copy, whoever brings it.

Kept until the request would have expired anyway; all processes share the table.
"""

import hashlib

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from app.core.clock import now_ms
from app.core.database import Base, Bytes, Milliseconds, write_session
from app.core.services import Services


class TokenIdRow(Base):
    """The hash of an identifier that was used, and until when it has to be remembered."""

    __tablename__ = "token_ids"

    digest: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    expires_at: Mapped[int] = mapped_column(Milliseconds, index=True)


def use_token_id(services: Services, *, issuer: str, token_id: str, expires_at: int) -> bool:
    """Use an identifier up; False when it was used before.

    issuer: within whose identifiers it is unique, such as ``client:mcc_...``. expires_at (milliseconds): when the
    request that carries it is refused for its age, and the identifier can be forgotten.
    """
    digest = hashlib.sha256(f"{issuer}\n{token_id}".encode()).digest()
    insert = postgresql.insert if services.engine.dialect.name == "postgresql" else sqlite.insert
    with write_session(services.engine) as session:
        session.execute(delete(TokenIdRow).where(TokenIdRow.expires_at <= now_ms()))
        statement = insert(TokenIdRow).values(digest=digest, expires_at=expires_at).on_conflict_do_nothing()
        return session.scalar(statement.returning(TokenIdRow.digest)) is not None
