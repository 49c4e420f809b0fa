"""The salt of the day: network addresses are kept only as a hash under it, and it is destroyed when the day is over.

Within its day the same address gives the same hash, so that guesses and devices can be counted. Afterwards nobody can
try addresses against yesterday's hashes, whoever runs the registry included: the salt is random and gone. What a
backup of the day holds of it is sealed under the key-encryption key, which is in no backup.
"""

import hashlib
import hmac
import secrets

from sqlalchemy import Engine, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.core.clock import now_ms
from app.core.database import Base, Bytes, write_session
from app.core.sealing import Sealer
from app.core.services import Services
from ledger.storage.engine import begin_write
from ledger.storage.sweeping import overwrite_freed_rows

DAY_MS = 86_400_000
SALT_SIZE = 32


class DailySaltRow(Base):
    """The salt of one day (days since 1970, UTC), sealed."""

    __tablename__ = "daily_salts"

    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sealed_salt: Mapped[bytes] = mapped_column(Bytes)


class DailySalts:
    """The salts as a process knows them: today's is read once and forgotten with its day."""

    def __init__(self, engine: Engine, sealer: Sealer) -> None:
        self._engine = engine
        self._sealer = sealer
        self._known: tuple[int, bytes] = (-1, b"")

    def at(self, milliseconds: int) -> bytes:
        """Give the salt of the day of this moment, 32 bytes; made by whichever process asks first.

        Not to be called inside a write transaction: the first call of a day needs one of its own.
        """
        day = milliseconds // DAY_MS
        known_day, salt = self._known
        if day == known_day:
            return salt
        salt = self._read_or_make(day)
        self._known = (day, salt)
        return salt

    def mark(self, text: str, milliseconds: int) -> bytes:
        """Give the hash (32 bytes) under which something is known for a day: for addresses and what contains one."""
        return hmac.digest(self.at(milliseconds), text.encode(), hashlib.sha256)

    def destroy_past(self, milliseconds: int) -> int:
        """Destroy the salts of days before this moment's; returns how many."""
        day = milliseconds // DAY_MS
        with begin_write(self._engine) as connection:
            overwrite_freed_rows(connection)
            gone = connection.execute(delete(DailySaltRow).where(DailySaltRow.day < day).returning(DailySaltRow.day))
            return len(gone.all())

    def _read_or_make(self, day: int) -> bytes:
        sealed = self._find(day)
        if sealed is None:
            insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
            fresh = self._sealer.seal(secrets.token_bytes(SALT_SIZE), _context(day))
            with write_session(self._engine) as session:
                # Two processes at midnight: the second finds that the first was faster, and uses that one's.
                session.execute(insert(DailySaltRow).values(day=day, sealed_salt=fresh).on_conflict_do_nothing())
            sealed = self._find(day)
        if sealed is None:
            return secrets.token_bytes(SALT_SIZE)  # destroyed already: this process's clock is a day behind
        return self._sealer.open(sealed, _context(day))

    def _find(self, day: int) -> bytes | None:
        with Session(self._engine) as session:
            return session.scalar(select(DailySaltRow.sealed_salt).where(DailySaltRow.day == day))


def daily_salts(services: Services) -> DailySalts:
    """Give the salts of these services."""
    found: DailySalts | None = services.features.get(DailySalts)
    if found is None:
        found = services.features.setdefault(DailySalts, DailySalts(services.engine, services.sealer))
    return found


def address_mark(services: Services, text: str) -> bytes:
    """Give the mark of an address, or of words that contain one, for today."""
    return daily_salts(services).mark(text, now_ms())


def _context(day: int) -> str:
    return f"salt of day {day}"
